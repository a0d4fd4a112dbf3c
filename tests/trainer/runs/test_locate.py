"""A data set is known by its digest, wherever it lies."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tests.support.runs import run_configs
from tfrecords.errors import TrainerError
from trainer.config import TrainConfig
from trainer.runs import locate
from trainer.runs.config_file import RunConfig


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """A run `w/runs/a` on `w/data`, with paths as typed in `w`."""
    (tmp_path / "w" / "runs" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "w")
    manifest = fakes.write_dataset(Path("data"))
    flags = TrainConfig(data_dir="data", run_dir="runs/a")
    described = run_configs.describe(flags, manifest)
    place = locate.identity("fake", manifest.digest, "data", "runs/a")
    return dataclasses.replace(described, dataset=place)


def test_paths_are_recorded_absolute_and_from_the_run(stored: RunConfig, tmp_path: Path) -> None:
    assert stored.dataset.absolute == str(tmp_path / "w" / "data")
    assert stored.dataset.relative == "../../data"
    far = locate.identity("fake", "d", "gs://bucket/data", "runs/a")
    assert (far.absolute, far.relative) == ("", "")


def test_found_as_given(stored: RunConfig) -> None:
    assert locate.data_dir("runs/a", stored) == Path("data")


def test_found_from_another_working_directory(
    stored: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert locate.data_dir(tmp_path / "w/runs/a", stored) == tmp_path / "w" / "data"


def test_found_relative_to_the_run(
    stored: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    (tmp_path / "w").rename(tmp_path / "v")
    assert locate.data_dir(tmp_path / "v/runs/a", stored) == tmp_path / "v" / "data"


@pytest.mark.parametrize("place", ["runs/a/data", "runs/data", "data"])
def test_found_by_name_beside_the_run(
    stored: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """As runs of earlier versions are, which recorded no place."""
    bare = dataclasses.replace(stored.dataset, absolute="", relative="")
    monkeypatch.chdir("/")
    if place != "data":
        (tmp_path / "w/data").rename(tmp_path / "w" / place)
    found = locate.data_dir(tmp_path / "w/runs/a", dataclasses.replace(stored, dataset=bare))
    assert found == tmp_path / "w" / place


def test_another_data_set_in_its_place_is_passed_over(stored: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "w/data").rename(tmp_path / "w/runs/data")
    fakes.write_dataset(tmp_path / "w/data", shards=1)
    assert locate.data_dir("runs/a", stored) == tmp_path / "w/runs/data"


def test_another_data_set_alone_is_refused(stored: RunConfig, tmp_path: Path) -> None:
    shutil.rmtree("data")
    there = fakes.write_dataset(Path("data"), shards=1)
    with pytest.raises(TrainerError) as refused:
        locate.data_dir("runs/a", stored)
    for text in (stored.dataset.digest[:12], there.digest[:12], "data holds another", "--data_dir"):
        assert text in str(refused.value)


def test_none_at_all_names_the_places(stored: RunConfig, tmp_path: Path) -> None:
    Path("data").rename(tmp_path / "elsewhere")
    with pytest.raises(TrainerError, match="is in none of data, .*/runs/data.*: give --data_dir"):
        locate.data_dir("runs/a", stored)
