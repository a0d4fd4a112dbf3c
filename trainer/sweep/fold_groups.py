"""Trials that differ by --fold alone: one configuration, judged once on each fold."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.runs.history import LOSS
from trainer.sweep import halving, trials
from trainer.sweep.leaderboard import OverFolds, Row

# Name of the group whose trials have no other flag in their names.
_ALL = "folds"


@dataclass(frozen=True, eq=False)
class FoldGroup:
    """The trials of one configuration.

    Attributes:
      name: of the trials, without the fold.
      rows: of the leaderboard, by fold.
      folds: of the data set.
    """

    name: str
    rows: tuple[Row, ...]
    folds: int

    @property
    def scores(self) -> tuple[float, ...]:
        """Scores of the trials that have one, by fold."""
        return tuple(row.score for row in self.rows if row.scored)

    @property
    def mean(self) -> float:
        """Mean of the scores; NaN without any."""
        return float(np.mean(self.scores)) if self.scores else math.nan

    @property
    def loss(self) -> float:
        """Mean validation loss of those trials, which decides between equals; NaN without any."""
        losses = [row.at_best.get(LOSS, math.nan) for row in self.rows if row.scored]
        return float(np.mean(losses)) if losses else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation of a fold's score, by n - 1; NaN for fewer than two."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else math.nan

    @property
    def complete(self) -> bool:
        """Whether every fold of the data set has a finished trial."""
        done = {row.entry.trial.config.fold for row in self.rows if row.entry.status == trials.DONE}
        return len(done) == self.folds

    @property
    def run_dirs(self) -> tuple[str, ...]:
        """Run directories, by fold."""
        return tuple(row.entry.trial.config.run_dir for row in self.rows)


def over_folds(groups: Sequence[FoldGroup]) -> dict[str, OverFolds]:
    """Returns trial → the mean and spread of its group."""
    return {
        row.name: OverFolds(group.name, group.mean, group.spread)
        for group in groups
        for row in group.rows
    }


def groups_of(rows: Sequence[Row], metric: str, folds: int) -> tuple[FoldGroup, ...]:
    """Returns the groups of trials that differ by fold alone, best mean first.

    Args:
      rows: of the leaderboard, best first.
      metric: that it is ordered by.
      folds: of the data set; 0 for one without.
    """
    found: dict[object, dict[int, Row]] = {}
    for row in rows:
        config = row.entry.trial.config
        if config.fold is not None:
            same = dataclasses.replace(config, fold=None, run_dir="-")
            # Of two trials that are equal but for their names, the better one stands for both.
            found.setdefault(same, {}).setdefault(config.fold, row)
    names: dict[str, int] = {}
    groups = []
    for of_fold in found.values():
        members = tuple(of_fold[fold] for fold in sorted(of_fold))
        name = _name(members)
        names[name] = names.get(name, 0) + 1
        name = name if names[name] == 1 else f"{name}-{names[name]}"
        groups.append(FoldGroup(name, members, folds))
    losses = {group.name: group.loss for group in groups}
    order = halving.ranked({group.name: group.mean for group in groups}, metric, losses)
    return tuple(sorted(groups, key=lambda group: order.index(group.name)))


def _name(rows: Sequence[Row]) -> str:
    """Returns the name of the first trial without its fold; it is a valid file name."""
    return re.sub(r",?fold=\d+", "", rows[0].name).strip(",") or _ALL
