"""What a prediction lists: folders, patterns, archives, CSVs; keys are paths below them."""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import listing
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import InputPath, SourceFile

NAMES = ("a.jpg", "deep/er/b.PNG", "deep/c")


LEFT_OUT = (
    ".hidden", "deep/.git/x.jpg", "__MACOSX/a.jpg", "deep/Thumbs.db", "$RECYCLE.BIN/S-1/a.jpg",
    "a.jpg.json", "deep/README",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in [1]"
    for name in (*NAMES, *LEFT_OUT):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def listed(source: object, leave_out: Sequence[Path] = ()) -> tuple[SourceFile, ...]:
    return listing.list_unlabelled(InputPath("--input", str(source)), leave_out)


def keys(source: object, leave_out: Sequence[Path] = ()) -> list[str]:
    return [row.key for row in listed(source, leave_out)]


def test_a_folder_lists_all_files_below_it_in_order(folder: Path) -> None:
    assert keys(folder) == sorted(NAMES)
    assert keys(f"{folder}/") == sorted(NAMES)
    for row in listed(folder):
        assert read_source(row).decode() == row.key
        assert (row.class_name, row.split, row.problem) == (None, None, None)


def test_outputs_inside_the_input_are_no_input(folder: Path) -> None:
    assert keys(folder, leave_out=[folder / "deep" / "c"]) == ["a.jpg", "deep/er/b.PNG"]


def test_a_linked_folder_is_entered_and_a_circle_left(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    os.symlink(folder, tmp_path / "links" / "more")
    os.symlink(folder, folder / "deep" / "circle")
    assert keys(tmp_path / "links") == [f"more/{name}" for name in sorted(NAMES)]


def test_a_pattern_counts_from_its_first_plain_folder(folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    assert keys("*.jpg") == ["a.jpg"]
    assert keys("deep/**/*.PNG") == ["er/b.PNG"]
    assert keys("./**") == sorted(NAMES)


def test_a_zip_lists_its_members(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.ZIP"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*NAMES, "__MACOSX/._a.jpg"):
            archive.writestr(name, name)
        archive.writestr("empty/", "")
    found = listed(path)
    assert [row.key for row in found] == sorted(NAMES)
    assert {row.path for row in found} == {str(path)}
    assert [read_source(row).decode() for row in found] == sorted(NAMES)


def test_a_tar_lists_its_members(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(folder, "./")
    found = listed(path)
    assert [row.key for row in found] == sorted(NAMES)
    assert [read_source(row).decode() for row in found] == sorted(NAMES)


def test_a_folder_that_cannot_be_listed_is_told(folder: Path, monkeypatch) -> None:
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (picture, closed) = listed(folder)
    assert (closed.key, closed.problem) == ("deep", RejectReason.UNREADABLE)
    assert closed.detail == "Permission denied"
    assert picture.key == "a.jpg"


def test_names_that_are_not_utf8_stay_what_they_are(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff.jpg", "wb") as file:
        file.write(b"x")
    assert keys(tmp_path) == ["\udcff.jpg"]


@pytest.mark.parametrize("column", ["path", "Id"])
def test_a_csv_keeps_its_order_and_paths_start_beside_it(folder: Path, column: str) -> None:
    table = folder / "list.csv"
    absolute = str(folder / "a.jpg")
    table.write_text(f"\ufeff{column},other\ndeep/er/b.PNG,1\n{absolute},2\nnone.jpg,3\n")
    found = listed(table)
    assert [row.key for row in found] == ["deep/er/b.PNG", absolute, "none.jpg"]
    assert Path(found[0].path) == folder / "deep/er/b.PNG"
    assert found[1].path == absolute
    assert found[2].problem is RejectReason.MISSING


@pytest.mark.parametrize("name", ["a.jpg", "a.jpg.json", ".hidden"])
def test_one_file_is_its_name_whatever_it_is(folder: Path, name: str) -> None:
    assert keys(folder / name) == [name]


def test_pictures_of_software_are_told(tmp_path: Path) -> None:
    for name in ("a/1.png", "venv/lib/site-packages/icon.png", "a/__pycache__/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    said: list[str] = []
    rows = listing.list_unlabelled(InputPath("input", str(tmp_path)), say=said.append)
    assert [row.key for row in rows] == ["a/1.png", "venv/lib/site-packages/icon.png"]
    assert any("1 file under venv/ looks like " in note for note in said), said


def test_empty_folders_are_no_pictures(folder: Path) -> None:
    (folder / "none").mkdir()
    assert keys(folder) == sorted(NAMES)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("absent", "does not exist"),
        ("absent/*.jpg", "matches no file"),
        ("empty", "holds no file"),
        ("bad.zip", "not a readable zip"),
        ("absent.csv", "No such file"),
        ("in.tar.gz", "a compressed tar cannot be read"),
        ("labels.csv", "no column is known to hold the paths"),
        ("header.csv", "no rows"),
        ("hole.csv", "line 3: path is empty"),
    ],
)
def test_what_is_no_input(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.zip").write_bytes(b"PK no")
    (tmp_path / "in.tar.gz").write_bytes(gzip.compress(b"no"))
    (tmp_path / "labels.csv").write_text("one,two\na,b\n")
    (tmp_path / "header.csv").write_text("path\n")
    (tmp_path / "hole.csv").write_text("path,x\na.jpg,1\n,2\n")
    with pytest.raises(UsageError, match=f"--input=.*{said}"):
        listed(tmp_path / source)


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("manifest.json", "sources.parquet"), "a data set"),
        (("config.json", "metrics.csv"), "a run"),
        (("leaderboard.csv",), "a sweep"),
        (("evaluation.json",), "an evaluation"),
        (("config.json",), None),
        (("manifest.json",), None),
    ],
)
def test_what_a_command_wrote_is_no_folder_of_pictures(
    folder: Path, names: Sequence[str], what: str | None
) -> None:
    """The figures of its report would be named with classes."""
    for name in names:
        (folder / name).write_text("{}")
    if what is None:
        assert keys(folder)
        return
    with pytest.raises(UsageError, match=f"is {what}, and no pictures to be named"):
        listed(folder)
    assert keys(folder / "deep") == ["c", "er/b.PNG"]


def test_a_data_set_in_an_archive_is_no_folder_of_pictures(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "o.zip", "w") as archive:
        for name in ("manifest.json", "sources.parquet", "report/a.png"):
            archive.writestr(name, "{}")
    with pytest.raises(UsageError, match="is a data set, and no pictures to be named"):
        listed(tmp_path / "o.zip")
