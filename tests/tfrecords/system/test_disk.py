"""A disk's fault is recognised, whichever library tells it."""

from __future__ import annotations

import errno
import os
import resource
import traceback
from pathlib import Path

import pytest

from tfrecords.errors import EvenshardError, UsageError
from tfrecords.system import atomic, disk, locks
from tfrecords.system.disk import DiskError, Fault


class LibraryError(Exception):
    """Of a library that has errors of its own."""


def os_error(number: int, path: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), path)


def raised_from(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def raised_while_handling(error: Exception, handled: BaseException) -> Exception:
    error.__context__ = handled
    return error


def as_text_of_traceback(error: Exception) -> str:
    try:
        raise error
    except Exception:
        return traceback.format_exc()


@pytest.mark.parametrize("number", disk.NUMBERS)
def test_every_kind_names_the_path_and_says_what_to_do(number: int) -> None:
    fault = disk.find(os_error(number, "out/file"))
    assert fault == Fault(number, "out/file")
    line = fault.line()
    assert "out/file" in line and os.strerror(number) in line and "\n" not in line
    assert line.endswith(fault.advice) and fault.line("known").count("known") == 1
    assert os.strerror(number) in Fault(number).line()


@pytest.mark.parametrize(
    ("error", "path"),
    [
        # numpy and Arrow have the number; HDF5, Keras and TensorFlow have a text.
        (OSError(errno.ENOSPC, "Error writing bytes to file. Detail: [errno 28]"), ""),
        (
            OSError(
                "[Errno 28] Can't write data (file write failed: time = x, filename = 'm.h5', "
                "file descriptor = 8, errno = 28, error message = 'No space left on device')"
            ),
            "",
        ),
        (RuntimeError("unable to flush (errno = 28)"), ""),
        (LibraryError("/out/a.index; No space left on device"), "/out/a.index"),
        (LibraryError("{{node X}} /out/events; No space left on device [Op:Y]"), "/out/events"),
        (raised_from(LibraryError("cannot save"), os_error(errno.ENOSPC, "x")), "x"),
        (raised_while_handling(KeyError("k"), os_error(errno.ENOSPC, "x")), "x"),
        (RuntimeError(as_text_of_traceback(os_error(errno.ENOSPC, "/a b/c"))), "/a b/c"),
    ],
)
def test_a_full_disk_is_recognised(error: BaseException, path: str) -> None:
    assert disk.find(error) == Fault(errno.ENOSPC, path)


@pytest.mark.parametrize(
    "error",
    [
        os_error(errno.ENOENT, "x"),
        ValueError("no"),
        UsageError("cannot write x: No space left on device; said already"),
        # A permission that lacked was dealt with before the error came.
        raised_while_handling(KeyError("k"), os_error(errno.EACCES, "x")),
    ],
)
def test_other_errors_are_none(error: BaseException) -> None:
    assert disk.find(error) is None


def test_errors_in_a_circle_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert disk.find(first) is None


def test_explained_names_the_path_that_a_person_knows() -> None:
    with pytest.raises(DiskError, match="cannot write out: Disk quota exceeded; delete or move"):
        with disk.explained("out"):
            raise LibraryError("/out/.tmp-1: Disk quota exceeded")
    for error in (LibraryError("else"), EvenshardError("ours: No space left on device")):
        with pytest.raises(type(error), match=str(error)), disk.explained("out"):
            raise error


@pytest.fixture
def files_of_4_kb() -> object:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_names_the_file_it_was_for(
    tmp_path: Path, files_of_4_kb: object
) -> None:
    """The system's own error of `write` has no path."""
    with pytest.raises(OSError) as caught:
        atomic.write_bytes(tmp_path / "a", bytes(1 << 21))
    assert disk.find(caught.value) == Fault(errno.EFBIG, str(tmp_path / "a"))
    assert os.listdir(tmp_path) == []


def test_a_lock_is_held_on_a_full_disk(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with locks.locked(tmp_path / "lock", "x", "y"):
            assert locks.is_locked(tmp_path / "lock")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
