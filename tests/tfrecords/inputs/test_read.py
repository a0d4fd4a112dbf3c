"""What is opened and read: regular files, no more of them than was listed, and unchanged."""

from __future__ import annotations

import dataclasses
import os
import pickle
import socket
import time
from pathlib import Path

import pytest

from tests.support.inputs.archives import members, zip_bytes
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import listing
from tfrecords.inputs.files import LOCAL, FileRefused
from tfrecords.inputs.layout import unlabelled
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.read import read_source, reason_of
from tfrecords.inputs.rows import UNKNOWN_SIZE, InputPath, SourceFile


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A class folder with everything in it that is no regular file, and one that is."""
    folder = tmp_path / "in" / "cat"
    folder.mkdir(parents=True)
    (folder / "good.jpg").write_bytes(b"good")
    os.mkfifo(folder / "pipe.jpg")
    os.symlink("/dev/zero", folder / "zero.jpg")
    os.symlink("/dev/tty", folder / "tty.jpg")
    with open(folder / "sparse.jpg", "wb") as file:
        file.truncate(3 << 30)
    with socket.socket(socket.AF_UNIX) as unix:
        here = os.getcwd()
        os.chdir(folder)  # A socket's path may have 107 bytes.
        try:
            unix.bind("socket.jpg")
        finally:
            os.chdir(here)
    return tmp_path / "in"


def test_only_regular_files_are_read_and_at_once(odd: Path) -> None:
    began = time.monotonic()
    rows = listing.list_labelled(InputPath("--input_dir", str(odd))).rows
    found = {}
    for row in rows:
        if row.problem is not None:
            found[row.key] = row.problem
            continue
        try:
            assert read_source(row) == b"good"
            found[row.key] = None
        except OSError as error:
            found[row.key] = reason_of(error)
    assert time.monotonic() - began < 10
    assert found == {
        "cat/good.jpg": None,
        "cat/pipe.jpg": RejectReason.NOT_A_FILE,
        "cat/socket.jpg": RejectReason.NOT_A_FILE,
        "cat/sparse.jpg": RejectReason.TOO_MANY_BYTES,
        "cat/tty.jpg": RejectReason.NOT_A_FILE,
        "cat/zero.jpg": RejectReason.NOT_A_FILE,
    }


def test_a_table_may_name_what_is_no_file(odd: Path) -> None:
    table = odd / "t.csv"
    table.write_text("path,label\ncat/good.jpg,a\ncat/pipe.jpg,a\ncat,b\ncat/zero.jpg,b\n")
    rows = listing.list_labelled(
        InputPath("--input_dir", str(odd)), InputPath("--input_csv", str(table))
    ).rows
    assert {row.key: row.problem for row in rows} == {
        "cat/good.jpg": None,
        "cat/pipe.jpg": RejectReason.NOT_A_FILE,
        "cat": RejectReason.NOT_A_FILE,
        "cat/zero.jpg": RejectReason.NOT_A_FILE,
    }


@pytest.mark.parametrize("name", ["pipe.jpg", "zero.jpg", "socket.jpg", "."])
def test_opening_what_is_no_file(odd: Path, name: str) -> None:
    with pytest.raises(FileRefused, match="it is a.*, not a file") as caught:
        LOCAL.open(str(odd / "cat" / name))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.reason, str(copy)) == (RejectReason.NOT_A_FILE, str(caught.value))


def source_of(path: Path) -> SourceFile:
    status = path.stat()
    return SourceFile(path.name, str(path), "cat", status.st_size, status.st_mtime_ns)


@pytest.mark.parametrize("change", ["grown", "shrunk", "written", "replaced"])
def test_a_file_that_changed_since_it_was_listed(tmp_path: Path, change: str) -> None:
    path = tmp_path / "0.jpg"
    path.write_bytes(b"picture")
    os.utime(path, ns=(10**18, 10**18))
    source = source_of(path)
    path.write_bytes({"grown": b"picture!", "shrunk": b"pict"}.get(change, b"PICTURE"))
    with pytest.raises(FileRefused, match="changed since it was listed") as caught:
        read_source(source)
    assert reason_of(caught.value) is RejectReason.CHANGED


def test_a_file_that_grows_is_read_no_further_than_it_was_listed(tmp_path: Path) -> None:
    # Of /proc/self/maps the system says that it has no bytes.
    source = SourceFile("maps", "/proc/self/maps", "cat", 0, 0)
    if not os.path.exists(source.path):
        pytest.skip("Linux is needed")
    with pytest.raises(FileRefused, match="listed with 0 bytes, read more"):
        read_source(source)


def test_a_file_of_unknown_size(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(b"picture")
    source = dataclasses.replace(source_of(tmp_path / "0.jpg"), bytes=UNKNOWN_SIZE)
    assert read_source(source) == b"picture"


def test_an_archive_that_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "in.zip"
    path.write_bytes(zip_bytes({"0.jpg": b"picture"}))
    (member,) = members(path)
    source = unlabelled(member)
    assert read_source(SourceFile.from_json(source.to_json())) == b"picture"
    path.write_bytes(zip_bytes({"0.jpg": b"another picture"}))
    with pytest.raises(FileRefused, match="its archive changed"):
        read_source(source)


def test_the_limit_is_the_persons(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "0.jpg").write_bytes(bytes(11))
    for limit, problem in ((10, RejectReason.TOO_MANY_BYTES), (11, None)):
        (row,) = listing.list_unlabelled(
            InputPath("--input", str(tmp_path)), options=InputOptions(max_bytes=limit)
        )
        assert row.problem is problem
