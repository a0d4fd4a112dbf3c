"""Where files lie: paths of this machine, URLs, and the folder of a data set."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Folder(Protocol):
    """The part of `pathlib.Path`'s interface needed to read a data set.

    Other implementations open what is not a path of this machine; this package knows none of
    them.
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


def is_url(path: str) -> bool:
    """Returns whether `path` names an object store or a cluster file system, as in gs://."""
    return _URL.match(path) is not None


def absolute(path: str) -> str:
    """Returns a path that does not depend on the working directory; a URL as it is."""
    return path if is_url(path) else os.path.abspath(path)
