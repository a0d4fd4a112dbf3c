"""SIGTERM and Ctrl-C as a request to stop, so that a run saves a checkpoint first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tfrecords.cli.run import Terminated


@contextmanager
def stopping_on_signal(request: Callable[[int], None]) -> Iterator[None]:
    """Calls `request` with the first SIGTERM (preemption) or Ctrl-C; a second one interrupts.

    Python lets only the main thread handle signals; elsewhere nothing is changed.

    Raises:
      KeyboardInterrupt: at the second signal; Terminated, if that is a SIGTERM.
    """
    requested = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal requested
        del frame
        if requested:
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
        requested = True
        request(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
