"""Tables that could be read wrong in silence: read right, said, or refused."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from tests.tfrecords.inputs.tables.test_pictures import Bake
from tfrecords.errors import UsageError

NAMES = [f"{number:03d}.jpg" for number in range(12)]
CLASSES = ("cat", "dog", "bird")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the pictures of `NAMES`, each of bytes of its own."""
    folder = tmp_path / ".data" / "in"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_bytes(name.encode())
    return folder


def table(header: str, line: str, *columns: list[str]) -> str:
    """Returns a table of `NAMES`: `line` has {name}, {id}, {cls} and {0}, {1} … of `columns`."""
    rows = [
        line.format(
            *(column[place % len(column)] for column in columns),
            name=name,
            id=name[:3],
            cls=CLASSES[place % 3],
        )
        for place, name in enumerate(NAMES)
    ]
    return "\n".join([header, *rows] if header else rows)


SAID = {
    "a mark of train": ("image,label,is_train", ["1", "0"], "'is_train' (1, 0) is not read"),
    "folds": ("image,label,Fold", ["0", "1", "2"], "'Fold' (0, 1, 2) is not read"),
    "usage of a leaderboard": ("image,label,Usage", ["Public", "Private"], "'Usage' (Public, Pr"),
}


@pytest.mark.parametrize("case", SAID)
def test_columns_that_may_be_splits_and_are_not_read_are_said(root: Path, case: str) -> None:
    header, words, said = SAID[case]
    bake = Bake(root, table(header, "{name},{cls},{0}", words))
    assert {row.split for row in bake.rows} == {None}
    assert bake.said(said), bake.notes


@pytest.mark.parametrize("column", ["source", "patient", "sex", "width"])
def test_other_columns_are_left_without_a_word(root: Path, column: str) -> None:
    bake = Bake(root, table(f"image,label,{column}", "{name},{cls},{0}", ["1", "0"]))
    assert not bake.said(column)


READ = {
    "FER-2013": (["Training", "PublicTest", "PrivateTest"], ["train", "test", "test"], "Usage"),
    "a name that says nothing": (["train", "val", "test"], ["train", "validation", "test"], "tvt"),
}


@pytest.mark.parametrize("case", READ)
def test_splits_are_known_by_their_words(root: Path, case: str) -> None:
    words, splits, column = READ[case]
    bake = Bake(root, table(f"image,label,{column}", "{name},{cls},{0}", words))
    assert [row.split for row in bake.rows][:3] == splits
    assert bake.said(f"splits are taken from column {column!r}")


def test_a_column_of_splits_with_another_word_is_refused(root: Path) -> None:
    text = table("image,label,Split", "{name},{cls},{0}", ["Train", "Test", "extra"])
    with pytest.raises(UsageError, match="'Split' looks like splits, but has 'extra' too"):
        Bake(root, text)
    bake = Bake(root, text, split_column="Split")
    assert [row.split for row in bake.rows][:3] == ["train", "test", "extra"]
    bake = Bake(root, text, split_column="none")
    assert {row.split for row in bake.rows} == {None}


@pytest.mark.parametrize("word", ["NaN", "0", "my test", "Extra"])
def test_a_split_that_cannot_be_one_is_refused_by_its_line(root: Path, word: str) -> None:
    with pytest.raises(UsageError, match=f"line 3: split is {word!r}: train, validation, test or"):
        Bake(root, table("path,label,split", "{name},{cls},{0}", ["train", word]))


def test_a_first_line_that_names_a_file_is_a_row(root: Path) -> None:
    bake = Bake(root, table("", "{id},{cls}"), path_column="1", label_column=("2",))
    assert len(bake.labels) == len(NAMES)
    assert bake.said("its first line is no header, for '000' is '000.jpg'")
    with pytest.raises(UsageError, match="its first line names the file '000.jpg': a header"):
        Bake(root, table("", "{id},1,0"), path_column="000", label_column=("2", "3"))


@pytest.mark.parametrize("name", ["image", "photo id"])
def test_a_header_is_one_though_a_folder_has_its_name(root: Path, name: str) -> None:
    (root / name).mkdir()
    bake = Bake(root, table(f"{name},label", "{name},{cls}"), path_column=name)
    assert len(bake.labels) == len(NAMES)


