"""How many mistakes a temperature needs: fits on drawn logits, held against the true temperature.

    python -m benchmarks.temperature

The logits are calibrated at temperature 1 by their making, then multiplied by 1.5, as those of a
network that is too sure of itself. Needs numpy only.
"""

from __future__ import annotations

import numpy as np

from trainer.metrics import metrics, probabilities
from trainer.metrics.metrics import Predictions

TRUE = 1.5

# (classes, standard deviation of the logits): networks that are right in half of all pictures,
# and in nearly all.
_NETWORKS = ((3, 4.0), (3, 10.0), (10, 6.0), (60, 8.0), (60, 16.0))
_ROWS = (20, 50, 100, 200, 500, 1000)
_REPEATS = 60
_HELD_OUT = 4000
_BINS = ((0, 0), (1, 5), (6, 9), (10, 19), (20, 29), (30, 99), (100, 999))


def main() -> None:
    """Prints a table of errors by the number of mistakes."""
    rng = np.random.default_rng(0)
    found: list[tuple[int, float, bool]] = []  # (mistakes, |log error|, worse than no temperature)
    for classes, scale in _NETWORKS:
        held_out = _draw(rng, _HELD_OUT, classes, scale)
        plain = metrics.cross_entropy(held_out)
        for rows in _ROWS:
            for _ in range(_REPEATS):
                case = _draw(rng, rows, classes, scale)
                fitted = probabilities.minimum(case.logits, case.labels)
                mistakes = int((case.predicted != case.labels).sum())
                worse = metrics.cross_entropy(held_out, fitted) > plain
                found.append((mistakes, abs(float(np.log(fitted / TRUE))), worse))
    print("| mistakes | fits | error of T, median | 9 of 10 below | worse than none |")
    print("|---|---|---|---|---|")
    for low, high in _BINS:
        errors = [error for mistakes, error, _ in found if low <= mistakes <= high]
        worse = [worse for mistakes, _, worse in found if low <= mistakes <= high]
        if errors:
            half, most = (float(np.expm1(np.quantile(errors, q))) for q in (0.5, 0.9))
            name = f"{low} to {high}" if high > low else str(low)
            print(f"| {name} | {len(errors)} | {half:.0%} | {most:.0%} | {np.mean(worse):.0%} |")


def _draw(rng: np.random.Generator, rows: int, classes: int, scale: float) -> Predictions:
    logits = rng.normal(size=(rows, classes)) * scale
    # The largest after Gumbel noise is a draw from the softmax.
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return Predictions(("",) * rows, labels, (logits * TRUE).astype(np.float32))


if __name__ == "__main__":
    main()
