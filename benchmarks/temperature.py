"""How many mistakes a temperature needs: fits on drawn logits, held against the true temperature.

    python -m benchmarks.temperature

The logits are calibrated at temperature 1 by their making, then multiplied by 1.5, as those of a
network that is too sure of itself. The second table is of fits with fewer mistakes than that needs,
for networks from too sure to far from sure enough. Needs numpy only. Numbers of docs/learning.md.
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
_TRUTHS = (2.0, 1.5, 1.0, 0.7, 0.4)
_FEW_ROWS = (20, 50, 100, 200)
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

    _few_mistakes(rng)


def _few_mistakes(rng: np.random.Generator) -> None:
    """Prints what fits with too few mistakes come to, by the true temperature."""
    print("\n| true temperature | fits | taken | of these worse than none | change of the loss |")
    print("|---|---|---|---|---|")
    for true in _TRUTHS:
        changes: list[float] = []
        fits = 0
        for classes, scale in _NETWORKS:
            held_out = _draw(rng, _HELD_OUT, classes, scale, true)
            plain = metrics.cross_entropy(held_out)
            for rows in _FEW_ROWS:
                for _ in range(_REPEATS):
                    case = _draw(rng, rows, classes, scale, true)
                    mistakes = int((case.predicted != case.labels).sum())
                    if not probabilities.too_little(rows, mistakes):
                        continue
                    fits += 1
                    found = probabilities.fit(case.logits, case.labels)
                    if not found.note:
                        changes.append(metrics.cross_entropy(held_out, found.value) / plain - 1)
        worse = f"{np.mean(np.array(changes) > 0):.0%}" if changes else "–"
        median = f"{np.median(changes):+.0%}" if changes else "–"
        print(f"| {true:g} | {fits} | {len(changes) / fits:.0%} | {worse} | {median} |")


def _draw(
    rng: np.random.Generator, rows: int, classes: int, scale: float, true: float = TRUE
) -> Predictions:
    logits = rng.normal(size=(rows, classes)) * scale
    # The largest after Gumbel noise is a draw from the softmax.
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return Predictions(("",) * rows, labels, (logits * true).astype(np.float32))


if __name__ == "__main__":
    main()
