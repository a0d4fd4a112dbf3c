"""A file is there whole, or as it was before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfrecords.system import atomic


def test_bytes_and_text(tmp_path: Path) -> None:
    atomic.write_bytes(tmp_path / "a", b"1")
    atomic.write_text(str(tmp_path / "b"), "é\n")
    with atomic.open_text(tmp_path / "c", newline="", errors="surrogateescape") as file:
        file.write("\udcff\r\n")
    assert [(tmp_path / name).read_bytes() for name in "abc"] == [b"1", "é\n".encode(), b"\xff\r\n"]
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


@pytest.mark.parametrize("durable", [True, False])
def test_nobody_sees_half_a_file(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"earlier")
    with atomic.open_bytes(path, durable=durable) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"earlier"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ValueError])
def test_an_error_leaves_the_earlier_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"earlier")
    with pytest.raises(error), atomic.open_text(path) as file:
        file.write("half")
        raise error
    assert path.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["a"]


def test_a_library_gets_a_path_of_the_same_extension(tmp_path: Path) -> None:
    with atomic.temporary_path(tmp_path / "model.keras") as path:
        assert path.suffix == ".keras" and path.parent == tmp_path
        assert atomic.is_temporary(path.name)
        path.write_bytes(b"1")
    assert os.listdir(tmp_path) == ["model.keras"]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 125 + ".png"])
def test_the_longest_names_are_written(tmp_path: Path, name: str) -> None:
    atomic.write_bytes(tmp_path / name, b"1")
    assert os.listdir(tmp_path) == [name]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere" / "a", tmp_path / "a")
    atomic.write_bytes(tmp_path / "a", b"1")
    assert (tmp_path / "a").is_symlink()
    assert (tmp_path / "elsewhere" / "a").read_bytes() == b"1"


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    atomic.write_text(tmp_path / "pipe", "1", durable=False)
    assert os.read(reader, 9) == b"1"
    os.close(reader)


def test_a_missing_folder_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        atomic.write_bytes(tmp_path / "absent" / "a", b"")
    assert raised.value.filename == str(tmp_path / "absent" / "a")


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"")
    with pytest.raises(FileNotFoundError), atomic.temporary_path(tmp_path / "a") as path:
        path.write_bytes(b"")
        atomic.remove_temporary(tmp_path)
    assert os.listdir(tmp_path) == ["kept"]
    atomic.remove_temporary(tmp_path / "absent")
