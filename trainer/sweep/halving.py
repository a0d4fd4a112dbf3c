"""Successive halving: train all a little, the better ones further (Jamieson, Talwalkar 2016).

Trials pause at the same fractions of their own --epochs, with their schedules untouched, so
one that survives ends as if it had never been paused. Who survives is a function of the
metrics of the epochs up to the rung, not of the order in which trials end; a sweep that is
killed and started again decides the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from trainer.runs.history import History, less_is_better


def rung_epochs(epochs: int, eta: int, rungs: int) -> tuple[int, ...]:
    """Returns the epochs after which a run pauses: epochs/eta^rungs, …, epochs/eta, rounded up.

    Those that a short run would not reach before its end are still there; they are its end.
    """
    return tuple(math.ceil(epochs / eta**power) for power in range(rungs, 0, -1))


def score(history: History, metric: str, monitor: str, epochs: int | None = None) -> float:
    """Returns `metric` at the epoch that is best by `monitor`; NaN where there is none.

    That epoch is the one whose weights a run keeps, so it is what a trial is worth.

    Args:
      history: of the run.
      metric: column of the result.
      monitor: the run's --monitor.
      epochs: count only the first of them.
    """
    first = History({name: values[:epochs] for name, values in history.columns.items()})
    best = first.best(monitor)
    return float("nan") if best is None else float(first[metric][best])


def ranked(scores: Mapping[str, float], metric: str) -> list[str]:
    """Returns names from the best score to the worst, unknown ones last, equals in order."""
    sign = 1 if less_is_better(metric) else -1

    def key(name: str) -> tuple[bool, float]:
        value = scores[name]
        return (True, 0.0) if np.isnan(value) else (False, sign * value)

    return sorted(scores, key=key)


def survivors(scores: Mapping[str, float], metric: str, eta: int) -> tuple[str, ...]:
    """Returns the best 1/eta of the trials, rounded up, in their own order."""
    known = {name: value for name, value in scores.items() if not np.isnan(value)}
    kept: Sequence[str] = ranked(known, metric)[: math.ceil(len(scores) / eta)]
    return tuple(name for name in scores if name in kept)
