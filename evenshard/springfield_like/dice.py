"""Seeded choices that stay the same on every machine and every Python."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TypeVar

from tfrecords.sharding import stable_hash

T = TypeVar("T")


class Dice:
    """Random choices that depend on the names it is made of alone.

    Built on `Random.random()` only: it is the one method whose sequence Python promises to
    keep between versions; `choice` and `shuffle` are not.
    """

    def __init__(self, *parts: str | int) -> None:
        self._random = random.Random(stable_hash(*parts)).random

    def between(self, low: float, high: float) -> float:
        """Returns a float in [low, high)."""
        return low + (high - low) * self._random()

    def whole(self, low: int, high: int) -> int:
        """Returns an integer in [low, high], both ends included."""
        return low + int(self._random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """Returns True with `probability`."""
        return self._random() < probability

    def pick(self, items: Sequence[T]) -> T:
        """Returns one of `items`."""
        return items[int(self._random() * len(items))]

    def normal(self, mean: float, deviation: float) -> float:
        """Returns a normally distributed float (Box-Muller)."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self._random()))
        return mean + deviation * radius * math.cos(2.0 * math.pi * self._random())
