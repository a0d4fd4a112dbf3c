"""The leaderboard of a sweep: its trials from best to worst, and `leaderboard.csv`."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfrecords.system import atomic
from trainer.sweep import grid, halving
from trainer.sweep.config import METRICS, SweepConfig
from trainer.sweep.trial_status import TrainingSet
from trainer.sweep.trials import Entry

CSV = "leaderboard.csv"

# Columns of metrics.csv, shown at the epoch whose weights the trial keeps.
_AT_BEST = (*METRICS, "loss", "top1")


@dataclass(frozen=True, eq=False)
class Row:
    """A trial on the leaderboard.

    Attributes:
      entry: the trial and its status.
      index: of the trial in the grid, from 0.
      position: on the leaderboard, from 0; trials without a score come last.
      score: by the leaderboard's metric, NaN if there is none yet.
      best_epoch: the one whose weights the trial keeps, from 1; None if there is none yet.
      at_best: column of metrics.csv → value at that epoch.
    """

    entry: Entry
    index: int
    position: int
    score: float
    best_epoch: int | None
    at_best: Mapping[str, float]

    @property
    def name(self) -> str:
        """Name of the trial."""
        return self.entry.name

    @property
    def scored(self) -> bool:
        """Whether it has a score."""
        return not math.isnan(self.score)

    @property
    def training_set(self) -> TrainingSet:
        """The records that it trains on.

        Raises:
          ValueError: the trial was refused, so it trains on nothing.
        """
        if self.entry.training_set is None:
            raise ValueError(f"trial {self.name} was refused")
        return self.entry.training_set

    @property
    def speed(self) -> float:
        """Training pictures a second over all finished epochs; NaN before the first."""
        if not self.entry.seconds or self.entry.training_set is None:
            return math.nan
        return self.entry.training_set.pictures * self.entry.progress.epochs / self.entry.seconds


def rows(entries: Sequence[Entry], metric: str) -> list[Row]:
    """Returns the trials, best first; those without a score last.

    Of equal ones, that of the lower validation loss is first, then the first of the grid.
    """
    scores, losses = {}, {}
    for entry in entries:
        history, monitor = entry.progress.history, entry.trial.config.monitor
        scores[entry.name] = halving.score(history, metric, monitor)
        losses[entry.name] = halving.loss(history, monitor)
    order = halving.ranked(scores, metric, losses)
    unordered = [
        _row(entry, index, order.index(entry.name), scores[entry.name])
        for index, entry in enumerate(entries)
    ]
    return sorted(unordered, key=lambda row: row.position)


@dataclass(frozen=True)
class OverFolds:
    """The scores of the trials that differ from one by --fold alone, itself among them.

    Attributes:
      group: their name without the fold.
      mean: of their scores; NaN without any.
      spread: standard deviation by n - 1; NaN for fewer than two.
    """

    group: str
    mean: float
    spread: float


def write_csv(
    config: SweepConfig, rows: Sequence[Row], over_folds: Mapping[str, OverFolds]
) -> Path:
    """Writes leaderboard.csv and returns its path; arguments as for `to_csv`."""
    return atomic.write_file(Path(config.runs_dir) / CSV, to_csv(rows, over_folds).encode())


def to_csv(rows: Sequence[Row], over_folds: Mapping[str, OverFolds] | None = None) -> str:
    """Returns the leaderboard as CSV, a row for each trial; unknown numbers are empty cells.

    Columns that begin with "--" are the flags in which trials differ.

    Args:
      rows: of the leaderboard, best first.
      over_folds: trial → what it and those on other folds score; trials on none are left out.
    """
    groups = over_folds or {}
    flags = grid.differing([row.entry.trial for row in rows])
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["rank", "trial", "status", *_AT_BEST, "best_epoch", "epochs", "num_classes"]
        + [
            "judged_classes",
            "pictures",
            "pictures_per_class",
            "height",
            "width",
            "seconds",
            "images_per_second",
        ]
        + (["group", "mean_over_folds", "spread_over_folds"] if groups else [])
        + [f"--{name}" for name in flags]
        + ["run_dir", "reason"]
    )
    for row in rows:
        config = row.entry.trial.config
        writer.writerow(
            [row.position + 1 if row.scored else "", row.name, row.entry.status]
            + [_cell(row.at_best.get(name), 6) for name in _AT_BEST]
            + [row.best_epoch or "", row.entry.progress.epochs, *_training_set_cells(row.entry)]
            + [_cell(row.entry.seconds, 2), _cell(row.speed, 1)]
            + (_fold_cells(groups.get(row.name)) if groups else [])
            + [grid.shown(config, name) for name in flags]
            + [config.run_dir, row.entry.reason]
        )
    return buffer.getvalue()


def _row(entry: Entry, index: int, position: int, score: float) -> Row:
    history = entry.progress.history
    best = history.best(entry.trial.config.monitor)
    at_best = {} if best is None else {n: float(c[best]) for n, c in history.columns.items()}
    return Row(entry, index, position, score, None if best is None else best + 1, at_best)


def _training_set_cells(entry: Entry) -> list[object]:
    records = entry.training_set
    if records is None:
        return [""] * 6
    judged = "" if records.judged_classes is None else records.judged_classes
    return [records.classes, judged, records.pictures, f"{records.per_class:.1f}", *records.size]


def _fold_cells(over_folds: OverFolds | None) -> list[object]:
    if over_folds is None:
        return [""] * 3
    return [over_folds.group, _cell(over_folds.mean, 6), _cell(over_folds.spread, 6)]


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{digits}f}"
