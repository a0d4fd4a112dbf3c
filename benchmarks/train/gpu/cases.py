"""What is measured of a step: the network, the batch, the precision, the compiler and the way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

CLASSES = 60

# Of each case, however short: fewer say nothing.
LEAST_STEPS = 3


@dataclass(frozen=True)
class Case:
    """One step that is measured.

    Attributes:
      model: as --model.
      side: pixels of a picture's side.
      batch: pictures a step.
      precision: as --precision.
      jit: "on" or "off"; of `fit` "auto", which leaves it to Keras; of PyTorch torch.compile.
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


def result(
    batch: int, steps: int, spent: float, first: float, peak_mib: int = 0
) -> dict[str, object]:
    """Returns what the table shows of a case."""
    return {
        "rate": round(steps * batch / spent, 1),
        "ms": round(1e3 * spent / steps, 3),
        "first_s": round(first, 1),
        "peak_mib": peak_mib,
    }


def report(name: str, found: Mapping[str, object]) -> None:
    """Prints one result, as `benchmarks.train.gpu.children` reads it."""
    print(json.dumps({"case": name, **found}), flush=True)


def measure_each(cases: Sequence[str], measured: Callable[[Case], Mapping[str, object]]) -> None:
    """Reports each case as it is done; one that fails leaves the others."""
    for text in cases:
        try:
            found = measured(Case.parse(text))
        except Exception as error:  # Whatever it is goes into the table, beside the others.
            lines = str(error).strip().splitlines() or [""]
            found = {"error": f"{type(error).__name__}: {lines[0]}"[:300]}
        report(text, found)
