"""Keeping decoders' own messages away: Python's warnings, and what C writes to stderr."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from types import TracebackType

from PIL import AvifImagePlugin


def prepare_worker() -> None:
    """Makes a process that only decodes pictures quiet and single-threaded; call it once.

    libtiff and libjpeg write about damaged files to file descriptor 2 past Python. They
    lose it here, while `sys.stderr`, tracebacks and `faulthandler.enable()` called later
    keep the stream. The AVIF decoder stops starting a thread per core in every worker.
    """
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    warnings.filterwarnings("ignore", module=r"PIL\.")
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


class QuietWarnings:
    """A context without Python warnings that threads may share.

    Pillow warns of odd metadata; the reject reason is our report. Two overlapping
    `warnings.catch_warnings` of different threads can leave the process mute for good, so
    the first to enter opens one and the last to leave closes it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
            self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._filters.__exit__(kind, error, traceback)
