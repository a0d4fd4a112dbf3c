"""Ids that start anew in train/ and in test/: which folder a table means."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import listing
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import InputPath

TWO_FOLDERS = ("train/1.jpg", "train/2.jpg", "test/1.jpg", "test/2.jpg", "test/3.jpg")


@pytest.fixture(params=["folder", "zip"])
def contest(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A contest's data: ids that start anew in train/ and test/, unpacked or in a zip."""
    texts = {
        **{name: name for name in TWO_FOLDERS},
        **{name: "id,label\n1,cat\n2,dog\n" for name in ("train.csv", "labels.csv")},
        "test/more.csv": "id,label\n3,cat\n",
        "lists/mine.csv": "id,label\ntrain/1,cat\ntrain/2,dog\n",
    }
    root = tmp_path / ("c.zip" if request.param == "zip" else "c")
    if request.param == "zip":
        with zipfile.ZipFile(root, "w") as zipped:
            for name, text in texts.items():
                zipped.writestr(name, text)
        return root
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def bytes_of(root: Path, table: Path, notes: list[str] | None = None) -> list[str]:
    found = listing.list_labelled(
        InputPath("--input_dir", str(root)), InputPath("--input_csv", str(table))
    )
    if notes is not None:
        notes += found.notes
    assert {row.problem for row in found.rows} <= {None, RejectReason.MISSING}
    return [read_source(row).decode() for row in found.rows if row.problem is None]


def test_a_root_is_searched_alone_in_a_folder_and_in_a_zip(contest: Path) -> None:
    for folder in ("train", "test"):
        own = [f"{folder}/1.jpg", f"{folder}/2.jpg"]
        assert bytes_of(contest / folder, contest / "labels.csv") == own
    # What it lacks is missing, though test/ has it.
    (contest.parent / "more.csv").write_text("id,label\n1,cat\n3,dog\n")
    assert bytes_of(contest / "train", contest.parent / "more.csv") == ["train/1.jpg"]


def test_a_table_in_a_folder_of_its_own(contest: Path) -> None:
    table = contest / "lists" / "mine.csv"
    assert bytes_of(contest, table) == ["train/1.jpg", "train/2.jpg"]
    if contest.suffix == ".zip":  # A folder without pictures is not where they start.
        assert bytes_of(contest / "lists", table) == ["train/1.jpg", "train/2.jpg"]


def test_the_folder_that_is_called_as_the_table_is_taken_and_said(contest: Path) -> None:
    notes: list[str] = []
    assert bytes_of(contest, contest / "train.csv", notes) == ["train/1.jpg", "train/2.jpg"]
    (note,) = [note for note in notes if "several folders" in note]
    assert "of files in several folders that fit, 2 rows took the one in train/" in note
    assert f"--input_dir={contest}/train says so" in note


def test_what_that_folder_lacks_is_not_taken_from_another(contest: Path) -> None:
    table = contest.parent / "train.csv"
    table.write_text("id,label\n1,cat\n3,dog\n")
    said = (
        r"1 row would take the one in train/.*line 3: '3' is 'test/3.jpg'; "
        r"give --input_dir=\S+/train if all lie there"
    )
    with pytest.raises(UsageError, match=said):
        bytes_of(contest, table)


def test_of_other_tables_the_error_names_the_flag(contest: Path) -> None:
    said = r"line 2: '1' is .* or .*: write the path .*, as in '.*', or .*"
    with pytest.raises(UsageError, match=f"{said}--input_dir={contest}/train$"):
        bytes_of(contest, contest / "labels.csv")


def test_a_prediction_is_told_no_flag_that_it_lacks(contest: Path) -> None:
    notes: list[str] = []
    rows = listing.list_unlabelled(
        InputPath("--input", str(contest / "train.csv")), say=notes.append
    )
    assert [read_source(row).decode() for row in rows] == ["train/1.jpg", "train/2.jpg"]
    assert any("took the one in train/" in note for note in notes)
    with pytest.raises(UsageError, match="write the path from the root") as caught:
        listing.list_unlabelled(InputPath("--input", str(contest / "labels.csv")))
    assert "--input_dir" not in "".join([str(caught.value), *notes])
