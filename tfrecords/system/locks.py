"""Locks on directories, held by one process of a machine at a time.

A lock is the kernel's: it ends with the process that holds it, however that ends. The file says
who took it last. Object stores have no locks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tfrecords.errors import EvenshardError

# The file systems without locks say so in one of these ways.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


class LockedError(EvenshardError):
    """Another process holds what this one needs; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock.

    Attributes:
      pid: its number.
      host: the name of its machine.
    """

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@contextlib.contextmanager
def locked(path: str | Path, taken: str, advice: str) -> Iterator[None]:
    """Holds a lock while the block runs.

    Args:
      path: of the lock's file, made if absent; it stays.
      taken: what another holder of it is doing, e.g. "another bake is writing to out".
      advice: what to do then, e.g. "wait for it, or choose another --output_dir".

    Raises:
      LockedError: another process holds it, or the file system has no locks.
      OSError: the file cannot be opened.
    """
    # Not truncated as it is opened: it says who holds the lock.
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            who_holds = holder(path)
            who = f" ({who_holds})" if who_holds else ""
            raise LockedError(f"{taken}{who}: {advice}") from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            raise LockedError(
                f"cannot lock {path}: {error.strerror}. Its file system has no locks: "
                "choose a directory on another one"
            ) from error
        _sign(file.fileno())
        yield


def is_locked(path: str | Path) -> bool:
    """Returns whether a process holds the lock of a file; an absent one is free."""
    try:
        with open(path, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _sign(descriptor: int) -> None:
    """Writes who holds a lock into its file. It is held without that too, as on a full disk."""
    text = json.dumps(asdict(Holder(os.getpid(), socket.gethostname())))
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, text.encode())  # At the end: it was opened for appending.


def holder(path: str | Path) -> Holder | None:
    """Returns who took a lock last, or None where its file does not say."""
    try:
        return Holder(**json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
