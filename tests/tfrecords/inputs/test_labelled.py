"""What a bake lists: class folders, archives of them, CSVs."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import listing
from tfrecords.inputs.options import InputOptions, TableOptions
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import InputPath, SourceFile
from tfrecords.inputs.rules import InputRules


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    return fakes.write_folders(tmp_path / "pictures", {"apu": 3, "bart": 2})


def by_key(rows: tuple[SourceFile, ...]) -> dict[str, SourceFile]:
    assert [row.key for row in rows] == sorted(row.key for row in rows)
    assert len({row.key for row in rows}) == len(rows)
    return {row.key: row for row in rows}


def listed(input_dir: str, input_csv: str | None = None) -> tuple[SourceFile, ...]:
    table = None if input_csv is None else InputPath("--input_csv", input_csv)
    return listing.list_labelled(InputPath("--input_dir", input_dir), table).rows


def check_readable(rows: tuple[SourceFile, ...], root: Path) -> None:
    for row in rows:
        assert read_source(row) == (root / row.key).read_bytes()


def test_class_folders(folders: Path) -> None:
    (folders / "apu" / "more" / "deep").mkdir(parents=True)
    (folders / "apu" / "more" / "deep" / "x.jpg").write_bytes(b"x")
    rows = listed(str(folders))
    assert len(rows) == 6
    assert by_key(rows)["apu/more/deep/x.jpg"].class_name == "apu"
    assert {row.class_name for row in rows} == {"apu", "bart"}
    assert all(row.problem is None and row.split is None for row in rows)
    check_readable(rows, folders)


def test_rows_survive_json(folders: Path) -> None:
    for row in listed(str(folders)):
        assert SourceFile.from_json(row.to_json()) == row


def test_hidden_files_are_rejected_unread_and_hidden_folders_not_entered(folders: Path) -> None:
    (folders / "apu" / ".DS_Store").write_bytes(b"x")
    (folders / "apu" / "Thumbs.db").write_bytes(b"x")
    (folders / ".git" / "objects").mkdir(parents=True)
    (folders / ".git" / "objects" / "a").write_bytes(b"x")
    rows = by_key(listed(str(folders)))
    hidden = {key for key, row in rows.items() if row.problem is RejectReason.HIDDEN}
    assert hidden == {"apu/.DS_Store", "apu/Thumbs.db", ".git/"}
    assert rows[".git/"].class_name is None


def test_a_file_outside_every_class_is_rejected(folders: Path) -> None:
    (folders / "cover.jpg").write_bytes(b"x")
    row = by_key(listed(str(folders)))["cover.jpg"]
    assert row.problem is RejectReason.NO_CLASS


def test_what_lies_beside_pictures_is_left_out(folders: Path) -> None:
    for name in ("README.md", "apu/0000.jpg.json", "bart/0001.xml", "LICENSE"):
        (folders / name).write_bytes(b"x")
    rows = listed(str(folders))
    assert len(rows) == 9
    left_out = {row.key: row for row in rows if row.problem is RejectReason.SIDECAR}
    assert len(left_out) == 4
    assert {row.class_name for row in left_out.values()} == {None}


def test_include_and_exclude(folders: Path) -> None:
    found = listing.list_labelled(
        InputPath("--input_dir", str(folders)),
        rules=InputRules(include=("*.jpg",), exclude=("/bart/*1.jpg", "nothing")),
    )
    reasons = {row.key: row.problem for row in found.rows}
    assert reasons.pop("bart/0001.jpg") is RejectReason.EXCLUDED
    assert set(reasons.values()) == {None}
    assert found.notes == ("'nothing' matches no file",)


def test_an_earlier_data_set_is_no_class(folders: Path) -> None:
    fakes.write_dataset(folders / "old" / "shards")
    fakes.write_folders(folders / "old" / "shards", {"report": 2})
    rows = by_key(listed(str(folders)))
    assert {row.class_name for row in rows.values()} == {"apu", "bart", None}
    report = rows["old/shards/report/0000.jpg"]
    assert (report.problem, report.class_name) == (RejectReason.OWN_OUTPUT, None)
    with pytest.raises(UsageError, match="is a data set that a bake wrote"):
        listed(str(folders / "old" / "shards"))


def test_empty_folders_are_told_and_are_no_files(folders: Path) -> None:
    for name in ("fox", "apu/empty", "notes"):
        (folders / name).mkdir()
    (folders / "notes" / "a.txt").write_bytes(b"x")
    found = listing.list_labelled(InputPath("--input_dir", str(folders)))
    assert found.notes == ("no class is made of fox/ (empty), notes/ (no pictures)",)
    assert len(found.rows) == 6


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("inside", ["", "data"])
def test_empty_folders_of_an_archive_are_told_as_those_of_a_folder(
    folders: Path, kind: str, inside: str
) -> None:
    for name in ("fox", "apu/empty", "notes", ".git"):
        (folders / name).mkdir()
    (folders / "notes" / "a.txt").write_bytes(b"x")
    below = folders if not inside else folders.rename(folders.parent / inside)
    root = below.parent if inside else below
    base = below.parent.parent / "archive"
    path = shutil.make_archive(str(base), kind, root, inside or None)
    found = listing.list_labelled(InputPath("--input_dir", path))
    (told,) = [note for note in found.notes if "no class is made of" in note]
    assert told == "no class is made of fox/ (empty), notes/ (no pictures)"
    assert len(found.rows) == 6


def test_an_empty_split_folder_is_told(folders: Path) -> None:
    (folders.parent / "test").mkdir()
    found = listing.list_labelled(InputPath("--input_dir", str(folders.parent)))
    assert found.notes == ("the data are in pictures/", "empty folders: test/")


def test_a_folder_of_sidecars_alone_holds_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"no files that could be pictures \(1 sidecar\)"):
        listed(str(tmp_path))


def test_pictures_without_a_class_are_left_for_predict(tmp_path: Path) -> None:
    fakes.write_folders(tmp_path / "train" / "set", {"apu": 2, "bart": 2})
    fakes.write_folders(tmp_path / "testset", {"testset": 3})
    rows = by_key(listed(str(tmp_path)))
    row = rows["testset/testset/0000.jpg"]
    assert (row.class_name, row.split, row.problem) == (None, None, RejectReason.UNLABELLED)
    assert rows["train/set/apu/0000.jpg"].split == "train"


@pytest.mark.parametrize("wrapper", ["", "archive/", "train/", "archive/pets/"])
@pytest.mark.parametrize("archive", [False, True])
def test_a_wrapper_belongs_to_no_key(
    folders: Path, tmp_path: Path, wrapper: str, archive: bool
) -> None:
    root = tmp_path / "around"
    (root / wrapper).parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folders, root / wrapper, dirs_exist_ok=True)
    (root / "cover.jpg").write_bytes(b"x")
    source = shutil.make_archive(str(tmp_path / "a"), "zip", root) if archive else str(root)
    rows = by_key(listed(source))
    cover = "../" * wrapper.count("/") + "cover.jpg"
    assert rows.pop(cover).problem is RejectReason.NO_CLASS
    assert rows.keys() == {row.key for row in listed(str(folders))}
    assert {row.class_name for row in rows.values()} == {"apu", "bart"}


def test_links_are_followed_and_loops_are_not(folders: Path) -> None:
    os.symlink(folders / "bart", folders / "milhouse")
    os.symlink(folders, folders / "bart" / "loop")
    os.symlink(folders / "nowhere", folders / "apu" / "broken.jpg")
    rows = by_key(listed(str(folders)))
    assert "milhouse/0000.jpg" in rows
    assert not any(key.startswith("bart/loop/bart") for key in rows)
    assert rows["apu/broken.jpg"].problem is RejectReason.UNREADABLE


def test_names_are_normalised_and_of_equal_ones_one_gets_a_number(folders: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    (folders / "apu" / composed).write_bytes(b"1")
    (folders / "apu" / decomposed).write_bytes(b"2")
    rows = by_key(listed(str(folders)))
    assert rows[f"apu/{composed}"].problem is None
    twin = rows[f"apu/{composed} (2)"]
    assert (twin.problem, twin.detail) == (
        None,
        "another file has this name after Unicode normalisation",
    )
    assert {read_source(row) for key, row in rows.items() if composed in key} == {b"1", b"2"}


def test_a_name_that_is_not_utf8_is_rejected_and_shown(folders: Path) -> None:
    with open(os.fsencode(folders) + b"/apu/\xff\xfe.jpg", "wb") as file:
        file.write(b"x")
    row = by_key(listed(str(folders)))["apu/\\xff\\xfe.jpg"]
    assert row.problem is RejectReason.NAME_NOT_UTF8


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
@pytest.mark.parametrize("wrapper", ["", "pictures/"])
def test_a_zip_is_read_in_place(folders: Path, tmp_path: Path, method: int, wrapper: str) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(folders.rglob("*.jpg")):
            archive.write(file, wrapper + file.relative_to(folders).as_posix())
        archive.writestr("__MACOSX/apu/._0000.jpg", b"clutter")
    rows = listed(str(path))
    shown = tuple(row for row in rows if row.problem is None)
    assert len(rows) == 6 and len(shown) == 5
    assert {row.class_name for row in shown} == {"apu", "bart"}
    check_readable(shown, folders)


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_archives_inside_are_told(folders: Path, tmp_path: Path, form: str) -> None:
    (folders / "bart" / "more.tar.gz").write_bytes(b"x")
    source = folders
    if form == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "in"), "zip", folders))
    (note,) = listing.list_labelled(InputPath("--input_dir", str(source))).notes
    assert "1 archive in it not opened, such as 'bart/more.tar.gz'" in note


def test_a_tar_is_read_in_place(folders: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(folders, "./")
    rows = listed(str(path))
    assert len(rows) == 5
    check_readable(rows, folders)


def test_split_folders_fix_the_split(tmp_path: Path) -> None:
    fakes.write_folders(tmp_path / "train", {"apu": 2, "bart": 2})
    fakes.write_folders(tmp_path / "val", {"apu": 1, "bart": 1})
    (tmp_path / ".git").mkdir()
    rows = by_key(listed(str(tmp_path)))
    assert rows["train/apu/0000.jpg"].split == "train"
    assert rows["val/bart/0000.jpg"].split == "validation"
    assert {row.class_name for row in rows.values()} == {"apu", "bart", None}


def test_classes_may_be_called_train(tmp_path: Path) -> None:
    fakes.write_folders(tmp_path, {"train": 1, "bus": 1})
    assert {row.class_name for row in listed(str(tmp_path))} == {"train", "bus"}


def test_csv(folders: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("label,path,split\napu,apu/0000.jpg,test\nnew,bart/0001.jpg,\nx,gone.jpg,\n")
    rows = by_key(listed(str(folders), str(table)))
    assert rows["apu/0000.jpg"].split == "test"
    assert rows["bart/0001.jpg"].class_name == "new"
    assert rows["gone.jpg"].problem is RejectReason.MISSING


def test_a_table_may_name_files_in_hidden_folders(tmp_path: Path) -> None:
    (tmp_path / ".scans").mkdir()
    (tmp_path / ".scans" / "a.jpg").write_bytes(b"x")
    table = tmp_path / "t.csv"
    table.write_text("path,label\n.scans/a.jpg,apu\n./.scans/a.jpg,bart\n")
    rows = listed(str(tmp_path), str(table))
    assert [(row.key, row.class_name, row.problem) for row in rows] == [
        (".scans/a.jpg", "apu", None),
        (".scans/a.jpg (2)", "bart", None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,class\n", "a header and no rows"),
        ("a,b,c\n1,2,3\n", "no column is known to hold the paths: name it with --path_column"),
        ("path,a,b\n1,2,3\n", "no column is known to hold the classes: .*--label_column"),
        ("path,label\napu/0000.jpg,\n", "line 2: label is empty"),
        ("path,label\n,apu\n", "line 2: path is empty"),
        (b"path,label\n\xe9.jpg,apu\n", "line 2 is not UTF-8: .*--csv_encoding=cp1252"),
        ("", "is empty"),
    ],
)
def test_csv_errors(folders: Path, tmp_path: Path, text: str | bytes, message: str) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=message):
        listed(str(folders), str(table))


def test_inputs_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "t.csv").write_bytes(b"path,class\na.jpg,apu\n")
    (tmp_path / "bad.zip").write_bytes(b"no")
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(b"no"))
    for name, message in {
        "absent": "does not exist",
        "empty": "holds no files",
        "file": "is not a folder",
        "t.csv": r"is a table: give it as --input_csv=.*t\.csv",
        "bad.zip": "not a readable zip",
        "a.tar.gz": "compressed tar",
    }.items():
        with pytest.raises(UsageError, match=message):
            listed(str(tmp_path / name))


# Files beside pictures in train/ and test/, and what the error advises.
BESIDE = [
    ({}, "give a table of labels with --input_csv, or"),
    ({"train.csv": 4, "sample_submission.csv": 2, "test.csv": 2},
     "--input_csv=IN/train.csv (4 rows), or"),
    ({"labels.tsv": 1}, "--input_csv=IN/labels.tsv (1 row), or"),
    ({"a.csv": 3, "train_labels.csv": 2},
     "train_labels.csv (2 rows) or --input_csv=IN/a.csv (3 rows), or"),
    # It has a column of labels, the same ones or none that are true.
    ({"sample_submission.csv": 2}, "give a table of labels with --input_csv, or"),
    ({"test.csv": 2}, "--input_csv=IN/test.csv (2 rows), or"),
    ({"a.csv": 1, "b.csv": 1, "c.csv": 1, "d.csv": 1}, "(or another of 4 tables there), or"),
]  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("tables", "said"), BESIDE)
def test_pictures_without_class_folders_point_to_the_tables_there(
    tmp_path: Path, tables: dict[str, int], said: str, packed: bool
) -> None:
    root = tmp_path / "in"
    fakes.write_folders(root, {"train": 2, "test": 1})
    for name, rows in tables.items():
        separator = "\t" if name.endswith(".tsv") else ","
        (root / name).write_text(f"id{separator}label\n" + f"1{separator}a\n" * rows)
    where = shutil.make_archive(str(root), "zip", root) if packed else str(root)
    with pytest.raises(UsageError) as caught:
        listed(where)
    assert said.replace("IN", where) in str(caught.value)


def test_a_table_that_cannot_be_read_is_named_all_the_same(tmp_path: Path) -> None:
    fakes.write_folders(tmp_path, {"train": 2, "test": 1})
    (tmp_path / "train.csv").write_bytes(b"id,label\n1\n")
    with pytest.raises(UsageError, match=r"--input_csv=\S+/train.csv, or"):
        listed(str(tmp_path))


def test_a_column_of_classes_without_a_table_is_refused(folders: Path) -> None:
    options = InputOptions(TableOptions(label_column=("breed",)))
    with pytest.raises(UsageError, match="--label_column=breed is for a table or a WebDataset"):
        listing.list_labelled(InputPath("--input_dir", str(folders)), options=options)


def test_what_cannot_be_read_is_told(folders: Path) -> None:
    (folders / "bird").symlink_to("nowhere")
    notes = listing.list_labelled(InputPath("--input_dir", str(folders))).notes
    assert any("cannot be read" in note and "bird (No such file" in note for note in notes)


def test_a_run_among_the_pictures_is_no_class(folders: Path) -> None:
    for name in ("config.json", "metrics.csv", "confusion.png", "report/a.png"):
        path = folders / "runs" / "first" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    rows = listing.list_labelled(InputPath("--input_dir", str(folders))).rows
    own = [row for row in rows if row.key.startswith("runs/")]
    assert {row.problem for row in own} == {RejectReason.OWN_OUTPUT} and len(own) == 4


@pytest.mark.parametrize(
    ("text", "is_said"),
    [
        ("id,label\n0000,x\n0001,y\n0002,x\n0003,y\n", True),
        ("file,label\na/0000.jpg,x\na/0001.jpg,y\nb/0002.jpg,x\nb/0003.jpg,y\n", True),
        ("id,label\n0000,A\n0001,A\n0002,B\n0003,B\n", False),  # The same in other words.
        ("class,pictures\na,2\nb,2\n", False),
        ("id,patient\n0000,1\n0001,2\n0002,1\n0003,3\n", False),
        ("id,Finding Labels\n0000,x\n0001,y\n0002,x\n0003,x\n", True),
        ("id\n0000\n0001\n", False),
        ("<html>", False),
    ],
)
def test_a_table_that_says_otherwise_than_the_folders_is_told(
    tmp_path: Path, text: str, is_said: bool
) -> None:
    for number, name in enumerate("aabb"):
        path = tmp_path / "in" / name / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "in" / "labels.csv").write_text(text)
    notes = listing.list_labelled(InputPath("--input_dir", str(tmp_path / "in"))).notes
    told = [note for note in notes if "labels.csv names these pictures too" in note]
    assert bool(told) == is_said
    assert not told or f"--input_csv={tmp_path}/in/labels.csv (4 rows) reads it" in told[0]


def test_numbers_that_begin_anew_in_each_class_are_told_apart_by_their_folders(
    tmp_path: Path,
) -> None:
    for number, name in enumerate("aabb"):
        path = tmp_path / "in" / name / f"{number % 2}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    table = tmp_path / "in" / "truth.csv"
    table.write_text("key,track,label\na/0.jpg,1,x\na/1.jpg,2,x\nb/0.jpg,1,y\nb/1.jpg,2,y\n")
    assert not listing.list_labelled(InputPath("--input_dir", str(tmp_path / "in"))).notes
    table.write_text("key,track,label\na/0.jpg,1,x\na/1.jpg,2,y\nb/0.jpg,3,x\nb/1.jpg,4,y\n")
    assert listing.list_labelled(InputPath("--input_dir", str(tmp_path / "in"))).notes
