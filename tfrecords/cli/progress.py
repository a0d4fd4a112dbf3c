"""How far a command is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

# Seconds between lines where there is no terminal: a log stays readable, and what takes less
# than this needs none.
LINE_SECONDS = 5.0


class Progress:
    """Shows how much of `total` is done, on standard error.

    Args:
      label: what is being done, e.g. "verify".
      total: units of the whole.
      unit: e.g. "B" or "image"; shown with a scale, as in "12.3MB".
      file: where to write; standard error by default.
      clock: seconds, for tests.
    """

    def __init__(
        self,
        label: str,
        total: int,
        unit: str,
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label = label
        self._clock = clock
        self._next_line = clock() + LINE_SECONDS
        self._total = max(total, 1)
        self._done = 0
        self._file = file or sys.stderr
        self._bar: tqdm | None = None
        if self._file.isatty():
            self._bar = tqdm(
                total=total,
                desc=label,
                unit=unit,
                unit_scale=True,
                file=self._file,
                dynamic_ncols=True,
                leave=False,
            )

    def advance(self, units: int) -> None:
        """Adds `units` to what is done."""
        self._done += units
        if self._bar is not None:
            self._bar.update(units)
        elif self._clock() >= self._next_line:
            self._next_line = self._clock() + LINE_SECONDS
            print(f"{self._label}: {self._done * 100 // self._total}%", file=self._file, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
