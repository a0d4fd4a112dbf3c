"""A bake of a directory that holds a complete data set: the same again is done, another refused."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from beam_pipelines import complete, prepare
from beam_pipelines.config import PrepareConfig
from tests.support.datasets import fakes
from tfrecords import manifest
from tfrecords.errors import UsageError
from tfrecords.images.canonicalise import PIXELS_VERSION


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each fate, the same as an archive, and the data sets of both."""
    world = tmp_path_factory.mktemp("world")
    root = fakes.write_folders(world / "in", {"apu": 8, "bart": 6})
    (root / "apu" / "broken.jpg").write_bytes(b"")
    (root / "apu" / "notes.txt").write_text("no picture")
    (root / "bart" / ".hidden").mkdir()
    shutil.copy(root / "apu" / "0000.jpg", root / "apu" / "twice.jpg")
    shutil.make_archive(str(world / "in"), "zip", root)
    shutil.make_archive(str(world / "tarred"), "gztar", root)
    for name in ("in", "in.zip", "tarred.tar.gz"):
        assert prepare.main(config(world, name)) == 0
    return world


def config(world: Path, name: str = "in", **changes: object) -> PrepareConfig:
    values: dict[str, object] = {
        "input_dir": str(world / name), "output_dir": str(world / f"{name}-out"),
        "image_size": 16, "per_class": 6, "workers": 0, "max_reject_fraction": 0.2,
    }  # fmt: skip
    return PrepareConfig(**values | changes)  # type: ignore[arg-type]  # Values as a person gives.


def state(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("name", ["in", "in.zip", "tarred.tar.gz"])
def test_the_same_bake_again_is_done_and_writes_nothing(
    world: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = config(world, name)
    before = state(Path(asked.output_dir))
    # What does not change the bytes may differ.
    again = dataclasses.replace(asked, keep_cache=True, max_reject_fraction=0.5)
    assert prepare.main(again) == 0
    assert state(Path(asked.output_dir)) == before
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == f"{asked.output_dir} is complete, with the same input and flags: nothing to do"
    assert last.startswith("next: evenshard train ")


def test_a_report_that_was_cut_off_is_written(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "in-out", tmp_path / "o")
    (tmp_path / "o" / "report" / "index.html").unlink()
    assert prepare.main(config(world, output_dir=str(tmp_path / "o"))) == 0
    assert (tmp_path / "o" / "report" / "index.html").exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"image_size": 24}, "(--image_size)"),
        ({"seed": 1, "near_duplicates": "off"}, "(--near_duplicates, --seed)"),
        ({"per_class": 5}, "(--per_class)"),
        ({"per_class": None, "min_per_class": 6}, "(--max_per_class)"),
        ({"per_class": None}, "(--per_class)"),
        ({"split_by": "appearance"}, "(--split_by)"),
        ({"splits": "folds:2"}, "(--folds, "),
        ({"encoding": "png"}, "(--encoding"),
    ],
)
def test_other_flags_are_named(world: Path, changes: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError) as refused:
        complete.require_same(config(world, **changes))
    assert f"holds a complete data set, baked otherwise {named}" in str(refused.value)
    assert "give --overwrite to replace it" in str(refused.value)


def added(root: Path) -> None:
    fakes.write_folders(root / "more", {"x": 1})
    (root / "more" / "x" / "0000.jpg").rename(root / "apu" / "z.jpg")
    shutil.rmtree(root / "more")


def moved(root: Path) -> None:
    (root / "apu" / "0003.jpg").rename(root / "bart" / "0099.jpg")


def longer(root: Path) -> None:
    _keeping_time(root / "apu" / "0003.jpg", lambda data: data + b"\0")


def touched(root: Path) -> None:
    os.utime(root / "apu" / "0003.jpg")


def replaced(root: Path) -> None:
    """By a file of the same size and time, as an archive that is unpacked again may do."""
    _keeping_time(root / "apu" / "0003.jpg", lambda data: data[:-3] + b"abc")


def _keeping_time(path: Path, change: Callable[[bytes], bytes]) -> None:
    times = path.stat()
    path.write_bytes(change(path.read_bytes()))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (added, "1 new (apu/z.jpg)"),
        (moved, "1 new (bart/0099.jpg), 1 gone (apu/0003.jpg)"),
        (longer, "1 changed (apu/0003.jpg)"),
        (replaced, "1 changed (apu/0003.jpg)"),
    ],
)
def test_an_input_that_has_changed_is_told(
    world: Path, tmp_path: Path, change: Callable[[Path], None], told: str
) -> None:
    shutil.copytree(world / "in", tmp_path / "in")
    change(tmp_path / "in")
    asked = config(world, input_dir=str(tmp_path / "in"))
    with pytest.raises(UsageError, match="the input has changed since: ") as refused:
        complete.require_same(asked)
    assert told in str(refused.value)


def test_an_input_that_was_only_touched_or_copied_is_the_same(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "in", tmp_path / "in")
    touched(tmp_path / "in")
    asked = config(world, input_dir=str(tmp_path / "in"))
    assert complete.require_same(asked) == manifest.load(asked.output_dir)


def test_pictures_of_another_version_are_not_the_same(world: Path) -> None:
    there = manifest.load(config(world).output_dir)
    assert there.config["pixels_version"] == PIXELS_VERSION
    assert complete.other_flags(config(world), there) == ""
    recorded = {**there.config, "pixels_version": PIXELS_VERSION - 1}
    told = complete.other_flags(config(world), dataclasses.replace(there, config=recorded))
    assert told == "baked otherwise (by another version of evenshard)"


def test_an_archive_that_was_written_since_is_told(world: Path, tmp_path: Path) -> None:
    shutil.copyfile(world / "in.zip", tmp_path / "in.zip")  # With the time of now.
    with pytest.raises(UsageError, match=r"and \S+in\.zip was written, replaced"):
        complete.require_same(config(world, "in.zip", input_dir=str(tmp_path / "in.zip")))


def test_what_lies_in_a_bucket_cannot_be_told(world: Path) -> None:
    with pytest.raises(UsageError, match="holds a complete data set; give --overwrite"):
        complete.require_same(config(world, input_dir="gs://bucket/pictures"))


def test_folders_that_fix_splits_are_the_same_again(tmp_path: Path) -> None:
    for split in ("train", "test"):
        fakes.write_folders(tmp_path / "in" / split, {"apu": 9, "bart": 9})
    asked = config(tmp_path)
    assert prepare.main(asked) == 0
    assert complete.require_same(asked) == manifest.load(asked.output_dir)
