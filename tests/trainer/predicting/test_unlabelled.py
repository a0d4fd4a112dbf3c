"""What an input lists: folders, patterns, zips, CSVs; ids are paths below it."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from tfrecords.errors import UsageError
from trainer.predicting import unlabelled

NAMES = ("a.jpg", "deep/er/b.PNG", "deep/c.txt")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in [1]"
    for name in (*NAMES, ".hidden", "deep/.git/x.jpg", "__MACOSX/a.jpg", "deep/Thumbs.db"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def ids(source: object, **options: object) -> list[str]:
    return [picture.id for picture in unlabelled.listed(str(source), **options)]  # type: ignore


def test_a_folder_lists_all_files_below_it_in_order(folder: Path) -> None:
    assert ids(folder) == sorted(NAMES)
    assert ids(f"{folder}/") == sorted(NAMES)
    for picture in unlabelled.listed(str(folder)):
        assert Path(picture.path).read_bytes().decode() == picture.id


def test_outputs_inside_the_input_are_no_input(folder: Path) -> None:
    assert ids(folder, leave_out=[folder / "deep" / "c.txt"]) == ["a.jpg", "deep/er/b.PNG"]


def test_a_linked_folder_is_entered_and_a_circle_left(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    os.symlink(folder, tmp_path / "links" / "more")
    os.symlink(folder, folder / "deep" / "circle")
    assert ids(tmp_path / "links") == [f"more/{name}" for name in sorted(NAMES)]


def test_a_pattern_counts_from_its_first_plain_folder(folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    assert ids("*.jpg") == ["a.jpg"]
    assert ids("deep/**/*.PNG") == ["er/b.PNG"]
    assert ids("./**") == sorted(NAMES)


def test_a_zip_lists_its_members(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.ZIP"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*NAMES, "__MACOSX/._a.jpg"):
            archive.writestr(name, name)
        archive.writestr("empty/", "")
    found = unlabelled.listed(str(path))
    assert [picture.member for picture in found] == sorted(NAMES)
    assert {picture.path for picture in found} == {str(path)}


@pytest.mark.parametrize("column", ["path", "Id"])
def test_a_csv_keeps_its_order_and_paths_start_beside_it(folder: Path, column: str) -> None:
    table = folder / "list.csv"
    absolute = str(folder / "a.jpg")
    table.write_text(f"\ufeff{column},other\ndeep/er/b.PNG,1\n{absolute},2\nnone.jpg,3\n")
    found = unlabelled.listed(str(table))
    assert [picture.id for picture in found] == ["deep/er/b.PNG", absolute, "none.jpg"]
    assert Path(found[0].path) == folder / "deep/er/b.PNG"
    assert found[1].path == absolute


def test_one_file_is_its_name(folder: Path) -> None:
    assert ids(folder / "a.jpg") == ["a.jpg"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("absent", "no such file or folder"),
        ("absent/*.jpg", "matches no file"),
        ("empty", "holds no file"),
        ("bad.zip", "not a readable zip"),
        ("labels.csv", "must name a column path or Id"),
        ("header.csv", "no line"),
        ("hole.csv", "line 3: path is empty"),
    ],
)
def test_what_is_no_input(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.zip").write_bytes(b"PK no")
    (tmp_path / "labels.csv").write_text("file,label\na.jpg,b\n")
    (tmp_path / "header.csv").write_text("path\n")
    (tmp_path / "hole.csv").write_text("path,x\na.jpg,1\n,2\n")
    with pytest.raises(UsageError, match=said):
        unlabelled.listed(str(tmp_path / source))
