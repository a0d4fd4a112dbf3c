"""Draws macro-F1 against pictures of a class and image size, for docs/how-to/size-and-per-class.md.

python -m docs.site.size_plot docs/images/size_and_per_class.png

The numbers are of the leaderboard of

    evenshard sweep --data_dir=O --runs_dir=RS --grid=experiments/story.yaml --scale=0.05

on the drawn town of 42 classes, as docs/images/leaderboard.png shows it.
"""

from __future__ import annotations

import sys

import matplotlib
from matplotlib.figure import Figure

matplotlib.use("agg")

# Image size → per_class → (macro-F1 in per cent, seconds of training).
MEASURED = {
    32: {8: (14.0, 47), 15: (22.4, 49), 25: (33.4, 68), 35: (42.3, 181)},
    48: {8: (8.5, 142), 15: (23.8, 167), 35: (42.3, 384)},
}
_COLOURS = {32: "#0072b2", 48: "#d55e00"}


def draw() -> Figure:
    """Returns the figure: the score, and the time that it took."""
    figure = Figure(figsize=(9, 3.4), dpi=100, facecolor="white", layout="constrained")
    score, time = figure.subplots(1, 2)
    for size, by_number in MEASURED.items():
        numbers = list(by_number)
        label, colour = f"{size} pixels", _COLOURS[size]
        score.plot(numbers, [f1 for f1, _ in by_number.values()], "o-", color=colour, label=label)
        time.plot(numbers, [s / 60 for _, s in by_number.values()], "o-", color=colour, label=label)
    score.set_title("Validation macro-F1, %", loc="left", fontsize=11)
    time.set_title("Minutes of training", loc="left", fontsize=11)
    for axes in (score, time):
        axes.set_xlabel("per_class")
        axes.set_ylim(bottom=0)
        axes.grid(color="#e4e8ec")
        axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    draw().savefig(sys.argv[1])
