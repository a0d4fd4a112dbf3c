"""Shows the progress of a sweep: a live table on a terminal, lines elsewhere."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from tfrecords.cli.progress import duration, moves_cursor
from trainer.sweep import halving, trials
from trainer.sweep.trials import Entry

# Shown before others where the terminal has too few lines for all.
_URGENCY = (trials.RUNNING, trials.FAILED, trials.INTERRUPTED, trials.REFUSED, trials.PAUSED)
_MARKS = {
    trials.WAITING: "·",
    trials.RUNNING: "▶",
    trials.PAUSED: "⏸",
    trials.DONE: "✓",
    trials.FAILED: "✗",
    trials.REFUSED: "✗",
    trials.DROPPED: "–",
    trials.INTERRUPTED: "!",
}
_CURSOR_UP, _CLEAR_BELOW = "\033[{}F", "\033[J"


class Display:
    """Shows the events of a sweep; a `trials.Listener`.

    Args:
      entries: all trials.
      metric: shown of each.
      kind: "table", "lines", "none", or "auto": a table if `stream` is a terminal.
      stream: to write to; stderr by default.
      on_end: called after each trial's end, e.g. to update the leaderboard.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        metric: str,
        kind: str,
        stream: TextIO | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._entries = entries
        self._metric = metric
        self._stream = stream or sys.stderr
        self._kind = (
            ("table" if moves_cursor(self._stream) else "lines") if kind == "auto" else kind
        )
        self._on_end = on_end
        self._height = 0

    def say(self, text: str) -> None:
        """Prints lines above the table."""
        if self._kind == "none":
            return
        self._erase()
        print(text, file=self._stream, flush=True)

    def note(self, text: str) -> None:
        """Prints what a person must know of the results, whatever is shown of the progress."""
        self._erase()
        print(f"note: {text}", file=self._stream, flush=True)

    def started(self, entry: Entry) -> None:
        """A trial was started."""
        if self._kind == "lines":
            number = self._entries.index(entry) + 1
            done = f" from epoch {entry.progress.epochs + 1}" if entry.progress.epochs else ""
            self.say(f"[{number}/{len(self._entries)}] {entry.name}: started{done}, {entry.where}")
        self.tick()

    def ended(self, entry: Entry) -> None:
        """A trial's process ended."""
        if self._kind == "lines":
            number = self._entries.index(entry) + 1
            outcome = entry.reason or _result(entry, self._metric)
            self.say(f"[{number}/{len(self._entries)}] {entry.name}: {entry.status}, {outcome}")
        self._on_end()
        self.tick()

    def waits(self, entry: Entry) -> None:
        """A trial's run directory is held by another process."""
        self.say(
            f"{entry.name}: waiting for the process that trains in {entry.trial.config.run_dir}"
        )

    def stopping(self, running: int) -> None:
        """The running trials were asked to stop."""
        plural = "s" if running != 1 else ""
        self.say(f"stopping: {running} trial{plural} to save first; a second signal kills")

    def tick(self) -> None:
        """Redraws the table."""
        if self._kind != "table":
            return
        size = shutil.get_terminal_size()
        lines = table(self._entries, self._metric, size.columns - 1, size.lines - 1)
        self._erase()
        print("\n".join(lines), file=self._stream, flush=True)
        self._height = len(lines)

    def _erase(self) -> None:
        if self._height:
            self._stream.write(_CURSOR_UP.format(self._height) + _CLEAR_BELOW)
            self._height = 0


def table(entries: Sequence[Entry], metric: str, width: int, height: int) -> list[str]:
    """Returns the lines of the table, at most `height` of at most `width` characters."""
    counts = {status: sum(e.status == status for e in entries) for status in _MARKS}
    summary = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    shown = _shown(entries, max(1, height - 3))
    name = max([len("trial"), *(len(entry.name) for entry in shown)])
    name = max(12, min(name, width - 44))
    lines = [f"  {'trial':<{name}} {'epoch':>9} {_short(metric):>8} {'time':>8}  "]
    lines += [_row(entry, metric, name) for entry in shown]
    if len(shown) < len(entries):
        lines.append(f"  … and {len(entries) - len(shown)} more")
    return [line[:width].rstrip() for line in [*lines, f"  {len(entries)} trials: {summary}"]]


def _shown(entries: Sequence[Entry], most: int) -> list[Entry]:
    """Returns the most urgent entries, in their own order."""
    if len(entries) <= most:
        return list(entries)

    def urgency(index: int) -> tuple[int, int]:
        status = entries[index].status
        return (_URGENCY.index(status) if status in _URGENCY else len(_URGENCY), index)

    kept = sorted(sorted(range(len(entries)), key=urgency)[:most])
    return [entries[index] for index in kept]


def _row(entry: Entry, metric: str, name: int) -> str:
    config = entry.trial.config
    value = halving.score(entry.progress.history, metric, config.monitor)
    epoch = f"{entry.progress.epochs}/{config.epochs}" if entry.progress.epochs else "–"
    note = entry.reason or entry.where or entry.status
    if entry.status == trials.RUNNING:
        note = f"{entry.where}, since {duration(time.monotonic() - entry.since)}"
    shown = "–" if math.isnan(value) else f"{value:.4f}"
    spent = duration(entry.seconds) if entry.seconds else "–"
    title = entry.name if len(entry.name) <= name else entry.name[: name - 1] + "…"
    return f"{_MARKS[entry.status]} {title:<{name}} {epoch:>9} {shown:>8} {spent:>8}  {note}"


def _short(metric: str) -> str:
    return metric.removeprefix("val_").replace("balanced_accuracy", "bal.acc")[:8]


def _result(entry: Entry, metric: str) -> str:
    config = entry.trial.config
    value = halving.score(entry.progress.history, metric, config.monitor)
    return (
        f"{metric} {value:.4f} after {entry.progress.epochs} of {config.epochs} epochs, "
        f"{duration(entry.seconds)}"
    )
