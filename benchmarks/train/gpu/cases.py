"""What is measured of a step: the network, the batch, the precision, the compiler and the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

CLASSES = 60

# Of each case, however short: fewer say nothing.
LEAST_STEPS = 3


@dataclass(frozen=True)
class Case:
    """One line of the benchmark.

    Attributes:
      model: as --model.
      side: pixels of a picture's side.
      batch: pictures a step.
      precision: as --precision.
      jit: "on" or "off"; of `fit` "auto", which leaves it to Keras.
      way: see `benchmarks.train.gpu`.
    """

    model: str
    side: int
    batch: int
    precision: str
    jit: str
    way: str

    def __str__(self) -> str:
        return ":".join(map(str, (self.model, self.side, self.batch, self.precision, self.jit,
                                  self.way)))  # fmt: skip

    @classmethod
    def parse(cls, text: str) -> Case:
        """Returns the case that `str` gives."""
        model, side, batch, precision, jit, way = text.split(":")
        return cls(model, int(side), int(batch), precision, jit, way)


def timed(
    run: Callable[[], object], wait: Callable[[], object], seconds: float
) -> tuple[int, float]:
    """Returns how often something ran within a time, two runs to warm up left out, and the time."""
    run(), run(), wait()
    count, began = 0, time.perf_counter()
    while count < LEAST_STEPS or time.perf_counter() - began < seconds:
        run()
        count += 1
    wait()
    return count, time.perf_counter() - began


def result(batch: int, steps: int, spent: float, first: float, peak_mib: int) -> dict[str, float]:
    """Returns what the table shows of a case."""
    return {
        "rate": round(steps * batch / spent, 1),
        "ms": round(1e3 * spent / steps, 3),
        "first_s": round(first, 1),
        "peak_mib": peak_mib,
    }
