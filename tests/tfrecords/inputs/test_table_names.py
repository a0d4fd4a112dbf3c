"""The tables that --input_csv names: one, or several with their splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrecords.errors import UsageError
from tfrecords.inputs.table_names import (
    NamedTable,
    common_folder,
    named_tables,
    own_folders,
    splits,
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.csv", [("", "a.csv")]),
        ("a", [("", "a")]),
        ("a.csv,b.csv", [("", "a.csv"), ("", "b.csv")]),
        (" a.csv , b.json ", [("", "a.csv"), ("", "b.json")]),
        ("train=a.csv", [("train", "a.csv")]),
        (
            "train=a.csv,val=b.csv,test=c.csv",
            [("train", "a.csv"), ("val", "b.csv"), ("test", "c.csv")],
        ),
        ("train=a.csv,train=b.csv", [("train", "a.csv"), ("train", "b.csv")]),
        ("train=~/a.csv, test=/t/b.csv", [("train", "{home}/a.csv"), ("test", "/t/b.csv")]),
        ("gs://b/a.csv,gs://b/b.csv", [("", "gs://b/a.csv"), ("", "gs://b/b.csv")]),
        ("d.zip/a.csv,d.zip/b.csv", [("", "d.zip/a.csv"), ("", "d.zip/b.csv")]),
        # No tables by their names: one, whose opening says what is wrong.
        ("d.zip/a,b.csv", [("", "d.zip/a,b.csv")]),
        ("a.csv,", [("", "a.csv,")]),
        ("a.csv,b", [("", "a.csv,b")]),
        ("in/x=1/a.csv", [("", "in/x=1/a.csv")]),
        ("1=a.csv", [("", "1=a.csv")]),
    ],
)
def test_names(here: Path, text: str, expected: list[tuple[str, str]]) -> None:
    found = [(table.split, table.path) for table in named_tables(text)]
    assert found == [(split, path.format(home=here / "home")) for split, path in expected]


@pytest.mark.parametrize(
    ("there", "text", "expected"),
    [
        (["a,b.csv"], "a,b.csv", [("", "a,b.csv")]),
        (["train=a.csv"], "train=a.csv", [("", "train=a.csv")]),
        (["train=a.csv,test=b.csv"], "train=a.csv,test=b.csv", [("", "train=a.csv,test=b.csv")]),
        (["a,b.csv"], "a,b.csv,c.csv", [("", "a,b.csv"), ("", "c.csv")]),
        (["a,b.csv"], "train=c.csv,test=a,b.csv", [("train", "c.csv"), ("test", "a,b.csv")]),
        (["x=1.csv"], "c.csv,x=1.csv", [("", "c.csv"), ("", "x=1.csv")]),
        (["labels", "more"], "labels,more", [("", "labels"), ("", "more")]),
        (["a.csv", "a.csv,b.csv"], "a.csv,b.csv", [("", "a.csv,b.csv")]),
    ],
)
def test_a_file_that_exists_is_meant_by_its_name(
    here: Path, there: list[str], text: str, expected: list[tuple[str, str]]
) -> None:
    for name in there:
        (here / name).write_text("")
    assert [(table.split, table.path) for table in named_tables(text)] == expected


def test_some_tables_with_a_split_and_some_without_stop() -> None:
    with pytest.raises(UsageError, match="b.csv has no split, and others have one") as error:
        named_tables("train=a.csv,b.csv")
    assert "\n" not in str(error.value)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["train", "test", "my-split"]),
            st.from_regex(r"[a-z./]{1,8}[a-z]\.(csv|json|txt)", fullmatch=True),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_joined_is_taken_apart(tables: list[tuple[str, str]]) -> None:
    own = [NamedTable(path, split) for split, path in tables]
    assert list(named_tables(",".join(f"{s}={p}" for s, p in tables))) == own
    assert [t.path for t in named_tables(",".join(p for _, p in tables))] == [p for _, p in tables]


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["a.csv"], "."),
        (["m/a.csv", "m/b.csv"], "m"),
        (["m/train/a.csv", "m/test/a.csv"], "m"),
        (["train/a.csv", "test/a.csv"], "."),
        (["a.csv", "test/a.csv"], "."),
        (["/x/a.csv", "/y/a.csv"], "/"),
        (["/x/y/a.csv", "/x/yz/a.csv"], "/x"),
        (["d.zip/train/a.csv", "d.zip/a.csv"], "d.zip"),
        (["gs://b/x/a.csv", "gs://b/y/a.csv"], "gs://b"),
    ],
)
def test_the_folder_that_tables_lie_below(paths: list[str], folder: str) -> None:
    assert common_folder(paths) == folder


def test_no_common_folder() -> None:
    with pytest.raises(UsageError, match="tables in /x and in y: give --input_dir"):
        common_folder(["/x/a.csv", "y/a.csv"])


@pytest.mark.parametrize(
    ("root", "paths", "folders"),
    [
        ("m", ["m/train/a.csv", "m/a.csv"], ["train", ""]),
        ("m/", ["m/train/a.csv", "m/test/a.csv"], ["train", "test"]),
        (".", ["train/a.csv", "a.csv"], ["train", ""]),
        ("/", ["/x/a.csv", "/y/z/a.csv"], ["x", "y/z"]),
        ("elsewhere", ["m/train/a.csv", "m/test/a.csv"], ["", ""]),
        ("m", ["m/train/a.csv", "/x/a.csv"], ["", ""]),
        ("m", ["m/a.csv"], [""]),
        ("gs://b", ["gs://b/x/a.csv", "gs://b/a.csv"], ["x", ""]),
    ],
)
def test_the_folders_that_paths_start_from(root: str, paths: list[str], folders: list[str]) -> None:
    assert own_folders(root, paths) == folders


def test_splits_before_tables() -> None:
    assert splits(None) == splits("a.csv,b.csv") == []
    assert splits("train=a.csv,Testing=b.csv,train=c.csv") == ["test", "train"]
