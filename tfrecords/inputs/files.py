"""What a listing needs of a file system, and the local one.

Others are passed in by those who know them: this package imports neither Beam nor TensorFlow.
"""

from __future__ import annotations

import contextlib
import enum
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import walk
from tfrecords.inputs.rows import ListedFile
from tfrecords.system import atomic


class FileKind(enum.Enum):
    """What there is at a path."""

    FILE = "file"
    FOLDER = "folder"
    SPECIAL = "special"  # A pipe, a socket or a device.


@dataclass(frozen=True, slots=True)
class FileStatus:
    """What a file system says of a path.

    Attributes:
      kind: of what is there, links followed.
      bytes: its size.
      version: changes when the file does: mtime in ns, or 0 where unknown.
    """

    kind: FileKind
    bytes: int
    version: int


class FileRefused(OSError):
    """A file that is not read although it is there.

    Attributes:
      reason: the code for `sources.parquet`.
    """

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason

    def __reduce__(self) -> tuple[type[FileRefused], tuple[RejectReason, str]]:
        return type(self), (self.reason, str(self))


class FileSystem(Protocol):
    """Where inputs lie. Its methods raise OSError, FileNotFoundError for what is absent."""

    def open(self, path: str) -> BinaryIO:
        """Returns a regular file, open for reading and seekable.

        Raises:
          FileRefused: there is something else at that path.
        """

    def stat(self, path: str) -> FileStatus:
        """Returns what is at a path."""

    def walk(self, root: str) -> Iterator[ListedFile]:
        """Yields every file below a folder, hidden ones with that problem, and empty folders."""

    def write(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Returns a new file that appears under its name, whole, when the block ends well.

        Folders that are missing are made.
        """

    def names(self, folder: str) -> list[str]:
        """Returns the names of the files in a folder, [] where there is none."""

    def free_bytes(self, folder: str) -> int | None:
        """Returns the bytes that can still be written below a folder; None where none can tell."""


class LocalFiles:
    """The file system of this machine."""

    def open(self, path: str) -> BinaryIO:
        # A socket cannot be opened, and opening a device may do something.
        _check_regular(os.stat(path).st_mode)
        # Without O_NONBLOCK, opening what became a pipe since waits for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _check_regular(os.fstat(descriptor).st_mode)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise

    def stat(self, path: str) -> FileStatus:
        found = os.stat(path)
        return FileStatus(_kind(found.st_mode), found.st_size, found.st_mtime_ns)

    def walk(self, root: str) -> Iterator[ListedFile]:
        return walk.walk_folder(root)

    def write(self, path: str) -> AbstractContextManager[BinaryIO]:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        return atomic.open_bytes(path, durable=False)

    def names(self, folder: str) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
        return []

    def free_bytes(self, folder: str) -> int | None:
        return shutil.disk_usage(folder).free


LOCAL = LocalFiles()

_SPECIAL = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _kind(mode: int) -> FileKind:
    if stat.S_ISDIR(mode):
        return FileKind.FOLDER
    return FileKind.FILE if stat.S_ISREG(mode) else FileKind.SPECIAL


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        what = next((name for matches, name in _SPECIAL if matches(mode)), "a special file")
        raise FileRefused(RejectReason.NOT_A_FILE, f"it is {what}, not a file")
