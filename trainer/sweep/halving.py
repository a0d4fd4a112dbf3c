"""Successive halving: train all trials a little, then the better ones further.

Trials pause at the same fractions of their own --epochs, with their schedules unchanged, so a
trial that survives ends as if it had never paused. The survivors depend on the metrics of the
epochs up to the rung, not on the order in which trials end: a sweep that is killed and started
again keeps the same ones.

Source: Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter
optimization".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from trainer.runs.history import LOSS, History, less_is_better


def rung_epochs(epochs: int, eta: int, rungs: int) -> tuple[int, ...]:
    """Returns the epochs after which a run pauses: epochs/eta^rungs, …, epochs/eta, rounded up.

    Rungs that a short run does not reach before its end fall on its end.
    """
    return tuple(math.ceil(epochs / eta**power) for power in range(rungs, 0, -1))


def score(history: History, metric: str, monitor: str, epochs: int | None = None) -> float:
    """Returns `metric` at the epoch that is best by `monitor`; NaN where there is none.

    A run keeps the weights of that epoch, so its metric is the score of the trial.

    Args:
      history: of the run.
      metric: column of the result.
      monitor: the run's --monitor.
      epochs: count only the first of them.
    """
    first = History({name: values[:epochs] for name, values in history.columns.items()})
    best = first.best(monitor)
    return float("nan") if best is None else float(first[metric][best])


def loss(history: History, monitor: str, epochs: int | None = None) -> float:
    """Returns the validation loss at that epoch, which decides between equals; arguments alike."""
    return score(history, LOSS, monitor, epochs)


def ranked(
    scores: Mapping[str, float], metric: str, losses: Mapping[str, float] | None = None
) -> list[str]:
    """Returns names from best score to worst; unknown scores last.

    Args:
      scores: of each name.
      metric: that they are of.
      losses: on validation: of equal scores, the lower loss is better. Then they are in their own
        order, as without any.
    """
    sign = 1 if less_is_better(metric) else -1

    def key(name: str) -> tuple[float, ...]:
        values = (sign * scores[name], (losses or {}).get(name, math.nan))
        return tuple(math.inf if math.isnan(value) else value for value in values)

    return sorted(scores, key=key)


def survivors(
    scores: Mapping[str, float], metric: str, eta: int, losses: Mapping[str, float] | None = None
) -> tuple[str, ...]:
    """Returns the best 1/eta of the trials, rounded up, in their own order; as `ranked`."""
    known = {name: value for name, value in scores.items() if not np.isnan(value)}
    kept: Sequence[str] = ranked(known, metric, losses)[: math.ceil(len(scores) / eta)]
    return tuple(name for name in scores if name in kept)
