"""The figures of a set of predictions: confusion, F1 against class size, calibration.

Each function returns a matplotlib `Figure` in the shared style, which
`tfrecords.reporting.figures` turns into a PNG file or into the SVG of a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfrecords.reporting import figures
from tfrecords.reporting.html import shorten
from trainer.metrics import metrics
from trainer.metrics.metrics import ClassResult, Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUP_COLOURS = {"head": figures.BLUE, "medium": figures.GREEN, "tail": figures.VERMILLION}
GROUP_SIZES = {
    "head": f"over {metrics.HEAD_ABOVE}",
    "medium": f"{metrics.TAIL_BELOW} to {metrics.HEAD_ABOVE}",
    "tail": f"under {metrics.TAIL_BELOW}",
}

# Up to this number of classes a cell is large enough for its number.
NUMBERED_CLASSES = 14

# Points of the scatter that are named: at most so many of those that lie this far below the
# median of the classes nearest in size, lowest first, if the name covers no other point.
_NAMED_POINTS = 5
_STANDS_OUT = 0.12
_NEIGHBOURS = 9
# Size of a name of 20 characters, as a fraction of the axes.
_NAME_WIDTH, _NAME_HEIGHT = 0.32, 0.05

# Text on a strong cell, in light and dark mode alike: the page's own white turns dark.
_ON_COLOUR = "#fffffe"

# A bin with fewer pictures is noise, and is left out of the diagram (not of the error).
_MIN_BIN = 5


@dataclass(frozen=True)
class MatrixLook:
    """Sizes of a confusion matrix that keep its names readable.

    Attributes:
      cell: inches.
      font: points of the names.
      name: characters after which a name is cut.
    """

    cell: float
    font: float
    name: int

    @classmethod
    def of(cls, classes: int) -> MatrixLook:
        """Returns the look for a number of classes."""
        if classes <= NUMBERED_CLASSES:
            return cls(max(0.36, min(0.9, 4.2 / classes)), 9, 22)
        if classes <= 60:
            return cls(0.205, 8, 24)
        return cls(0.115, 6.8, 24)


def confusion(matrix: np.ndarray, classes: Sequence[str], train_counts: Sequence[int]) -> Figure:
    """Returns the confusion matrix, largest class first, rows as fractions of the true class.

    Args:
      matrix: int64[true, predicted], in label order.
      classes: names in label order.
      train_counts: of each class; they set the order and the colours of the edge.
    """
    order = by_size(train_counts)
    look = MatrixLook.of(len(classes))
    side = _matrix_inches(classes)
    with figures.style():
        figure, (axes,) = figures.figure(side, side)
        _matrix(axes, matrix[np.ix_(order, order)], look)
        names = [shorten(classes[i], look.name) for i in order]
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=look.font)
        axes.set_yticks(range(len(names)), names, fontsize=look.font)
        axes.tick_params(pad=7 if len(names) <= 60 else 4)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        _edges(axes, [metrics.class_group(train_counts[i]) for i in order])
    return figure


def matrix_pixels(classes: Sequence[str]) -> int:
    """Returns the maximum width of the confusion matrix on a page, in pixels."""
    return round(_matrix_inches(classes) * (120 if len(classes) <= NUMBERED_CLASSES else 95))


def by_size(train_counts: Sequence[int]) -> list[int]:
    """Returns the labels by number of training pictures, largest first."""
    return sorted(range(len(train_counts)), key=lambda i: (-train_counts[i], i))


def f1_against_size(
    results: Sequence[ClassResult], classes: Sequence[str], train_counts: Sequence[int]
) -> Figure:
    """Returns each class's F1 against its number of training pictures, the outliers named."""
    with figures.style():
        figure, (axes,) = figures.figure(height=3.6)
        sizes = np.maximum(np.asarray(train_counts, float), 0.5)
        for group in GROUP_COLOURS:
            _scatter_group(axes, group, results, sizes, train_counts)
        axes.set_xscale("log")
        low, high = sizes.min() / 1.5, sizes.max() * 1.5
        axes.set_xlim(low, high)
        axes.set_ylim(-0.04, 1.04)
        _count_ticks(axes, low, high)
        _name_outliers(axes, results, classes, sizes)
        figures.percent_axis(axes)
        axes.set_xlabel("training pictures, without copies")
        axes.set_ylabel("F1")
        figures.legend(axes, columns=3)
    return figure


