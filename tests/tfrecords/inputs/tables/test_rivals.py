"""Columns that could be taken for another: the paths, the classes, the splits of a table."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.tfrecords.inputs.tables.test_pictures import Bake
from tfrecords.errors import UsageError
from tfrecords.inputs.files import LOCAL
from tfrecords.inputs.options import TableOptions
from tfrecords.inputs.rows import InputPath
from tfrecords.inputs.tables.paths import Finder, FolderPlace
from tfrecords.inputs.tables.pictures import files_of

IDS = [str(number) for number in range(12)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the pictures of `IDS`, beside folders that are called like splits."""
    folder = tmp_path / ".data" / "in"
    for name in ("train", "test"):
        (folder / name).mkdir(parents=True)
    for name in IDS:
        (folder / f"{name}.jpg").write_bytes(f"{name}.jpg".encode())
    return folder


def lines(*columns: list[str]) -> str:
    """Returns the lines of a table without a header; shorter columns begin again."""
    rows = max(map(len, columns))
    return "".join(
        ",".join(column[row % len(column)] for column in columns) + "\n" for row in range(rows)
    )


def test_classes_that_are_called_as_files_are_no_paths(root: Path) -> None:
    # Of the ids one has no file, and every class is the name of one.
    bake = Bake(root, lines(["absent", *IDS[5:]], ["0", "1", "2"]))
    assert bake.labels.keys() == {f"{name}.jpg" for name in IDS[5:]}
    assert set(bake.labels.values()) == {"0", "1", "2"}


@pytest.mark.parametrize("header", ["", "code,species,fold\n"])
def test_splits_that_are_called_as_folders_are_no_paths(root: Path, header: str) -> None:
    table = lines(["absent", *IDS[1:]], ["cat", "dog"], ["train", "train", "test"])
    bake = Bake(root, header + table, **({} if header else {"label_column": ("2",)}))
    assert bake.labels.keys() == {f"{name}.jpg" for name in IDS[1:]}
    assert {row.split for row in bake.rows} == {"train", "test"}


@pytest.mark.parametrize("first", ["0", "absent", "both"])
def test_a_first_line_of_ids_is_a_row_though_its_file_is_missing_or_in_two_folders(
    root: Path, first: str
) -> None:
    for name in IDS:
        (root / f"{name}.jpg").rename(root / "train" / f"{name}.jpg")
    for name in ("train", "test"):
        (root / name / "both.jpg").write_bytes(f"{name}/both.jpg".encode())
    table = root.parent / "train.csv"
    table.write_text(lines([first, *IDS[1:]], ["cat", "dog"]))
    notes: list[str] = []
    source = InputPath("--input_csv", str(table))
    rows = files_of(
        source, table.read_bytes(), Finder(FolderPlace(str(root), LOCAL)), TableOptions(),
        notes.append, labelled=True,
    )  # fmt: skip
    assert len(rows) == len(IDS)
    assert (rows[0].row.path, rows[0].row.label) == (first, "cat")
    assert any("its first line is no header" in note for note in notes)


def test_a_picture_without_a_suffix_is_a_rival(root: Path) -> None:
    (root / "train" / "a").write_bytes(b"train/a")
    (root / "test" / "a.jpg").write_bytes(b"test/a.jpg")
    with pytest.raises(UsageError, match="'a' is 't[a-z]+/a(.jpg)?' or 't[a-z]+/a(.jpg)?'"):
        Bake(root, "path,label\na,cat\n0.jpg,dog\n")


NAMES = [f"{name}.jpg" for name in IDS]


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        # A box, a size that is always the same, scores, and the number of the class itself.
        ([["cat", "dog"], ["0"], ["1", "5"], ["9", "8", "3"], ["7"]], "cat"),
        ([["cat", "dog"], ["64"]], "cat"),
        ([["cat", "dog"], [f"0.{number}1" for number in range(12)]], "cat"),
        ([["1", "0"], ["cat", "dog"]], "cat"),
    ],
)
def test_text_beside_numbers_is_the_class_without_a_header(
    root: Path, columns: list[list[str]], label: str
) -> None:
    assert Bake(root, lines(NAMES, *columns)).labels["0.jpg"] == label


@pytest.mark.parametrize(
    "columns",
    [
        [["0", "1", "2"], ["web", "camera"]],
        [["web", "camera"], ["0", "0", "1"]],
        [["0", "1"], ["64"], ["f", "m", "m"]],
        # As many texts as pictures are no classes, and the numbers may be.
        [["0", "1"], [f"{number:032x}a" for number in range(12)]],
    ],
)
def test_text_beside_numbers_that_may_be_the_classes_stops(
    root: Path, columns: list[list[str]]
) -> None:
    with pytest.raises(UsageError, match="--label_column"):
        Bake(root, lines(NAMES, *columns))


@pytest.mark.parametrize("seed", range(8))
def test_the_order_of_rows_and_columns_makes_no_difference(root: Path, seed: int) -> None:
    header = ["Unnamed: 0", "image_id", "species", "data set", "source", "score"]
    columns = [
        [str(100 + number) for number in range(12)],
        ["absent", *IDS[1:]],
        ["0", "1", "2"],
        ["Training", "Training", "Testing"],
        ["web", "", "n/a", "x"],
        [f"0.{number}" for number in range(12)],
    ]
    rows = [line.split(",") for line in lines(*columns).splitlines()]
    shuffled = random.Random(seed)
    order = shuffled.sample(range(len(header)), len(header))
    shuffled.shuffle(rows)
    text = "\n".join(",".join(row[place] for place in order) for row in [header, *rows])
    bake = Bake(root, text)
    assert bake.labels == {f"{name}.jpg": str(int(name) % 3) for name in IDS[1:]}
    assert {row.key: row.split for row in bake.rows if row.problem is None} == {
        f"{name}.jpg": "test" if int(name) % 3 == 2 else "train" for name in IDS[1:]
    }