LABELS = {
    "values that are missing": (["cat", "NaN", "None"], "8 rows of class 'NaN' and 'None'"),
    "marks of no class": (["0", "1", "-1"], "4 rows of class '-1'"),
    "lists": (
        ["cat", "['dog']", "{'id': 1}"],
        "8 rows with a list or an object for a class, such as ['",
    ),
    "numbers": ([f"{place / 7:.3f}" for place in range(12)], "12 classes in 12 rows, nearly one"),
}


@pytest.mark.parametrize("case", LABELS)
def test_classes_that_may_be_none_are_said(root: Path, case: str) -> None:
    labels, said = LABELS[case]
    bake = Bake(root, table("image,label", "{name},{0}", labels))
    assert bake.said(said), bake.notes


def test_a_second_column_of_classes_is_said(root: Path) -> None:
    text = table("path,label,species", "{name},{0},{cls}", ["0", "1"])
    bake = Bake(root, text)
    assert set(bake.labels.values()) == {"0", "1"}
    assert bake.said("taken from column 'label', and 'species' divides the rows otherwise")
    assert not Bake(root, table("path,label,species", "{name},{0},{cls}", ["0", "1", "2"])).notes


COORDINATES = (
    "x,y", "X,Y", "pos_x,y", "lat,lon", "latitude,longitude", "xmin,ymin", "x1,y1", "cx,cy",
)  # fmt: skip


@pytest.mark.parametrize("names", COORDINATES)
@pytest.mark.parametrize("first", ["label", "class"])
@pytest.mark.parametrize("values", [["12", "40", "7", "8"], ["-0.5", "", "7e2", "90."]])
def test_coordinates_beside_the_classes_are_left_without_a_word(
    root: Path, names: str, first: str, values: list[str]
) -> None:
    text = table(f"path,{first},{names}", "{name},{cls},{0},{0}", values)
    bake = Bake(root, text)
    assert set(bake.labels.values()) == set(CLASSES)
    assert not any(bake.said(repr(name)) for name in names.split(",")), bake.notes
    assert not bake.said("otherwise"), bake.notes


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("path,label,y", "{name},{cls},{0}"),
        ("path,label,x,y", "{name},{cls},{1},{0}"),
        ("path,label,x,y", "{name},{cls},{0},{1}"),
    ],
)
def test_a_y_that_is_no_coordinate_is_another_class(root: Path, header: str, line: str) -> None:
    bake = Bake(root, table(header, line, ["1", "0"], ["left", "right"]))
    assert bake.said("taken from column 'label', and 'y' divides the rows otherwise")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!DOCTYPE html>\n<html>", "is a web page or XML, not a table: a CSV is expected"),
        ('{"image": "000.jpg"}\n', "is JSON, an object with 1 key .*; the forms that are read are"),
    ],
)
def test_what_is_no_table_is_called_by_its_name(root: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Bake(root, text)


def test_ordinary_classes_are_no_news(root: Path) -> None:
    bake = Bake(root, table("path,label", "{name},{cls}"))
    assert not bake.notes


def test_a_one_hot_column_without_a_one_is_said(root: Path) -> None:
    text = table("image,a,b,flag", "{name},{0},{1},0", ["1", "0"], ["0", "1"])
    assert Bake(root, text).said("no row has a 1 in 'flag': no class is made of it")


def test_pictures_beside_those_of_a_table_are_counted(root: Path) -> None:
    lines = table("path,label", "{name},{cls}").splitlines()
    (root / ".hidden.jpg").write_bytes(b"")
    (root / "notes.txt").write_bytes(b"")
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "x.jpg").write_bytes(b"x")
    bake = Bake(root, "\n".join(lines[:8]))
    assert bake.said("5 pictures in the folders of its files not in the table, and left out")
    assert bake.said("such as '007.jpg'")


def test_a_name_in_another_unicode_form_is_found(root: Path) -> None:
    (root / unicodedata.normalize("NFD", "café.jpg")).write_bytes(
        unicodedata.normalize("NFC", "café.jpg").encode()
    )
    bake = Bake(root, unicodedata.normalize("NFC", "path,label\ncafé.jpg,a\n000.jpg,b\n"))
    assert len(bake.labels) == 2
