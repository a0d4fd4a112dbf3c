"""How far a command is: a bar on a terminal or in a notebook, a line now and then elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

from tfrecords import sizes

# The ways to show progress; "auto" is a bar where there is somebody to watch it, else lines.
AUTO, BAR, LINES, NONE = "auto", "bar", "lines", "none"

# Seconds between lines where there is no terminal: a log stays readable, and what takes less
# than this needs none.
LINE_SECONDS = 5.0

_BYTES = "B"

# A notebook has no terminal whose width could be asked for.
_NOTEBOOK_COLUMNS = 100


class Progress:
    """Shows how much of `total` is done.

    Args:
      label: what is being done, e.g. "verify".
      total: units of the whole.
      unit: "B" for bytes, or e.g. " pictures", which follows a number with a scale.
      kind: "auto", "bar", "lines" or "none".
      done: units that were done before.
      later: units of the same kind that follow this whole; the time left is for them too.
      line_seconds: between lines.
      file: where to write; standard error by default.
      clock: seconds, for tests.
    """

    def __init__(
        self,
        label: str,
        total: int,
        unit: str,
        *,
        kind: str = AUTO,
        done: int = 0,
        later: int = 0,
        line_seconds: float = LINE_SECONDS,
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label, self._unit = label, unit
        self._total, self._later = total, later
        self._done = self._first = done
        self._line_seconds = line_seconds
        self._clock = clock
        self._started = self._last_line = clock()
        self._file = file or sys.stderr
        self._kind = resolve_kind(kind, self._file)
        self._bar: tqdm | None = self._make_bar() if self._kind == BAR else None

    def advance(self, units: int, note: str = "") -> None:
        """Adds `units` to what is done; `note` is shown beside it, e.g. "loss 1.250"."""
        self._done += units
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(units)
        elif self._kind == LINES and self._clock() - self._last_line >= self._line_seconds:
            self._last_line = self._clock()
            write_line(self._line(note), self._file)

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _make_bar(self) -> tqdm:
        in_notebook = is_notebook(self._file)
        return tqdm(
            total=self._total,
            initial=self._done,
            desc=self._label,
            unit="iB" if self._unit == _BYTES else self._unit,
            unit_scale=True,
            unit_divisor=1024 if self._unit == _BYTES else 1000,
            file=self._file,
            dynamic_ncols=not in_notebook,
            ncols=_NOTEBOOK_COLUMNS if in_notebook else None,
            leave=False,
        )

    def _line(self, note: str) -> str:
        parts = [f"{self._label}: {self._done * 100 // max(self._total, 1)}%"]
        if note:
            parts.append(note)
        rate = (self._done - self._first) / max(1e-9, self._clock() - self._started)
        if rate > 0:
            left = max(0, self._total + self._later - self._done) / rate
            shown = (
                sizes.readable(rate)
                if self._unit == _BYTES
                else f"{tqdm.format_sizeof(rate)}{self._unit}"
            )
            parts += [f"{shown}/s", f"about {duration(left)} left"]
        return ", ".join(parts)


def resolve_kind(kind: str, file: TextIO) -> str:
    """Returns how progress is shown on `file`: "bar", "lines" or "none"."""
    if kind != AUTO:
        return kind
    return BAR if moves_cursor(file) or is_notebook(file) else LINES


def moves_cursor(file: TextIO) -> bool:
    """Returns whether a stream is a terminal on which lines can be written over.

    `TERM=dumb` says that it cannot, as in an editor's shell. NO_COLOR asks for nothing here: no
    command writes in colour.
    """
    return file.isatty() and os.environ.get("TERM") != "dumb"


def is_notebook(file: TextIO) -> bool:
    """Returns whether a stream is the output of a notebook's cell, where bars work too."""
    return type(file).__module__.partition(".")[0] == "ipykernel"


def write_line(text: str, file: TextIO) -> None:
    """Writes a line, above the bar if there is one."""
    tqdm.write(text, file=file)
    file.flush()


def duration(seconds: float) -> str:
    """Returns "1:02:03" or "2:03"."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