def names_all(results: Sequence[ClassResult]) -> bool:
    """Returns whether `f1_against_size` names every class that there is room for."""
    return sum(result.support > 0 for result in results) <= NUMBERED_CLASSES


def calibration(predictions: Predictions, temperature: float | None) -> Figure:
    """Returns accuracy against confidence, as trained and at the fitted temperature, if any."""
    with figures.style():
        figure, (axes,) = figures.figure(height=3.6)
        axes.plot([0, 1], [0, 1], color=figures.MUTED, linewidth=1, linestyle=(0, (2, 3)))
        raw = metrics.calibration_bins(predictions)
        fitted = metrics.calibration_bins(predictions, temperature or 1.0)
        _share_bars(axes, fitted)
        _reliability(axes, raw, figures.ORANGE, "as trained", "--")
        if temperature is not None:
            _reliability(axes, fitted, figures.BLUE, f"T = {temperature:.2f}", "-")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        figures.percent_axis(axes, "x")
        figures.percent_axis(axes, "y")
        axes.set_xlabel("confidence: probability of the predicted class")
        axes.set_ylabel("accuracy")
        figures.legend(axes, columns=3)
    return figure


def _matrix_inches(classes: Sequence[str]) -> float:
    """Returns the side of the confusion matrix with its names."""
    look = MatrixLook.of(len(classes))
    longest = min(look.name, max(map(len, classes)))
    return look.cell * len(classes) + look.font / 72 * 0.62 * longest + 0.5


