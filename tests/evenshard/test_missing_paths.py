"""A path that a person typed and that is not there is a usage error, whatever the command."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from evenshard import __main__ as program
from evenshard import commands
from tests.support.datasets import fakes, ledgers
from tfrecords.cli import flags

# Flags that name what is read. The others name what is written, or what lies in a data set.
READS = {
    "input_dir", "input_csv", "data_dir", "run_dir", "input", "like", "grid", "dir", "fork_from",
    "weights", "parity_input", "class_order", "classes_map", "flagfile",
}  # fmt: skip


TYPED = [
    "bake --input_dir=nope --output_dir=o",
    "bake --input_csv=nope --output_dir=o",
    "bake --input_dir=pictures --output_dir=o --class_order=nope",
    "bake --input_dir=pictures --output_dir=o --classes_map=nope",
    "bake --flagfile=nope",
    "plan --input_dir=nope --output_dir=o",
    "inspect nope",
    "verify nope",
    "report nope",
    "train --data_dir=nope --run_dir=r --recipe=scratch",
    "train --data_dir=shards --run_dir=r --fork_from=nope",
    "train --data_dir=shards --run_dir=r --weights=nope"
    " --model=tests.support.networks.tiny:network",
    "sweep --data_dir=nope --runs_dir=s --grid=grid.yaml",
    "sweep --data_dir=shards --runs_dir=s --grid=nope",
    "benchmark --data_dir=nope",
    "evaluate --run_dir=nope",
    "predict --run_dir=nope --input=pictures --output=o.csv",
    "export --run_dir=nope --format=saved_model",
    "lineage --run_dir=nope --row=1",
    "lineage --data_dir=nope --id=x",
    "doctor nope",
    "clean nope",
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("here")
    manifest = fakes.write_dataset(folder / "shards", {"train": (4, 4), "validation": (2, 2)})
    ledgers.write(folder / "shards", manifest)
    fakes.write_folders(folder / "pictures", {"apu": 8, "bart": 8})
    (folder / "grid.yaml").write_text("trials: {a: {epochs: 1}}\n")
    return folder


@pytest.mark.parametrize("typed", TYPED)
def test_it_is_named_with_exit_code_2(
    typed: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    before = sorted(here.rglob("*"))
    code = program.main(typed.split())
    *_, last = capsys.readouterr().err.splitlines()
    assert (code, last[:7]) == (2, "error: "), last
    assert "nope" in last
    assert sorted(here.rglob("*")) == before


def test_the_table_has_each_command_that_reads() -> None:
    tried = {typed.split()[0] for typed in TYPED}
    for command in commands.COMMANDS:
        config = importlib.import_module(command.module).COMMAND.config
        reads = READS & flags.flags_of(config).keys()
        assert not reads or command.name in tried or command.name == "demo"
