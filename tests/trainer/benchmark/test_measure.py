"""The doctor at toy size: every stage is really measured."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tfrecords import example, framing
from tfrecords import manifest as manifests
from tfrecords.cli.run import DONE, USAGE
from tfrecords.schema import ImageSpec
from trainer.benchmark import measure
from trainer.benchmark.__main__ import COMMAND
from trainer.data import selection as selections


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    spec = ImageSpec(24, 24)
    fakes.write_dataset(folder, {"train": (150, 80, 30), "validation": (2, 1, 1)}, spec)
    return folder


def test_the_command_measures_each_stage_and_prints_one_screen(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [
        f"--data_dir={data_dir}", "--model=tests.support.networks.tiny:network", "--batch_size=8",
        "--image_size=16", "--device=cpu", "--seconds=0.05", f"--json={tmp_path / 'rates.json'}",
    ]  # fmt: skip
    assert COMMAND.run(argv) == DONE
    out = capsys.readouterr().out
    assert "260 records of 24x24 jpeg, trained on at 16x16" in out
    stored = json.loads((tmp_path / "rates.json").read_text())
    measured = stored["rates"]
    assert set(measured["steps"]) == {"4", "8", "16"}
    for name in ("decode", "decode_raw", "augment", "whole"):
        assert measured[name]["rate"] > 0 and measured[name]["cpu"] > 0
    assert measured["together"] > 0 and 0 <= measured["waited"] < 1
    assert stored["verdict"] in " ".join(out.split())
    last = shlex.split(out.splitlines()[-1])
    assert last[:4] == ["next:", "evenshard", "train", f"--data_dir={data_dir}"]
    assert {*argv[1:5]} <= {*last} and not {*argv[5:]} & {*last}


def test_the_sample_holds_images_of_the_split(data_dir: Path) -> None:
    manifest = manifests.load(data_dir)
    source = selections.open_split(manifest, data_dir, "train", selections.select(manifest))
    images = measure.sample(source)
    assert len(images) == measure.SAMPLE
    first = example.decode(next(framing.read_records(source.files[0])))
    assert images[0] == first.image


def test_disk_rate_of_empty_and_full_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(3 << 20))
    (tmp_path / "b").write_bytes(b"")
    assert measure.disk_rate([tmp_path / "b"], 1.0) == 0
    assert measure.disk_rate([tmp_path / "a", tmp_path / "b"], 1.0) > 0


@pytest.mark.parametrize(
    ("batch", "records", "parts", "found"),
    [(64, 10_000, 1, [32, 128]), (64, 1000, 1, [32]), (1, 1000, 1, [2]), (6, 1000, 3, [3, 12]),
     (9, 1000, 3, [18])],
)  # fmt: skip
def test_other_batches_divide_and_leave_steps(
    batch: int, records: int, parts: int, found: list[int]
) -> None:
    assert measure._other_batches(batch, records, parts) == found


@pytest.mark.parametrize(
    ("flag", "said"),
    [("--seconds=0", "--seconds"), ("--steps_per_execution=4", "--steps_per_execution=1"),
     ("--bach_size=3", "did you mean --batch_size")],
)  # fmt: skip
def test_misuse_is_one_line(flag: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert COMMAND.run(["--data_dir=x", flag]) == USAGE
    assert said in capsys.readouterr().err
