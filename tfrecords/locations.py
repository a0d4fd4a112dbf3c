"""Where a data set's files lie: a directory, or what opens files as a directory does."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Literal, Protocol


class Folder(Protocol):
    """What of `pathlib.Path`, which is one, reading a data set needs.

    Others open what is no path of this machine; this package knows none of them.
    """

    def __truediv__(self, name: str) -> Folder:
        """Returns the file `name` of the folder."""

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        """Returns the file, open and seekable.

        Raises:
          OSError: it is absent (FileNotFoundError) or cannot be read.
        """


def of(data_dir: str | Folder) -> Folder:
    """Returns the folder that a path names."""
    return Path(data_dir) if isinstance(data_dir, str) else data_dir
