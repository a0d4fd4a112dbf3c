from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from beam_pipelines import storage
from beam_pipelines.errors import BakeError


def test_a_published_file_is_whole(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    with storage.publish(path, durable=True) as file:
        file.write(b"12")
        assert not os.path.exists(path)
        file.write(b"34")
    assert storage.read_bytes(path) == b"1234"
    assert storage.list_names(str(tmp_path)) == ["a"]


def test_a_broken_off_file_never_appears(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    storage.write_bytes(path, b"earlier")
    with pytest.raises(KeyboardInterrupt), storage.publish(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert storage.read_bytes(path) == b"earlier"
    assert storage.list_names(str(tmp_path)) == ["a"]


def test_a_full_disk_is_one_readable_line() -> None:
    with pytest.raises(BakeError, match="No space left on device.*Make room"):
        with storage.publish("/dev/shm/never") as file:
            assert file.writable()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not os.path.exists("/dev/shm/never")


def test_another_error_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.write_bytes(str(tmp_path / "absent" / "a"), b"")


def test_temporary_names_are_recognised(tmp_path: Path) -> None:
    with storage.publish(str(tmp_path / "a")):
        (name,) = storage.list_names(str(tmp_path))
        assert storage.is_temporary(name)
    assert not storage.is_temporary("a")


def test_schemes_are_remote_and_paths_are_not() -> None:
    assert storage.is_remote("gs://bucket/a")
    assert storage.is_remote("s3://bucket/a")
    assert not storage.is_remote("/gs:/a")
    assert not storage.is_remote("C:/a")


def test_remote_paths_go_through_beam(tmp_path: Path) -> None:
    """Beam's own local file system answers to no scheme; a registered one stands for a bucket."""
    pytest.importorskip("apache_beam")
    from tests.beam_pipelines.bucket import FakeBucket

    FakeBucket.root = str(tmp_path)
    storage.make_directory("fake://b/x")
    storage.write_bytes("fake://b/x/one", b"1")
    storage.write_bytes("fake://b/x/two.gz", b"not compressed")
    assert storage.list_names("fake://b/x") == ["one", "two.gz"]
    assert storage.read_bytes("fake://b/x/two.gz") == b"not compressed"
    assert storage.size("fake://b/x/one") == 1
    storage.rename("fake://b/x/one", "fake://b/x/two.gz")
    assert storage.list_names("fake://b/x") == ["two.gz"]
    storage.remove("fake://b/x/two.gz")
    assert not storage.exists("fake://b/x/two.gz")
