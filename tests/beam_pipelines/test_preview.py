from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from beam_pipelines import preview, run
from beam_pipelines.config import PrepareConfig
from tests.support.datasets import fakes
from tfrecords import manifest
from tfrecords.cli import parsing
from tfrecords.errors import UsageError


@pytest.fixture
def config(tmp_path: Path) -> PrepareConfig:
    root = fakes.write_folders(tmp_path / "in", {"apu": 30, "bart": 10})
    return PrepareConfig(input_dir=root, output_dir=tmp_path / "out", image_size=16, per_class=20)


def test_the_plan_is_printed_and_drawn_and_nothing_is_baked(
    config: PrepareConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert preview.run(config) == 0
    told = capsys.readouterr().out
    splits = {line.split()[0]: line.split()[1:4] for line in told.splitlines() if line}
    assert splits["train"] == ["28", "12", "40"]
    assert splits["validation"] == ["4", "0", "4"]
    assert "ms a picture" in told and "sample of 40" in told
    assert re.search(r"about [2-9] s with .*: 1\.7 s to start and to report, ", told)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"plan.html", "plan.png"}
    assert "plan of a bake" in (tmp_path / "out" / "report" / "plan.html").read_text()


def test_the_plan_of_counts_is_the_bake_of_counts(config: PrepareConfig) -> None:
    preview.run(config)
    assert run.run(config, ["--runner=FnApiRunner"]) == 0
    report = Path(config.output_dir) / "report"
    finished = (report / "class_balance.png").read_bytes()
    preview.run(dataclasses.replace(config, per_class=25))
    assert (report / "class_balance.png").read_bytes() == finished
    baked = manifest.load(config.output_dir)
    assert baked.split("train").originals == (20, 8)
    assert baked.split("train").copies == (0, 12)


def test_rejects_in_the_sample_are_told(
    config: PrepareConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(config.input_dir) / "apu" / "bad.jpg").write_bytes(b"no")
    preview.run(config)
    assert "1 of 41 sampled files is not a picture" in capsys.readouterr().out


def test_a_folder_without_a_picture_is_an_error(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "x.jpg").write_bytes(b"no")
    with pytest.raises(UsageError, match="none of 2 sampled files"):
        preview.run(PrepareConfig(input_dir=tmp_path / "in", output_dir=tmp_path / "out"))


def test_nothing_is_written_into_the_input(config: PrepareConfig) -> None:
    inside = dataclasses.replace(config, output_dir=f"{config.input_dir}/shards")
    with pytest.raises(UsageError, match="is inside --input_dir="):
        preview.run(inside)
    assert not Path(inside.output_dir).exists()


def test_what_was_understood_is_printed(
    config: PrepareConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.write_folders(Path(config.input_dir) / "apu", {"val": 2})
    (Path(config.input_dir) / "labels.csv").write_text("path,label")
    preview.run(config)
    told = capsys.readouterr().out
    assert "input: apu/val/ is read as a part of class apu" in told
    assert "42 files in 2 classes; left out: 1 sidecar" in told


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({}, ["finds near duplicates", "if many pictures are related"]),
        (
            {"near_duplicates": "off"},
            ["the bake splits by names or appearance if many"],
        ),
        ({"split_by": "appearance"}, ["finds near duplicates", "--split_by=appearance"]),
        ({"split_by": "random"}, ["the bake finds near duplicates (--near_duplicates=group), so"]),
        ({"split_by": "random", "near_duplicates": "off"}, []),
    ],
)
def test_what_needs_every_picture_is_left_to_the_bake(
    flags: dict[str, str], told: list[str]
) -> None:
    config = parsing.build(PrepareConfig, {"input_dir": "i", "output_dir": "o", **flags})
    lines = list(preview._left_to_the_bake(config))
    assert len(lines) == bool(told)
    assert all(text in lines[0] for text in told)
