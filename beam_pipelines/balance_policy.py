"""The rule for how many train records each class gets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class BalancePolicy:
    """The rule for the number of train records of each class.

    Without any value, every class keeps its originals. `min_per_class` alone is a threshold,
    `max_per_class` alone a cap, both equal an exact number.

    Attributes:
      min_per_class: smaller classes are filled with copies to this number.
      max_per_class: larger classes are cut to this number.
      power: 0 to 1; the target is proportional to count^power. 1 keeps the proportions, 0
        makes all classes equal, 0.5 is square-root sampling. Source: Mahajan et al.,
        "Exploring the limits of weakly supervised pretraining" (2018).
      effective_beta: 0 to below 1; the target is proportional to count / E, with
        E = (1 - beta^count) / (1 - beta) the effective number of samples, which gives each
        class the weight that the class-balanced loss would. 0 keeps the proportions, towards
        1 all classes become equal. Source: Cui et al., "Class-balanced loss based on
        effective number of samples" (2019).

    Under `power` and `effective_beta` the largest class keeps its size, or has
    `max_per_class` if that is less, and the others follow from it.

    Raises:
      ValueError: a value out of range, or two rules at once.
    """

    min_per_class: int | None = None
    max_per_class: int | None = None
    power: float | None = None
    effective_beta: float | None = None

    def __post_init__(self) -> None:
        for name in ("min_per_class", "max_per_class"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, not {value}")
        self._check_shares()
        if (self.min_per_class or 1) > (self.max_per_class or float("inf")):
            raise ValueError(
                f"min_per_class must not exceed max_per_class, "
                f"not {self.min_per_class} and {self.max_per_class}"
            )

    def _check_shares(self) -> None:
        if self.power is not None and not 0 <= self.power <= 1:
            raise ValueError(f"power must be 0 to 1, not {self.power}")
        if self.effective_beta is not None and not 0 <= self.effective_beta < 1:
            raise ValueError(f"effective_beta must be 0 to below 1, not {self.effective_beta}")
        rules = (self.min_per_class, self.power, self.effective_beta)
        if sum(rule is not None for rule in rules) > 1:
            raise ValueError(
                "give one of min_per_class, power and effective_beta; "
                "power and effective_beta already lift the small classes"
            )

    def targets(self, counts: np.ndarray) -> np.ndarray:
        """Returns int64[c], the records each class is to have, for int[c] originals in train.

        A class without originals gets 0, any other at least 1.
        """
        counts = np.asarray(counts, np.int64)
        if counts.size == 0 or counts.max() == 0:
            return np.zeros_like(counts)
        target = counts
        if self.power is not None:
            target = self._scaled(counts, counts.astype(np.float64) ** self.power)
        elif self.effective_beta is not None:
            target = self._scaled(counts, counts / effective_number(counts, self.effective_beta))
        bounded = np.clip(target, self.min_per_class or 1, self.max_per_class)
        return np.where(counts > 0, bounded, 0)

    def _scaled(self, counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
        largest = min(int(counts.max()), self.max_per_class or int(counts.max()))
        exact = largest * (shares / shares[counts.argmax()])
        return np.floor(exact + 0.5).astype(np.int64)


def effective_number(counts: np.ndarray, beta: float) -> np.ndarray:
    """Returns float64[c], (1 - beta^count) / (1 - beta), and 1 where the count is 0."""
    if beta == 0:
        return np.ones(len(counts))
    # expm1 keeps the digits that 1 - beta**count loses for beta near 1.
    return -np.expm1(np.maximum(counts, 1) * np.log(beta)) / (1 - beta)
