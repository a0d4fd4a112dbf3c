"""Reads `metrics.csv`: one row an epoch, as columns of numbers."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords.errors import EvenshardError

METRICS = "metrics.csv"

# The column that decides between equals.
LOSS = "val_loss"

# Metrics with one of these words in their name are better when smaller, all others when larger.
_LESS_IS_BETTER = ("loss", "ece", "error")


class HistoryError(EvenshardError, ValueError):
    """A metrics.csv that cannot be read; the text names the line."""


@dataclass(frozen=True, eq=False)
class History:
    """The epochs of a run.

    Attributes:
      columns: float64[epochs] by column name, in file order; NaN where a cell is empty.
      marks: (number of the last epoch of another run, that run's name) of each fork.
    """

    columns: Mapping[str, np.ndarray]
    marks: tuple[tuple[int, str], ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> np.ndarray:
        """Returns a column; all NaN if there is none of that name."""
        return self.columns.get(name, np.full(len(self), np.nan))

    def has(self, name: str) -> bool:
        """Returns whether a column has any number."""
        return bool(np.isfinite(self[name]).any())

    @property
    def epochs(self) -> np.ndarray:
        """float64[epochs], the number of each epoch: 1, 2, 3… by default."""
        return self["epoch"] if self.has("epoch") else np.arange(1.0, len(self) + 1)

    def best(self, monitor: str) -> int | None:
        """Returns the row with the best value of a column, if any; of equals as `best_epoch`."""
        return _best(self[monitor], self[LOSS], monitor)

    def first_best(self, monitor: str) -> int | None:
        """Returns the first row with the best value of a column, if any."""
        return _best(self[monitor], np.full(len(self), np.nan), monitor)

    def after(self, before: History, marks: Sequence[tuple[int, str]]) -> History:
        """Returns this history behind another, whose epochs are numbered …, -1, 0.

        Args:
          before: the epochs of the runs that this one began with.
          marks: (epochs of `before` until there, name of the run) of each fork.
        """
        columns = {
            name: np.concatenate([before[name], self[name]])
            for name in dict.fromkeys([*self.columns, *before.columns])
        }
        columns["epoch"] = np.concatenate([np.arange(len(before)) + 1.0 - len(before), self.epochs])
        return History(columns, tuple((count - len(before), name) for count, name in marks))


def best_epoch(history: Sequence[Mapping[str, Any]], monitor: str) -> int | None:
    """Returns the number, from 1, of the epoch with the best `monitor`.

    Of equals it is the one with the lowest validation loss, then the first: where a few pictures
    are all right, accuracy cannot tell epochs apart that the loss can.
    """
    values = np.array([row[monitor] for row in history], np.float64)
    losses = np.array([row.get(LOSS) for row in history], np.float64)
    best = _best(values, losses, monitor)
    return None if best is None else best + 1


def stopped_early(
    history: Sequence[Mapping[str, Any]], monitor: str, patience: int, since: int = 0
) -> bool:
    """Returns whether `patience` epochs have passed without a better `monitor`.

    A lower loss alone is no progress: it is not what was asked for.

    Args:
      history: a row for each epoch.
      monitor: name of the column.
      patience: --early_stopping; 0: never.
      since: the epoch to count from at the earliest.
    """
    values = np.array([row[monitor] for row in history], np.float64)
    best = _best(values, np.full(len(values), np.nan), monitor)
    return bool(patience and best is not None and len(values) - max(best + 1, since) >= patience)


def less_is_better(name: str) -> bool:
    """Returns whether a smaller value of the metric `name` is better."""
    return any(part in _LESS_IS_BETTER for part in name.split("_"))


def load(path: str | Path) -> History:
    """Returns the epochs in a `metrics.csv`.

    An incomplete last line, which a killed process leaves, is ignored.

    Raises:
      HistoryError: a cell is not a number.
      OSError: the file cannot be read.
    """
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows:
        return History({})
    names, body = rows[0], [row for row in rows[1:] if row]
    if body and len(body[-1]) < len(names):
        body.pop()
    table = np.full((len(body), len(names)), np.nan)
    for number, row in enumerate(body):
        for column, cell in enumerate(row[: len(names)]):
            table[number, column] = _number(cell, path, number + 2)
    return History({name: table[:, i] for i, name in enumerate(names)})


def _best(values: np.ndarray, losses: np.ndarray, monitor: str) -> int | None:
    """Returns the index of the best of float64[epochs], of equals that of the lowest loss.

    Values and losses that are not finite are unknown: such a value is none, such a loss the last.
    """
    known = np.isfinite(values)
    if not known.any():
        return None
    worst_last = np.where(known, values if less_is_better(monitor) else -values, np.inf)
    equals = np.flatnonzero(worst_last == worst_last.min())
    return int(equals[np.where(np.isfinite(losses), losses, np.inf)[equals].argmin()])


def _number(cell: str, path: str | Path, line: int) -> float:
    try:
        return float(cell) if cell.strip() else np.nan
    except ValueError as error:
        raise HistoryError(f"{path}, line {line}: a number expected, not {cell!r}") from error
