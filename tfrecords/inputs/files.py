"""What a listing needs of a file system, and the local one.

Others are passed in by those who know them: this package imports neither Beam nor TensorFlow.
"""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from tfrecords.inputs import walk
from tfrecords.inputs.rows import ListedFile


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


class FileSystem(Protocol):
    """Where inputs lie. Its methods raise OSError, FileNotFoundError for what is absent."""

    def open(self, path: str) -> BinaryIO:
        """Returns a file, open for reading and seekable."""

    def stat(self, path: str) -> FileStatus:
        """Returns what is at a path."""

    def walk(self, root: str) -> Iterator[ListedFile]:
        """Yields every file below a folder, hidden ones with that problem, and empty folders."""


class LocalFiles:
    """The file system of this machine."""

    def open(self, path: str) -> BinaryIO:
        return open(path, "rb")

    def stat(self, path: str) -> FileStatus:
        found = os.stat(path)
        return FileStatus(_kind(found.st_mode), found.st_size, found.st_mtime_ns)

    def walk(self, root: str) -> Iterator[ListedFile]:
        return walk.walk_folder(root)


LOCAL = LocalFiles()


def _kind(mode: int) -> FileKind:
    if stat.S_ISDIR(mode):
        return FileKind.FOLDER
    return FileKind.FILE if stat.S_ISREG(mode) else FileKind.SPECIAL
