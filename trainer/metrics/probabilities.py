"""How a network's logits become probabilities: softmax((logits - shift) / temperature).

This is the one place that says so, for `trainer.predict`, `trainer.evaluate` and
`trainer.export`. The temperature is fitted on the validation split while a run trains and kept
with it; see `trainer.runs.validation`. The shift is that of `--logit_adjustment`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

    Logits = TypeVar("Logits", np.ndarray, tf.Tensor)

# Bounds of the search. The optimum is 0 for a network that is right everywhere with a margin, and
# infinite for one that has learnt nothing: a search that ends within 1% of a bound found none.
MIN_TEMPERATURE = 0.05
MAX_TEMPERATURE = 20.0
_AT_BOUND = 1.01

# What a fit needs. The temperature is told by the mistakes and by how sure the network was of
# them: with 10 to 19 of them, 1 of 100 fits makes an overconfident network worse; with 1 to 5, one
# of four. `python -m benchmarks.temperature`.
MIN_ROWS = 100
MIN_MISTAKES = 10

# With fewer, a network that is right nearly everywhere and much less sure than that still shows
# it, as one does that was trained with label smoothing. Then half a picture more counts as a
# mistake, as in Krichevsky and Trofimov's estimate (Platt 1999 adds a whole one), and only a
# temperature well below 1 is taken: where the network was sure enough, nearly none is.
CAUTIOUS_ROWS = 20
CAUTIOUS_BELOW = 0.9


@dataclass(frozen=True)
class Temperature:
    """What divides logits before the softmax; it calibrates probabilities and changes no answer.

    Attributes:
      value: above 0; 1 where none was fitted.
      note: why none was fitted; empty where one was.
    """

    value: float = 1.0
    note: str = ""

    def __str__(self) -> str:
        if self.note:
            return f"without a fitted temperature: {self.note}"
        return f"at temperature {self.value:.3f}"


@dataclass(frozen=True, eq=False)
class Probabilities:
    """The rule that makes probabilities of a network's logits.

    Attributes:
      temperature: divides the logits.
      shift: float32[classes], subtracted from them before; None for nothing.
    """

    temperature: Temperature = Temperature()
    shift: np.ndarray | None = None

    def adjusted(self, logits: Logits) -> Logits:
        """Returns the logits less the shift; the answers are their largest."""
        return logits if self.shift is None else logits - self.shift

    def scaled(self, logits: Logits) -> Logits:
        """Returns what the softmax is taken of, as an array or a tensor like `logits`."""
        return self.adjusted(logits) / np.float32(self.temperature.value)

    def of(self, logits: np.ndarray) -> np.ndarray:
        """Returns float32[n, classes], the probabilities of logits float32[n, classes]."""
        return softmax(self.scaled(logits))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns the softmax of each row, float32[n, classes]."""
    exp = np.exp(shifted(logits))
    exp /= exp.sum(axis=1, keepdims=True)
    return exp


def shifted(logits: np.ndarray) -> np.ndarray:
    """Returns [n, classes] logits minus each row's largest, so that no exponential overflows."""
    return logits - logits.max(axis=1, keepdims=True)


def fit(logits: np.ndarray, labels: np.ndarray) -> Temperature:
    """Returns the temperature that minimises the cross-entropy of logits / temperature.

    Args:
      logits: float32[n, classes].
      labels: int64[n], index of the true class.

    Returns:
      1 with a note where there is too little to fit on, or where the search ends at a bound.
    """
    rows, mistakes = len(labels), int((logits.argmax(axis=1) != labels).sum())
    doubt = 0.5 / (rows + 1) if too_little(rows, mistakes) else 0.0
    return recorded(minimum(logits, labels, doubt), rows, mistakes)


def recorded(value: float | None, rows: int, mistakes: int) -> Temperature:
    """Returns the temperature that a fit on so many rows gave, if it is one to rely on.

    Args:
      value: what the fit gave; None where there was none, or where it is not known.
      rows: pictures that it was fitted on.
      mistakes: how many of them the network has wrong.
    """
    note = too_little(rows, mistakes)
    if value is not None and _inside(value):
        if not note or (rows >= CAUTIOUS_ROWS and value < CAUTIOUS_BELOW):
            return Temperature(value)
    elif not note:
        note = f"no best one from {MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g} was found"
    return Temperature(1.0, note)


def too_little(rows: int, mistakes: int) -> str:
    """Returns why so many validation pictures and mistakes fit no temperature; empty if they do.

    One that is well below 1 is fitted all the same; see `CAUTIOUS_BELOW`.
    """
    if rows < MIN_ROWS:
        return f"a fit needs {MIN_ROWS} validation pictures, and there are {rows:,}"
    if mistakes < MIN_MISTAKES:
        return (
            f"a fit needs {MIN_MISTAKES} mistakes on validation, and there are {mistakes:,} in "
            f"{rows:,} pictures"
        )
    return ""


def minimum(
    logits: np.ndarray, labels: np.ndarray, doubt: float = 0.0, tolerance: float = 1e-4
) -> float:
    """Returns the temperature of least cross-entropy within the bounds.

    The loss is convex in 1 / temperature, so Newton's method, kept inside a bracket by
    bisection, finds the one minimum in about six evaluations. Source: Guo et al. 2017, 4.2.

    Args:
      logits: float32[n, classes].
      labels: int64[n].
      doubt: mass of each target that is spread over the other classes.
      tolerance: relative.
    """
    relative = shifted(logits)
    true = relative[np.arange(len(relative)), labels].astype(np.float64)
    if doubt:
        others = relative.sum(axis=1, dtype=np.float64) - true
        true = (1 - doubt) * true + doubt * others / max(1, relative.shape[1] - 1)
    low, high = 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE
    beta = 1.0
    for _ in range(60):
        slope, curvature = _slope_and_curvature(relative, true, beta)
        low, high = (beta, high) if slope < 0 else (low, beta)
        step = beta - slope / curvature if curvature > 0 else low
        following = step if low < step < high else (low * high) ** 0.5
        if abs(following - beta) <= tolerance * beta:
            break
        beta = following
    return 1 / beta


def _inside(value: float) -> bool:
    return MIN_TEMPERATURE * _AT_BOUND < value < MAX_TEMPERATURE / _AT_BOUND


def _slope_and_curvature(
    relative: np.ndarray, true: np.ndarray, beta: float
) -> tuple[float, float]:
    """Returns both derivatives of the cross-entropy in beta = 1 / temperature."""
    weights = np.exp(relative * np.float32(beta))
    total = weights.sum(axis=1, dtype=np.float64)
    weights *= relative
    first = weights.sum(axis=1, dtype=np.float64) / total
    weights *= relative
    second = weights.sum(axis=1, dtype=np.float64) / total
    return float((first - true).mean()), float((second - first**2).mean())