def _matrix(axes: Axes, matrix: np.ndarray, look: MatrixLook) -> None:
    """Draws correct predictions in blue and mistakes in vermillion, stronger where more."""
    fractions = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # The root lifts small values: a single mistake among 200 pictures stays visible.
    strength = np.where(matrix > 0, 0.1 + 0.9 * fractions**0.6, 0)
    diagonal = np.eye(len(matrix), dtype=bool)[..., None]
    pixels = np.where(
        diagonal,
        figures.shades(figures.BLUE, strength),
        figures.shades(figures.VERMILLION, strength),
    )
    image = axes.imshow((pixels * 255).round().astype(np.uint8), interpolation="none")
    image.set_gid("matrix")
    axes.grid(False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    for side in ("left", "bottom"):  # The edges of the groups take their place.
        axes.spines[side].set_visible(False)
    _cell_lines(axes, len(matrix))
    if len(matrix) <= NUMBERED_CLASSES:
        for (row, column), value in np.ndenumerate(matrix):
            strong = strength[row, column] > 0.55
            axes.text(
                column,
                row,
                f"{value:,}" if value else "·",
                ha="center",
                va="center",
                color=_ON_COLOUR if strong else figures.INK if value else figures.MUTED,
                fontsize=9,
            )


def _cell_lines(axes: Axes, classes: int) -> None:
    """Draws a hairline between cells; every fifth is a little stronger."""
    if classes <= NUMBERED_CLASSES:
        return
    edges = np.arange(1, classes)
    for lines, width in ((edges, 0.25), (edges[edges % 5 == 0], 0.6)):
        for draw in (axes.hlines, axes.vlines):
            draw(lines - 0.5, -0.5, classes - 0.5, color=figures.GRID, linewidth=width, zorder=0.5)


def _edges(axes: Axes, group_of: Sequence[str]) -> None:
    """Draws a coloured edge along both axes that shows head, medium and tail classes."""
    for group, colour in GROUP_COLOURS.items():
        members = [i for i, each in enumerate(group_of) if each == group]
        if not members:
            continue
        span = (members[0] - 0.5, members[-1] + 0.5)
        across = axes.get_xaxis_transform()
        down = axes.get_yaxis_transform()
        for x, y, transform in ((span, (0, 0), across), ((0, 0), span, down)):
            axes.plot(
                x,
                y,
                transform=transform,
                color=colour,
                linewidth=3,
                clip_on=False,
                solid_capstyle="butt",
            )


def _scatter_group(
    axes: Axes,
    group: str,
    results: Sequence[ClassResult],
    sizes: np.ndarray,
    train_counts: Sequence[int],
) -> None:
    members = [
        i
        for i, result in enumerate(results)
        if result.support and metrics.class_group(train_counts[i]) == group
    ]
    if not members:
        return
    scores = [results[i].f1 or 0.0 for i in members]
    areas = [12 + 3 * min(results[i].support, 60) ** 0.75 for i in members]
    mean = float(np.mean(scores))
    axes.scatter(
        sizes[members],
        scores,
        s=areas,
        color=GROUP_COLOURS[group],
        alpha=0.75,
        linewidths=0,
        label=f"{group}, mean {100 * mean:.0f}%",
        zorder=3,
    )
    left, right = sizes[members].min() / 1.12, sizes[members].max() * 1.12
    axes.plot([left, right], [mean, mean], color=GROUP_COLOURS[group], linewidth=1.2, zorder=2)


def _count_ticks(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

    steps = (1, 3) if high / low > 60 else (1, 2, 5)
    ticks = [step * 10**power for power in range(8) for step in steps]
    ticks = [tick for tick in ticks if low <= tick <= high]
    if len(ticks) < 3:
        ticks = list(MaxNLocator(5, integer=True).tick_values(low, high))
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _name_outliers(
    axes: Axes, results: Sequence[ClassResult], classes: Sequence[str], sizes: np.ndarray
) -> None:
    """Names classes with a much lower F1 than others of their size; of few classes, all."""
    known = [i for i, result in enumerate(results) if result.support]
    scores = np.array([results[i].f1 or 0.0 for i in known], float)
    low, high = np.log(axes.get_xlim())
    points = np.stack([(np.log(sizes[known]) - low) / (high - low), scores], axis=1)
    taken = points.copy()
    named = 0
    heights = _against_neighbours(points)
    few = names_all(results)
    for point in np.argsort(heights, kind="stable"):
        if not few and (named == _NAMED_POINTS or heights[point] > -_STANDS_OUT):
            return
        side = _free_side(points[point], taken)
        if not side:
            continue
        named += 1
        reach = points[point] + [side * _NAME_WIDTH / 2, 0]
        taken = np.concatenate([taken, [reach, reach + [side * _NAME_WIDTH / 2, 0]]])
        axes.annotate(
            shorten(classes[known[point]], 20),
            (sizes[known[point]], scores[point]),
            xytext=(9 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=7.5,
            color=figures.MUTED,
            zorder=4,
        )


def _against_neighbours(points: np.ndarray) -> np.ndarray:
    """Returns each point's height minus the median of the points nearest to it in size."""
    distance = np.abs(points[:, None, 0] - points[None, :, 0])
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :_NEIGHBOURS]
    return points[:, 1] - np.median(points[nearest, 1], axis=1)


def _free_side(point: np.ndarray, taken: np.ndarray) -> int:
    """Returns 1 or -1 if the right or the left of a point has room for a name, else 0."""
    for side in (1, -1):
        reach = (taken[:, 0] - point[0]) * side
        inside = (reach > 0) & (reach < _NAME_WIDTH)
        level = np.abs(taken[:, 1] - point[1]) < _NAME_HEIGHT
        if 0 < point[0] + side * _NAME_WIDTH < 1 and not (inside & level).any():
            return side
    return 0


def _reliability(
    axes: Axes, bins: Sequence[metrics.CalibrationBin], colour: str, label: str, style: str
) -> None:
    error = metrics.calibration_error(bins)
    shown = [bin_ for bin_ in bins if bin_.count >= _MIN_BIN]
    axes.plot(
        np.array([bin_.confidence for bin_ in shown], float),
        np.array([bin_.accuracy for bin_ in shown], float),
        style,
        marker="o",
        color=colour,
        label=f"{label}: ECE {100 * error:.1f}%",
    )


def _share_bars(axes: Axes, bins: Sequence[metrics.CalibrationBin]) -> None:
    """Draws how many predictions lie in each bin, as a fraction of the axes' height."""
    total = sum(bin_.count for bin_ in bins)
    width = 1 / len(bins)
    axes.bar(
        [(i + 0.5) * width for i in range(len(bins))],
        [bin_.count / total for bin_ in bins],
        width=0.86 * width,
        color=figures.GRID,
        zorder=1,
    )
