"""Faults of a disk in a person's words: full, over a quota or a limit, read-only, not permitted.

Libraries tell them in many ways: as an OSError with or without a path, as an error of their own
with the system's words inside, as the text of a traceback from another process. They are
recognised here and nowhere else.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tfrecords.errors import EvenshardError

# These come of writing alone. Permission may lack for reading too.
_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
NUMBERS = (*_OF_WRITING, errno.EACCES, errno.EPERM)

_ADVICE = {
    errno.ENOSPC: "free some space there, or choose another place",
    errno.EDQUOT: "delete or move files of yours on that file system, or choose another place",
    errno.EFBIG: "raise the limit of a file's size (`ulimit -f`), or choose a file system that "
    "takes larger files",
    errno.EROFS: "choose a place that can be written to",
    errno.EACCES: "change its permissions, or choose another place",
    errno.EPERM: "change its permissions, or choose another place",
}

# The system's words are also those of TensorFlow, HDF5 and Arrow.
_WORDS = {os.strerror(number): number for number in NUMBERS if number != errno.EPERM}
_NUMBER = re.compile(r"(?:\[Errno |errno = |\[errno )(\d+)", re.IGNORECASE)
# As Python quotes a path behind the words, and as TensorFlow puts one before them.
_PATH_BEHIND = re.compile(r"\A: '([^'\n]+)'")
_PATH_BEFORE = re.compile(r"(/[^\s;:'\"]+)[;:]? *\Z")


class DiskError(EvenshardError):
    """A file cannot be written; the text says where, why and what to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a disk.

    Attributes:
      number: of the error, such as `errno.ENOSPC`.
      path: that could not be written; "" where it is not known.
    """

    number: int
    path: str = ""

    @property
    def reason(self) -> str:
        """The system's words."""
        return os.strerror(self.number)

    @property
    def advice(self) -> str:
        """What to do, as a part of a sentence."""
        return _ADVICE[self.number]

    def line(self, path: str | Path = "") -> str:
        """Returns one line: what cannot be written, why, and what to do.

        Args:
          path: that a person knows, in place of the fault's own.
        """
        shown = os.fsdecode(path) or self.path
        if shown and self.number in _OF_WRITING:
            return f"cannot write {shown}: {self.reason}; {self.advice}"
        if shown:
            return f"{shown}: {self.reason}; {self.advice}"
        return (
            f"cannot write the output or a temporary file: {self.reason}; {self.advice} (TMPDIR "
            f"names the place of temporary files, now {_temporary_directory()})"
        )


def find(error: BaseException) -> Fault | None:
    """Returns the fault of a disk that is behind an error, or None.

    Args:
      error: of any library; what caused it, and the text of it, are looked at too.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    direct = True  # Else it was handled when the next one was raised.
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        fault = _of(current)
        if fault is not None and (direct or fault.number in _OF_WRITING):
            return fault
        direct = direct and current.__cause__ is not None
        current = current.__cause__ or current.__context__
    return None


@contextmanager
def explained(path: str | Path) -> Iterator[None]:
    """Raises what a disk's fault is in the block as one line about `path`.

    For libraries that write files of their own, or under temporary names.

    Raises:
      DiskError: in place of the error of any library that is a disk's fault.
    """
    try:
        yield
    except EvenshardError:
        raise
    except Exception as error:
        fault = find(error)
        if fault is None:
            raise
        raise DiskError(fault.line(path)) from error


def _of(error: BaseException) -> Fault | None:
    if isinstance(error, OSError) and error.errno is not None:
        if error.errno not in NUMBERS:
            return None
        path = error.filename if error.filename is not None else ""
        return Fault(error.errno, os.fsdecode(path) if isinstance(path, (str, bytes)) else "")
    if isinstance(error, EvenshardError):
        return None  # It says in its own words what is wrong.
    return _in_text(str(error))


def _in_text(text: str) -> Fault | None:
    """Returns the fault that a text tells: the last one, as that of a traceback is."""
    found: Fault | None = None
    last = -1
    for words, number in _WORDS.items():
        at = text.rfind(words)
        if at > last:
            last, found = at, Fault(number, _path_near(text, at, at + len(words)))
    if found is not None:
        return found
    numbers = [int(match) for match in _NUMBER.findall(text)]
    return next((Fault(number) for number in reversed(numbers) if number in NUMBERS), None)


def _path_near(text: str, start: int, end: int) -> str:
    behind = _PATH_BEHIND.match(text[end:])
    if behind:
        return behind.group(1)
    before = _PATH_BEFORE.search(text[:start].removesuffix("[Errno 28] "))
    return before.group(1) if before else ""


def _temporary_directory() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # None can be written to.
        return os.environ.get("TMPDIR", "/tmp")
