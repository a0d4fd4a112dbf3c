from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from beam_pipelines.cache import storage
from tfrecords.errors import BakeError


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
    with pytest.raises(
        BakeError,
        match="No space left on device; free some.*command carries on",
    ):
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
    from tests.support.inputs.bucket import FakeBucket

    FakeBucket.root = str(tmp_path)
    storage.make_directory("fake://b/x")
    storage.write_bytes("fake://b/x/one", b"1")
    storage.write_bytes("fake://b/x/two.gz", b"not compressed")
    assert storage.list_names("fake://b/x") == ["one", "two.gz"]
    assert storage.read_bytes("fake://b/x/two.gz") == b"not compressed"
    assert storage.FILES.stat("fake://b/x/one").bytes == 1
    storage.rename("fake://b/x/one", "fake://b/x/two.gz")
    assert storage.list_names("fake://b/x") == ["two.gz"]
    storage.remove("fake://b/x/two.gz")
    assert not storage.exists("fake://b/x/two.gz")


def test_a_remote_directory_is_removed_whole_and_fetched_in_part(tmp_path: Path) -> None:
    pytest.importorskip("apache_beam")
    from tests.support.inputs.bucket import FakeBucket

    FakeBucket.root = str(tmp_path)
    for name in ("one", "deep/er/two", "kept"):
        storage.write_bytes(f"fake://b/{'x/' * (name != 'kept')}{name}", name.encode())
    with storage.fetched("fake://b/x", "one") as local:
        assert os.listdir(local) == ["one"]
        assert storage.read_bytes(os.path.join(local, "one")) == b"one"
    assert not os.path.exists(local)
    storage.remove("fake://b/x")
    assert not storage.exists("fake://b/x/one") and not storage.exists("fake://b/x/deep/er/two")
    assert storage.exists("fake://b/kept")


def test_a_local_directory_is_not_copied(tmp_path: Path) -> None:
    with storage.fetched(str(tmp_path), "absent") as local:
        assert local == str(tmp_path)


def test_file_systems_get_the_options_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("apache_beam")
    from apache_beam.io.filesystems import FileSystems

    monkeypatch.setenv("EVENSHARD_BEAM_ARGUMENTS", "")
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)
    storage.configure(["--s3_region_name=eu-west-1"])
    storage._filesystems()
    options = FileSystems._pipeline_options.get_all_options()
    assert options["s3_region_name"] == "eu-west-1"
