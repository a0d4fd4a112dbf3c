"""Writes checkpoints while training goes on: one at a time, in the order in which they were given.

What is written was copied before, so training may change its weights meanwhile. A file is whole or
absent, as ever: after a kill, at most the checkpoint under way is missing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Writer:
    """Does one job after another in a thread; an error is raised in the thread that asks for more.

    After a job that failed, no other is done.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def submit(self, job: Callable[[], object]) -> None:
        """Begins a job behind those before it.

        Raises:
          As `check`.
        """
        self.check()
        arguments = (job, self._thread)
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises the error of a job that failed, if any; waits for nothing."""
        if self._error is not None:
            raise self._error

    def flush(self, seconds: float | None = None) -> None:
        """Waits until all jobs are done, or so many seconds.

        Raises:
          As `check`.
        """
        if self._thread is not None:
            self._thread.join(seconds)
        self.check()

    def _run(self, job: Callable[[], object], before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        if self._error is not None:
            return
        try:
            job()
        except BaseException as error:  # The training thread raises it.
            self._error = error
