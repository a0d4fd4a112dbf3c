"""Trials in the order of their worth, and `leaderboard.csv`."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer.sweep import grid, halving
from trainer.sweep.config import METRICS
from trainer.sweep.trial_status import Subject
from trainer.sweep.trials import Entry

# Of metrics.csv, at the epoch whose weights the trial keeps.
_AT_BEST = (*METRICS, "loss", "top1")


@dataclass(frozen=True, eq=False)
class Row:
    """A trial on the leaderboard.

    Attributes:
      entry: the trial and where it stands.
      index: of the trial in the grid, from 0.
      place: on the leaderboard, from 0; trials without a score come last.
      score: by the leaderboard's metric, NaN if there is none yet.
      best_epoch: whose weights the trial keeps, from 1; None if there is none yet.
      at_best: column of metrics.csv → value at that epoch.
    """

    entry: Entry
    index: int
    place: int
    score: float
    best_epoch: int | None
    at_best: Mapping[str, float]

    @property
    def name(self) -> str:
        """Of the trial."""
        return self.entry.name

    @property
    def scored(self) -> bool:
        """Whether it has a score."""
        return not math.isnan(self.score)

    @property
    def subject(self) -> Subject:
        """What it trains on.

        Raises:
          ValueError: the trial was refused, so it trains on nothing.
        """
        if self.entry.subject is None:
            raise ValueError(f"trial {self.name} was refused")
        return self.entry.subject

    @property
    def speed(self) -> float:
        """Training pictures a second over all finished epochs; NaN before the first."""
        if not self.entry.seconds or self.entry.subject is None:
            return math.nan
        return self.entry.subject.pictures * self.entry.standing.epochs / self.entry.seconds


def rows(entries: Sequence[Entry], metric: str) -> list[Row]:
    """Returns the trials, best first; equals in the grid's order, those without a score last."""
    scores = {
        entry.name: halving.score(
            entry.standing.history, metric, entry.trial.config.monitor
        )
        for entry in entries
    }  # fmt: skip
    order = halving.ranked(scores, metric)
    made = [
        _row(entry, index, order.index(entry.name), scores[entry.name])
        for index, entry in enumerate(entries)
    ]
    return sorted(made, key=lambda row: row.place)


def to_csv(rows: Sequence[Row]) -> str:
    """Returns the leaderboard as CSV, a line a trial; unknown numbers are empty cells.

    Columns that begin with "--" are the flags that are not the same in all trials.
    """
    flags = grid.differing([row.entry.trial for row in rows])
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["rank", "trial", "status", *_AT_BEST, "best_epoch", "epochs", "num_classes", "pictures"]
        + ["pictures_per_class", "height", "width", "seconds", "images_per_second"]
        + [f"--{name}" for name in flags]
        + ["run_dir", "reason"]
    )
    for row in rows:
        config = row.entry.trial.config
        writer.writerow(
            [row.place + 1 if row.scored else "", row.name, row.entry.status]
            + [_cell(row.at_best.get(name), 6) for name in _AT_BEST]
            + [row.best_epoch or "", row.entry.standing.epochs, *_subject_cells(row.entry)]
            + [_cell(row.entry.seconds, 2), _cell(row.speed, 1)]
            + [grid.shown(config, name) for name in flags]
            + [config.run_dir, row.entry.reason]
        )
    return buffer.getvalue()


def _row(entry: Entry, index: int, place: int, score: float) -> Row:
    history = entry.standing.history
    best = history.best(entry.trial.config.monitor)
    at_best = {} if best is None else {n: float(c[best]) for n, c in history.columns.items()}
    return Row(entry, index, place, score, None if best is None else best + 1, at_best)


def _subject_cells(entry: Entry) -> list[object]:
    subject = entry.subject
    if subject is None:
        return [""] * 5
    return [subject.classes, subject.pictures, f"{subject.per_class:.1f}", *subject.size]


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{digits}f}"
