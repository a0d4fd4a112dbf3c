"""Folders for the time of a block, of which a killed command leaves none for long."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfrecords.system import locks

_LOCK = ".lock"


@contextmanager
def folder(parent: str | Path, prefix: str) -> Iterator[Path]:
    """Yields a new folder, which is removed when the block ends.

    Those that killed commands left beside it, of the same prefix, are removed first: they are
    known by a lock that nobody holds.

    Args:
      parent: where it is made; it must exist.
      prefix: of its name.

    Raises:
      OSError: it cannot be made.
      LockedError: the file system has no locks.
    """
    for left in sorted(Path(parent).glob(f"{prefix}*")):
        if left.is_dir() and (left / _LOCK).exists() and not locks.is_locked(left / _LOCK):
            shutil.rmtree(left, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as made,
        locks.locked(Path(made, _LOCK), taken=f"another process uses {made}", advice="wait for it"),
    ):
        yield Path(made)
