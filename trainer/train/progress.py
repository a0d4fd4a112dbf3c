"""Shows the progress of training: the epoch under way, and a line for each that is finished."""

from __future__ import annotations

import sys
from typing import TextIO

from tfrecords.cli import audience
from tfrecords.cli.progress import NONE, Progress, write_line

# Where there is no terminal, a line at most this often inside an epoch, in seconds.
LINE_INTERVAL = 30.0

# A run that spends a larger fraction of its time waiting for input is shown how to speed it up.
INPUT_BOUND = 0.1


class EpochProgress:
    """Progress of a run, epoch by epoch.

    Args:
      kind: "bar", "lines", "none", or "auto": a bar if somebody watches `stream`.
      epochs: of the run.
      pictures: of an epoch.
      stream: to write to; standard error by default.
    """

    def __init__(self, kind: str, epochs: int, pictures: int, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._kind = kind
        self._epochs = epochs
        self._pictures = pictures
        self._shown: Progress | None = None

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        if self._kind != NONE:
            write_line(audience.said(text), self._stream)

    def note(self, text: str) -> None:
        """Prints what a person must know of the results, whatever the kind of progress."""
        write_line(audience.said(f"note: {text}"), self._stream)

    def start_epoch(self, epoch: int, done: int) -> None:
        """Begins epoch `epoch`, from 0, of which `done` pictures have been trained on already."""
        self._shown = Progress(
            self._label(epoch),
            self._pictures,
            " img",
            kind=self._kind,
            done=done,
            later=self._pictures * (self._epochs - epoch - 1),
            line_seconds=LINE_INTERVAL,
            file=self._stream,
        )

    def update(self, pictures: int, loss: float) -> None:
        """Adds pictures that were trained on; `loss` is their mean loss."""
        if self._shown is not None:
            self._shown.advance(pictures, f"loss {loss:.3f}")

    def end_epoch(self, epoch: int, text: str) -> None:
        """Replaces the bar with a line about epoch `epoch`, from 0."""
        self.close()
        self.say(f"{self._label(epoch)}  {text}")

    def _label(self, epoch: int) -> str:
        return f"epoch {epoch + 1}/{self._epochs}"

    def close(self) -> None:
        """Removes the bar."""
        if self._shown is not None:
            self._shown.close()
            self._shown = None
