"""Shows the progress of training: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from tqdm import tqdm

# Where there is no terminal, a line at most this often inside an epoch, in seconds.
LINE_INTERVAL = 30.0

# A run that spends a larger fraction of its time waiting for input is shown how to speed it up.
INPUT_BOUND = 0.1


class Progress:
    """Progress of a run.

    Args:
      kind: "bar", "lines", "none", or "auto": a bar if `stream` is a terminal.
      epochs: of the run.
      pictures: of an epoch.
      stream: to write to; stderr by default.
    """

    def __init__(self, kind: str, epochs: int, pictures: int, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        terminal = self._stream.isatty()
        self._kind = ("bar" if terminal else "lines") if kind == "auto" else kind
        self._epochs = epochs
        self._pictures = pictures
        self._bar: tqdm | None = None
        self._epoch = self._done = self._first = 0
        self._started = self._last_line = 0.0

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        if self._kind != "none":
            tqdm.write(text, file=self._stream)
            self._stream.flush()

    def start_epoch(self, epoch: int, done: int) -> None:
        """Begins epoch `epoch`, from 0, of which `done` pictures have been trained on already."""
        self._epoch, self._done, self._first = epoch, done, done
        self._started = self._last_line = time.monotonic()
        if self._kind == "bar":
            self._bar = tqdm(
                total=self._pictures,
                initial=done,
                desc=f"epoch {epoch + 1}/{self._epochs}",
                unit="img",
                file=self._stream,
                leave=False,
                dynamic_ncols=True,
            )

    def update(self, pictures: int, loss: float) -> None:
        """Adds pictures that were trained on; `loss` is their mean loss."""
        self._done += pictures
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            self._bar.update(pictures)
        elif self._kind == "lines" and time.monotonic() - self._last_line > LINE_INTERVAL:
            self._last_line = time.monotonic()
            self.say(self._line(loss))

    def end_epoch(self, text: str) -> None:
        """Replaces the bar with a line about the epoch."""
        self.close()
        self.say(f"epoch {self._epoch + 1}/{self._epochs}  {text}")

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _line(self, loss: float) -> str:
        rate = (self._done - self._first) / max(1e-9, time.monotonic() - self._started)
        left = self._pictures * (self._epochs - self._epoch) - self._done
        eta = duration(left / rate) if rate else "?"
        return (
            f"epoch {self._epoch + 1}/{self._epochs}  {self._done:,}/{self._pictures:,} pictures  "
            f"loss {loss:.3f}  {rate:,.0f} img/s  about {eta} left"
        )


def duration(seconds: float) -> str:
    """Returns "1:02:03" or "2:03"."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
