"""Makes reading under a folder slow, in every Python that has this file on its path.

EVENSHARD_SLOW_STORAGE is `FOLDER|MILLISECONDS|STREAMS`: opening a file below FOLDER to read
bytes waits so long, and not more than STREAMS processes and threads wait at a time: 1 is a
disk's single head, many an object store. Standard library only: workers start with it.
"""

from __future__ import annotations

import builtins
import contextlib
import fcntl
import io
import itertools
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator
from typing import Any

_open = builtins.open
_turn = itertools.count()


def _slow_open(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
    if mode == "rb" and not isinstance(file, int) and str(file).startswith(_FOLDER):
        with _stream():
            time.sleep(_SECONDS)
    return _open(file, mode, *arguments, **named)


@contextlib.contextmanager
def _stream() -> Iterator[None]:
    """Takes one of the streams, which all processes share, for as long as the body runs."""
    number = (os.getpid() + next(_turn)) % _STREAMS
    # Locks on files of one name exclude each other, in threads too, where each is opened anew.
    with _open(f"{_LOCKS}-{number}", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if "EVENSHARD_SLOW_STORAGE" in os.environ:
    _FOLDER, _milliseconds, _streams = os.environ["EVENSHARD_SLOW_STORAGE"].split("|")
    _SECONDS, _STREAMS = float(_milliseconds) / 1e3, int(_streams)
    _LOCKS = os.path.join(tempfile.gettempdir(), f"evenshard-slow-{os.getuid()}")
    builtins.open = io.open = _slow_open
    # Python 3.10's paths keep an `open` of their own.
    if hasattr(pathlib, "_NormalAccessor"):
        pathlib._NormalAccessor.open = staticmethod(_slow_open)
