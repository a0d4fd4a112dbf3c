"""Odd inputs of the kind that people bring, through the whole bake."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from beam_pipelines import run
from beam_pipelines.config import PrepareConfig
from tests.support.datasets import fakes
from tests.support.processes import commands
from tfrecords import ledger, manifest
from tfrecords.manifest import Manifest

FLAGS = {"image_size": 16, "encoding": "png", "workers": 0, "near_duplicates": "off"}


def bake(input_dir: Path, **values: object) -> Manifest:
    """Bakes into "out" beside the input, and checks the result with `verify`."""
    output_dir = input_dir.parent / "out"
    config = PrepareConfig(**{**FLAGS, "input_dir": input_dir, "output_dir": output_dir, **values})
    assert run.run(config, []) == 0
    assert commands.call("tfrecords.verify", str(output_dir)).returncode == 0
    return manifest.load(str(output_dir))


def write_splits(root: Path, counts: Mapping[str, int]) -> Path:
    """Writes `counts[folder]` pictures of two classes into folders, all pictures different."""
    for folder, count in counts.items():
        for name in ("cat", "dog"):
            (root / folder / name).mkdir(parents=True)
            for number in range(count):
                data = fakes.picture_bytes(f"{folder}/{name}/{number}")
                (root / folder / name / f"{number:03d}.jpg").write_bytes(data)
    return root


def reasons(input_dir: Path) -> dict[str, str]:
    """Returns key → reason of every file that was ignored."""
    rows = ledger.read(input_dir.parent / "out").to_pylist()
    return {row["key"]: row["reason"] for row in rows if row["status"] == ledger.IGNORED}


def test_folders_fix_the_splits_that_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_splits(tmp_path / "in", {"Training": 6, "Testing": 3})
    found = bake(root)
    assert found.classes == ("cat", "dog")
    assert found.split("test").originals == (3, 3)
    train, validation = (found.split(name).originals for name in ("train", "validation"))
    assert [sum(counts) for counts in zip(train, validation, strict=True)] == [6, 6]
    told = capsys.readouterr().err
    assert "input: Training/ (train), Testing/ (test) are splits; 2 classes" in told
    assert "input: the input has no validation split: 11% of train is taken for it" in told


def test_a_third_folder_is_said_and_left_for_predict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_splits(tmp_path / "in", {"train": 4, "val": 4})
    (root / "images").mkdir()
    (root / "images" / "banner.jpg").write_bytes(fakes.picture_bytes("banner"))
    found = bake(root)
    assert [split.name for split in found.splits] == ["train", "validation"]
    assert reasons(root) == {"images/banner.jpg": "unlabelled"}
    assert "1 file under images/ has no class and is left for predict" in capsys.readouterr().err
    assert found.config["splits"] == [["train", 0.888889], ["validation", 0.111111]]


def test_bins_and_sidecars_do_not_count_as_rejects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fakes.write_folders(tmp_path / "in", {"cat": 8, "dog": 8})
    for picture in root.rglob("*.jpg"):
        picture.with_suffix(".jpg.json").write_text("{}")
    for name in ("$RECYCLE.BIN", "#recycle", "@Recycle", "lost+found", "System Volume Information"):
        fakes.write_folders(root, {name: 1})
    found = bake(root)
    assert found.classes == ("cat", "dog")
    assert found.statuses == {"ignored": 21, "kept": 16}
    assert set(reasons(root).values()) == {"sidecar", "hidden"}
    assert "16 files in 2 classes; left out: 5 hidden, 16 sidecar" in capsys.readouterr().err


def test_a_class_without_train_pictures_or_without_any_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_splits(tmp_path / "in", {"train": 6, "test": 2})
    fakes.write_folders(root / "test", {"fox": 3})
    (root / "train" / "owl").mkdir()
    (root / "train" / "owl" / "a.jpg").write_bytes(b"none")
    (root / "train" / "eel").mkdir()
    found = bake(root, max_reject_fraction=0.5)
    assert found.classes == ("cat", "dog", "fox")
    told = capsys.readouterr().err
    assert "note: no picture to train on: fox (3 test)" in told
    assert "note: no class is made of owl (1 not_an_image)" in told
    assert "input: no class is made of eel/ (empty)" in told


def test_numeric_classes_are_counted(tmp_path: Path) -> None:
    root = fakes.write_folders(tmp_path / "in", {name: 2 for name in ("10", "9", "0")})
    assert bake(root).classes == ("0", "9", "10")
    assert bake(root, class_order="name", overwrite=True).classes == ("0", "10", "9")
    assert bake(root, class_order=["9", "0", "10"], overwrite=True).classes == ("9", "0", "10")


def test_classes_are_merged_and_dropped(tmp_path: Path) -> None:
    root = fakes.write_folders(tmp_path / "in", {"cat": 4, "lynx": 4, "dog": 4, "blur": 2})
    found = bake(root, classes_map={"lynx": "cat", "blur": ""}, splits={"train": 1})
    assert (found.classes, found.split("train").originals) == (("cat", "dog"), (8, 4))
    assert set(reasons(root).values()) == {"dropped_class"}
    assert found.config["classes_map"] == [["blur", ""], ["lynx", "cat"]]


def test_a_picture_that_was_excluded_is_decoded_when_it_no_longer_is(tmp_path: Path) -> None:
    root = fakes.write_folders(tmp_path / "in", {"cat": 4, "dog": 4})
    values = {"splits": {"train": 1}, "keep_cache": True}
    assert bake(root, exclude=["/cat/0000.jpg"], **values).split("train").originals == (3, 4)
    assert bake(root, overwrite=True, **values).split("train").originals == (4, 4)


def test_two_readings_stop_before_anything_is_written(tmp_path: Path) -> None:
    for folder in ("fold1", "fold2"):
        fakes.write_folders(tmp_path / "in" / folder, {"cat": 2, "dog": 2})
    flags = (f"--input_dir={tmp_path / 'in'}", f"--output_dir={tmp_path / 'out'}")
    done = commands.call("beam_pipelines.prepare", *flags)
    assert done.returncode == 2
    assert "can be read in two ways" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_output_in_the_input_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    root = fakes.write_folders(tmp_path / "in", {"cat": 2, "dog": 2})
    for more in ([], ["--overwrite"], ["--plan_only"]):
        flags = (f"--input_dir={root}", f"--output_dir={root / 'shards'}", *more)
        done = commands.call("beam_pipelines.prepare", *flags)
        assert done.returncode == 2
        assert "is inside --input_dir=" in done.stderr
    assert not (root / "shards").exists()


@pytest.mark.parametrize("per_class", [None, 4])
def test_the_last_lines_say_what_to_do_next(
    tmp_path: Path, per_class: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fakes.write_folders(tmp_path / "my in", {"cat": 12, "dog": 2})
    output_dir = tmp_path / "my out"
    values = {**FLAGS, "input_dir": root, "output_dir": output_dir, "per_class": per_class}
    run.run(PrepareConfig(**values), [])
    *_, last = told = capsys.readouterr().err.splitlines()
    assert shlex.split(last) == [
        "next:", "evenshard", "train", f"--data_dir={output_dir}", "--run_dir=runs/first"
    ]  # fmt: skip
    unbalanced = [line for line in told if "the classes are not balanced" in line]
    assert len(unbalanced) == (per_class is None)
