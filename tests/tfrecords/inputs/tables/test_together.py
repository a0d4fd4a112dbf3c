"""Several tables as one input: read as one table would be, and their splits kept."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfrecords.errors import UsageError
from tfrecords.inputs import listing
from tfrecords.inputs.options import InputOptions, TableOptions
from tfrecords.inputs.rows import InputPath

NAMES = tuple(f"{n}.jpg" for n in range(6))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def listed(
    root: Path, tables: dict[str, str], splits: bool = True, **options: object
) -> listing.Listing:
    """Returns what is listed for tables: "train" → its text, in train.csv."""
    for name, text in tables.items():
        (root / f"{name}.csv").write_text(text)
    named = (f"{f'{name}=' if splits else ''}{root / name}.csv" for name in tables)
    return listing.list_labelled(
        InputPath("--input_dir", str(root)),
        InputPath("--input_csv", ",".join(named)),
        options=InputOptions(TableOptions(**options)),  # type: ignore[arg-type]  # Values of a table.
    )


def content(found: listing.Listing) -> list[tuple[str, str | None, str | None]]:
    return [(row.key, row.split, row.class_name) for row in found.rows]


def rows(*pairs: str, header: str = "path,label") -> str:
    return "\n".join([header, *pairs]) + "\n"


def test_the_rows_of_a_table_get_its_split(root: Path) -> None:
    tables = {
        "train": rows("0.jpg,cat", "1.jpg,dog"),
        "val": rows("cat;2.jpg", "dog;3.jpg", header="species;file"),
        "extra": '[{"image": "4.jpg", "label": "cat"}]',
    }
    found = listed(root, tables)
    assert content(found) == [
        ("0.jpg", "train", "cat"), ("1.jpg", "train", "dog"), ("2.jpg", "validation", "cat"),
        ("3.jpg", "validation", "dog"), ("4.jpg", "extra", "cat"),
    ]  # fmt: skip
    text = "\n".join(found.notes)
    assert "val.csv: its fields are separated by ';'" in text
    assert "1 picture in the folders of its files not in the tables, and left out; such as" in text
    without = listed(root, tables, splits=False)
    assert {row.split for row in without.rows} == {None}
    assert [row.class_name for row in without.rows] == [row.class_name for row in found.rows]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(["cat", "dog"]), st.booleans()),
        min_size=2,
        max_size=8,
    )
)
def test_tables_are_read_as_one_with_all_their_rows(
    root: Path, given_rows: list[tuple[str, str, bool]]
) -> None:
    parts = [[row for row in given_rows if row[2] is own] for own in (True, False)]
    if not all(parts):
        return
    several = listed(
        root,
        {f"t{n}": rows(*(f"{p},{c}" for p, c, _ in part)) for n, part in enumerate(parts)},
        splits=False,
    )
    together = [row for part in parts for row in part]
    one = listed(root, {"one": rows(*(f"{p},{c}" for p, c, _ in together))}, splits=False)
    assert content(several) == content(one)
    assert len(several.notes) == len(one.notes)


def test_a_file_in_two_tables(root: Path) -> None:
    first, again = rows("0.jpg,cat", "1.jpg,dog"), rows("./0.jpg,cat", "2.jpg,dog")
    found = listed(root, {"a": first, "b": again}, splits=False)
    assert [row.key for row in found.rows] == ["0.jpg", "0.jpg (2)", "1.jpg", "2.jpg"]
    said = f"1 repeated row, kept once; line 2 of {root}/b.csv is line 2 of {root}/a.csv"
    assert any(said in note for note in found.notes)
    other = listed(root, {"a": first, "b": rows("0.jpg,dog")}, splits=False)
    assert any("for --label_conflicts to decide; line 2 of" in note for note in other.notes)
    with pytest.raises(
        UsageError, match="line 2 of .*/train.csv and line 2 of .*/test.csv put"
    ) as e:
        listed(root, {"train": first, "test": again})
    assert "into two splits, train and test: remove one of them" in str(e.value)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"train": rows("0.jpg,cat"), "val": "path,label\n"}, "val.csv has a header and no rows"),
        ({"train": rows("0.jpg,cat"), "val": rows("9.jpg,cat")}, "val.csv: none of its 1 files"),
        ({"train": rows("0.jpg,cat"), "Fold-1": rows("1.jpg,cat")}, "not 'Fold-1'"),
        (
            {"train": rows("0.jpg,cat,val", header="path,label,split")},
            "train.csv line 2: its column says that it is of the split validation, and train= ",
        ),
    ],
)
def test_what_is_not_certain_stops(root: Path, tables: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        listed(root, tables)
    assert "\n" not in str(error.value)


def test_a_column_that_says_the_same_or_is_not_read(root: Path) -> None:
    text = rows("0.jpg,cat,TRAIN", "1.jpg,dog,", header="path,label,split")
    assert [row.split for row in listed(root, {"train": text}).rows] == ["train", "train"]
    other = listed(root, {"test": text}, split_column="none")
    assert [row.split for row in other.rows] == ["test", "test"]


def test_in_an_archive(root: Path) -> None:
    archive = root / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in NAMES:
            file.writestr(f"in/{name}", name)
        file.writestr("train.csv", rows("0.jpg,cat", "1.jpg,dog"))
        file.writestr("test.csv", rows("2.jpg,cat"))
    for tables in ("train=train.csv,test=test.csv", f"train={archive}/train.csv,test=test.csv"):
        found = listing.list_labelled(
            InputPath("--input_dir", f"{archive}/in"), InputPath("--input_csv", tables)
        )
        assert [row.split for row in found.rows] == ["train", "train", "test"]
    with pytest.raises(UsageError, match="there is no one table 'val.csv' in"):
        listing.list_labelled(
            InputPath("--input_dir", str(archive)), InputPath("--input_csv", "train.csv,val.csv")
        )


@pytest.mark.parametrize("is_archive", [False, True])
def test_paths_start_from_the_folder_of_each_table(tmp_path: Path, is_archive: bool) -> None:
    """As those of one table do, whatever is called the same elsewhere."""
    root = tmp_path / "in.zip" if is_archive else tmp_path / "in"
    content = {f"{split}/{name}": split for split in ("train", "test") for name in NAMES[:3]}
    content |= {
        f"{split}/t.csv": rows(*(f"{name},cat" for name in (*NAMES[:4], "gone.jpg")))
        for split in ("train", "test")
    }
    content["3.jpg"] = "beside the folders"
    if is_archive:
        with zipfile.ZipFile(root, "w") as archive:
            for name, text in content.items():
                archive.writestr(name, text)
    else:
        for name, text in content.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    found = listing.list_labelled(
        InputPath("--input_dir", str(root)),
        InputPath("--input_csv", f"{root}/train/t.csv,{root}/test/t.csv"),
    )
    expected = ["3.jpg", "3.jpg (2)"]
    expected += [f"{s}/{n}" for s in ("test", "train") for n in (*NAMES[:3], "gone.jpg")]
    assert [row.key for row in found.rows] == expected
    # The two files of one name that are missing are two.
    assert [row.key for row in found.rows if row.problem] == ["test/gone.jpg", "train/gone.jpg"]
    notes = "\n".join(found.notes)
    assert f"looked for at {root}/test/gone.jpg" in notes
    assert "found by name" not in notes and "says so" not in notes


def test_a_folder_of_one_table_is_not_advised_for_all(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        for name in NAMES[:3]:
            (tmp_path / split / name).write_text(split)
        (tmp_path / f"{split}.csv").write_text(rows(*(f"{name},cat" for name in NAMES[:3])))
    given = f"train={tmp_path}/train.csv,test={tmp_path}/test.csv"
    found = listing.list_labelled(
        InputPath("--input_dir", str(tmp_path)), InputPath("--input_csv", given)
    )
    assert {(row.key.split("/")[0], row.split) for row in found.rows} == {
        ("train", "train"), ("test", "test"),
    }  # fmt: skip
    assert not any("says so" in note for note in found.notes)
