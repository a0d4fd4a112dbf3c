"""Each command refuses a directory that holds what another one wrote, before it writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from beam_pipelines import run as bake_run
from beam_pipelines.config import PrepareConfig
from tests.support.datasets import fakes
from tests.support.runs import train_configs
from tfrecords import kinds
from tfrecords.errors import UsageError
from trainer.evaluate import run as evaluate_run
from trainer.evaluate.config import EvaluateConfig
from trainer.sweep import run as sweep_run
from trainer.sweep.config import SweepConfig
from trainer.train import run as train_run

FILES = {
    kinds.DATASET: ("manifest.json", "sources.parquet"),
    kinds.SWEEP: ("leaderboard.csv",),
    kinds.EVALUATION: ("evaluation.json",),
    kinds.RUN: ("config.json", "metrics.csv"),
}


def bake(path: Path) -> None:
    config = PrepareConfig(input_dir=str(path.parent / "in"), output_dir=str(path))
    bake_run.run(config, config.beam_arguments)


def train(path: Path) -> None:
    """Anew: it would move what is there aside, and remove it later."""
    train_run.run(train_configs.config(run_dir=str(path), resume=False))


def sweep(path: Path) -> None:
    sweep_run.run(SweepConfig(data_dir="data", runs_dir=str(path), grid="grid.yaml"))


def evaluate(path: Path) -> None:
    evaluate_run.run(EvaluateConfig(run_dir="run", output_dir=str(path)))


WRITERS = {kinds.DATASET: bake, kinds.RUN: train, kinds.SWEEP: sweep, kinds.EVALUATION: evaluate}


def write(path: Path, kind: str) -> None:
    (path / "report").mkdir(parents=True)
    for name in (*FILES[kind], "report/index.html"):
        (path / name).touch()


@pytest.mark.parametrize("there", FILES)
@pytest.mark.parametrize(("own", "writer"), WRITERS.items())
def test_no_kind_is_written_over_another(
    own: str, writer: Callable[[Path], None], there: str, tmp_path: Path
) -> None:
    write(tmp_path / "there", there)
    assert kinds.of(tmp_path / "there") == there
    before = sorted(tmp_path.rglob("*"))
    if own == there:
        kinds.refuse_other(tmp_path / "there", "dir", own)
        return
    with pytest.raises(UsageError, match=f"_dir=.*there is {there}, and its files would be lost"):
        writer(tmp_path / "there")
    assert sorted(tmp_path.rglob("*")) == before


def test_other_folders_are_free(tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    (tmp_path / "manifest.json").touch()
    assert kinds.of(tmp_path) is None and kinds.of(tmp_path / "absent") is None
    kinds.refuse_other(tmp_path, "run_dir", kinds.RUN)


def test_a_real_data_set_is_one(tmp_path: Path) -> None:
    fakes.write_dataset(tmp_path / "data")
    assert kinds.of(tmp_path / "data") == kinds.DATASET
