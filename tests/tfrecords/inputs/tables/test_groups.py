"""Columns of what several pictures are of: read where they are named, else said to leak."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from tests.tfrecords.inputs.tables.test_pictures import NAMES, Bake
from tfrecords.errors import UsageError
from tfrecords.inputs import listing
from tfrecords.inputs.options import InputOptions, TableOptions
from tfrecords.inputs.rows import InputPath, SourceFile

CLASSES = ("cat", "cat", "dog", "dog")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the pictures of `NAMES`, each of bytes of its own."""
    folder = tmp_path / ".data" / "in"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def table(header: str, *columns: tuple[str, ...]) -> str:
    """Returns a table of `NAMES`, their classes and some columns."""
    rows = zip(NAMES, CLASSES, *columns, strict=True)
    return "\n".join([f"path,label,{header}", *map(",".join, rows), ""])


def groups(bake: Bake) -> list[str | None]:
    return [row.group for row in bake.rows]


def test_values_are_texts_without_the_blanks_around_them(root: Path) -> None:
    bake = Bake(root, table("who", ("007", " 7", "7 ", "  ")), group_column="who")
    assert groups(bake) == ["007", "7", "7", None]
    assert bake.notes == []
    assert groups(Bake(root, table("who", ("7", "7", "8", "8")))) == [None] * 4


@pytest.mark.parametrize("given", ["Patient ID", "patient id", "3"])
def test_a_column_by_name_or_number(root: Path, given: str) -> None:
    assert groups(Bake(root, table("Patient ID", tuple("ppqq")), group_column=given)) == [*"ppqq"]


def test_equal_names_in_unicode_are_one_group(root: Path) -> None:
    names = tuple(unicodedata.normalize(form, "Käfer") for form in ("NFC", "NFD")) * 2
    bake = Bake(root, table("who", names), group_column="who")
    assert groups(bake) == [unicodedata.normalize("NFC", "Käfer")] * 4


def test_what_utf_8_has_not_is_a_group_all_the_same(root: Path) -> None:
    rows = [{"path": n, "label": c, "who": "\ud800"} for n, c in zip(NAMES, CLASSES, strict=True)]
    table = root / "t.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)))
    found = listing.list_labelled(
        InputPath("--input_dir", str(root)),
        InputPath("--input_csv", str(table)),
        options=InputOptions(TableOptions(group_column="who")),
    )
    assert [row.group for row in found.rows] == ["\\ud800"] * 4


@pytest.mark.parametrize(
    "given, problem",
    [
        ("patien", "has the columns path, label, patient, split; did you mean 'patient'?"),
        ("x", "--group_column=x: --input_csv=.* has the columns path, label, patient, split$"),
        ("path", "has its paths in that column: name the one of what several pictures are of"),
        ("2", "--group_column=2: --input_csv=.* has its classes in that column"),
        ("split", "has its splits in that column"),
    ],
)
def test_a_column_that_is_not_there_or_is_another_is_refused(
    root: Path, given: str, problem: str
) -> None:
    text = table("patient,split", tuple("ppqq"), ("train", "train", "test", "train"))
    with pytest.raises(UsageError, match=problem) as error:
        Bake(root, text, group_column=given)
    assert "\n" not in str(error.value)


def test_one_of_several_columns_of_classes_is_none_of_groups(root: Path) -> None:
    rows = "".join(f"{name},{1 - n // 2},{n // 2}\n" for n, name in enumerate(NAMES))
    with pytest.raises(UsageError, match="has its classes in that column"):
        Bake(root, f"path,cat,dog\n{rows}", label_column=("cat", "dog"), group_column="dog")


def test_a_column_that_may_leak_is_said_with_the_flag(root: Path) -> None:
    text = table("Patient ID", tuple("ppqr"))
    said = "'Patient ID' (3 values in 4 rows) is not read, and pictures with the same value may get"
    bake = Bake(root, text)
    assert bake.said(said)
    assert bake.said("into several splits; --group_column='Patient ID' keeps them together")
    assert not Bake(root, text, group_column="Patient ID").said("not read")


@pytest.mark.parametrize(
    "column", ["video", "video_id", "seq_id", "photographer", "location", "site_no", "driver"]
)
def test_names_of_columns_that_may_leak(root: Path, column: str) -> None:
    assert Bake(root, table(column, tuple("ppqr"))).said(f"--group_column={column} keeps")


def test_names_of_columns_that_say_where_on_a_body_are_no_groups(root: Path) -> None:
    assert Bake(root, table("anatom_site", tuple("ppqr"))).notes == []


@pytest.mark.parametrize(
    "patients, tracks, said",
    [
        (("p", "p", "q", "q"), ("1", "1", "2", "3"), False),
        (("p", "p", "q", "q"), ("1", "2", "2", "3"), True),
        (("p", "p", "", ""), ("1", "2", "3", "3"), True),
    ],
)
def test_a_column_that_the_groups_keep_whole_is_not_said(
    root: Path, patients: tuple[str, ...], tracks: tuple[str, ...], said: bool
) -> None:
    bake = Bake(root, table("patient,track", patients, tracks), group_column="patient")
    assert bake.said("'track' (3 values in 4 rows) is not read") == said


def test_words_for_no_value_are_said(root: Path) -> None:
    bake = Bake(root, table("who", ("nan", "NaN", "nan", "")), group_column="who")
    assert bake.said("2 rows with 'nan' in its column 'who', as programs write a value that is")
    assert not bake.said("'NaN'")


def test_a_row_without_a_group_is_the_line_that_it_was() -> None:
    row = SourceFile("a/0.jpg", "/a/0.jpg", "a", 3, 4)
    line = '["a/0.jpg","/a/0.jpg","a",3,4,null,null,null,null]'
    assert row.to_json() == line and SourceFile.from_json(line) == row
    grouped = SourceFile("a/0.jpg", "/a/0.jpg", "a", 3, 4, group="p")
    assert SourceFile.from_json(grouped.to_json()) == grouped
