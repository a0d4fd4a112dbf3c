"""The figures of a run: curves, confusion, F1 against class size, calibration.

Each function returns a matplotlib `Figure` in the shared style, which `tfrecords.plots` turns
into a PNG file or into the SVG of a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from tfrecords import plots
from tfrecords.html import shorten
from trainer import metrics
from trainer.history import History
from trainer.metrics import ClassResult, Predictions

GROUP_COLOURS = {"head": plots.BLUE, "medium": plots.GREEN, "tail": plots.VERMILLION}
GROUP_SIZES = {
    "head": f"over {metrics.HEAD_ABOVE}",
    "medium": f"{metrics.TAIL_BELOW} to {metrics.HEAD_ABOVE}",
    "tail": f"under {metrics.TAIL_BELOW}",
}

# Up to here a cell is large enough for its number.
NUMBERED_CLASSES = 14

# More epochs than this and their dots merge.
_DOTTED_EPOCHS = 40

# Points of the scatter that are named: the weakest, as long as they keep this far apart, as
# a fraction of the axes.
_NAMED_POINTS = 6
_NAME_DISTANCE = (0.34, 0.075)


def loss(history: History, best: int | None) -> Figure:
    """Returns training and validation loss by epoch."""
    with plots.style():
        figure, (axes,) = plots.figure()
        _loss(axes, history, best)
    return figure


def accuracy(history: History, best: int | None) -> Figure:
    """Returns top-1, macro-F1 and balanced accuracy by epoch."""
    with plots.style():
        figure, (axes,) = plots.figure()
        _accuracy(axes, history, best)
    return figure


def learning_rate(history: History, best: int | None) -> Figure:
    """Returns the learning rate by epoch."""
    with plots.style():
        figure, (axes,) = plots.figure()
        _learning_rate(axes, history, best)
    return figure


def throughput(history: History, best: int | None) -> Figure:
    """Returns images per second, and below it the fraction of time spent waiting for input."""
    with plots.style():
        figure, (speed, wait) = plots.figure(rows=2)
        _speed(speed, history)
        _input_wait(wait, history)
        speed.set_xlabel("")
    return figure


def curves(history: History, best: int | None) -> Figure:
    """Returns everything that changes with the epoch, for `curves.png`."""
    with plots.style():
        figure, axes = plots.figure(2 * plots.WIDTH, 3 * plots.HEIGHT, rows=3, columns=2)
        _loss(axes[0], history, best)
        _accuracy(axes[1], history, best)
        _learning_rate(axes[2], history, best)
        _groups(axes[3], history, best)
        _speed(axes[4], history)
        _input_wait(axes[5], history)
        titles = ("Loss", "Accuracy", "Learning rate", "By class size", "Throughput", "Input wait")
        for each, title in zip(axes, titles, strict=True):
            # Above the legend, which sits on the axes.
            each.set_title(title, pad=22)
    return figure


def groups(history: History, best: int | None) -> Figure:
    """Returns head, medium and tail accuracy by epoch."""
    with plots.style():
        figure, (axes,) = plots.figure()
        _groups(axes, history, best)
    return figure


def has_groups(history: History) -> bool:
    """Returns whether the history has accuracy by class size."""
    return any(history.has(f"val_{group}") for group in GROUP_COLOURS)


@dataclass(frozen=True)
class MatrixLook:
    """Sizes of a confusion matrix of so many classes: readable, and no larger than needed.

    Attributes:
      cell: inches.
      font: points of the names.
      name: characters that a name is cut to.
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
        return cls(0.115, 6.2, 26)


def confusion(matrix: np.ndarray, classes: Sequence[str], train_counts: Sequence[int]) -> Figure:
    """Returns the confusion matrix, largest class first, rows as fractions of the true class.

    Args:
      matrix: int64[true, predicted], in label order.
      classes: names in label order.
      train_counts: of each class; decides the order and the coloured edge.
    """
    order = by_size(train_counts)
    look = MatrixLook.of(len(classes))
    side = look.cell * len(classes)
    margin = look.font / 72 * 0.62 * min(look.name, max(map(len, classes))) + 0.5
    with plots.style():
        figure, (axes,) = plots.figure(side + margin, side + margin)
        _matrix(axes, matrix[np.ix_(order, order)], look)
        names = [shorten(classes[i], look.name) for i in order]
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=look.font)
        axes.set_yticks(range(len(names)), names, fontsize=look.font)
        axes.tick_params(pad=7 if len(names) <= 60 else 4)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        _edges(axes, [metrics.class_group(train_counts[i]) for i in order])
    return figure


def by_size(train_counts: Sequence[int]) -> list[int]:
    """Returns the labels by number of training pictures, largest first."""
    return sorted(range(len(train_counts)), key=lambda i: (-train_counts[i], i))


def f1_against_size(
    results: Sequence[ClassResult], classes: Sequence[str], train_counts: Sequence[int]
) -> Figure:
    """Returns each class's F1 against its number of training pictures, the weakest named."""
    with plots.style():
        figure, (axes,) = plots.figure(height=3.6)
        sizes = np.maximum(np.asarray(train_counts, float), 0.5)
        for group in GROUP_COLOURS:
            _scatter_group(axes, group, results, sizes, train_counts)
        axes.set_xscale("log")
        low, high = sizes.min() / 1.5, sizes.max() * 1.5
        axes.set_xlim(low, high)
        axes.set_ylim(-0.04, 1.04)
        _count_ticks(axes, low, high)
        _name_weakest(axes, results, classes, sizes)
        plots.percent_axis(axes)
        axes.set_xlabel("training pictures, without copies")
        axes.set_ylabel("F1")
        plots.legend(axes, columns=3)
    return figure


def calibration(predictions: Predictions, temperature: float) -> Figure:
    """Returns accuracy against confidence, as trained and at the fitted temperature."""
    with plots.style():
        figure, (axes,) = plots.figure(height=3.6)
        axes.plot([0, 1], [0, 1], color=plots.MUTED, linewidth=1, linestyle=(0, (2, 3)))
        raw = metrics.calibration_bins(predictions)
        fitted = metrics.calibration_bins(predictions, temperature)
        _share_bars(axes, fitted)
        _reliability(axes, raw, plots.ORANGE, "as trained", "--")
        _reliability(axes, fitted, plots.BLUE, f"temperature {temperature:.2f}", "-")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        plots.percent_axis(axes, "x")
        plots.percent_axis(axes, "y")
        axes.set_xlabel("confidence: probability of the predicted class")
        axes.set_ylabel("accuracy")
        plots.legend(axes, columns=3)
    return figure


def _loss(axes: Axes, history: History, best: int | None) -> None:
    _trace(axes, history, "loss", plots.MUTED, "train", "--")
    _trace(axes, history, "val_loss", plots.BLUE, "validation", best=best)
    _finish(axes, history, best)


def _accuracy(axes: Axes, history: History, best: int | None) -> None:
    _trace(axes, history, "top1", plots.MUTED, "train top-1", "--")
    _trace(axes, history, "val_top1", plots.BLUE, "top-1", best=best)
    _trace(axes, history, "val_macro_f1", plots.VERMILLION, "macro-F1", best=best)
    _trace(axes, history, "val_balanced_accuracy", plots.GREEN, "balanced", best=best)
    axes.set_ylim(0, 1.02)
    plots.percent_axis(axes)
    _finish(axes, history, best)


def _groups(axes: Axes, history: History, best: int | None) -> None:
    for group, colour in GROUP_COLOURS.items():
        _trace(axes, history, f"val_{group}", colour, group, best=best)
    axes.set_ylim(0, 1.02)
    plots.percent_axis(axes)
    _finish(axes, history, best)


def _learning_rate(axes: Axes, history: History, best: int | None) -> None:
    _trace(axes, history, "learning_rate", plots.BLUE, "at the epoch's end")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    _finish(axes, history, best)


def _speed(axes: Axes, history: History) -> None:
    _trace(axes, history, "images_per_second", plots.BLUE, "images per second")
    axes.set_ylim(bottom=0)
    plots.count_axis(axes, "y")
    _finish(axes, history, None)


def _input_wait(axes: Axes, history: History) -> None:
    _trace(axes, history, "input_wait", plots.VERMILLION, "time spent waiting for input")
    highest = np.nanmax(history["input_wait"]) if history.has("input_wait") else 0
    axes.set_ylim(0, max(0.1, min(1.02, 1.25 * float(highest))))
    plots.percent_axis(axes)
    _finish(axes, history, None)


def _trace(
    axes: Axes,
    history: History,
    name: str,
    colour: str,
    label: str,
    line: str = "-",
    best: int | None = None,
) -> None:
    """Draws a column, and a ring around its value at the best epoch."""
    if not history.has(name):
        return
    epochs, values = history.epochs, history[name]
    dots = "o" if len(history) <= _DOTTED_EPOCHS else ""
    axes.plot(epochs, values, line, color=colour, label=label, marker=dots, markersize=3.2)
    if best is not None:
        axes.plot(
            epochs[best], values[best], "o", color=colour, markersize=7, markerfacecolor=plots.PAGE
        )


def _finish(axes: Axes, history: History, best: int | None) -> None:
    epochs = history.epochs
    axes.set_xlabel("epoch")
    plots.count_axis(axes)
    if len(history):
        padding = max(0.5, 0.02 * (epochs[-1] - epochs[0]))
        axes.set_xlim(epochs[0] - padding, epochs[-1] + padding)
    if best is not None:
        axes.axvline(epochs[best], color=plots.MUTED, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
        late = len(history) > 1 and best > len(history) / 2
        axes.annotate(
            f"best: epoch {epochs[best]:.0f}",
            (epochs[best], 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if late else 4, -3),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top",
            color=plots.MUTED,
            fontsize=8,
        )
    plots.legend(axes)


def _matrix(axes: Axes, matrix: np.ndarray, look: MatrixLook) -> None:
    """Draws what is right in blue and what is wrong in vermillion, stronger the larger."""
    fractions = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # A single mistake among 200 pictures must still be seen: the root lifts small values.
    strength = np.where(matrix > 0, 0.1 + 0.9 * fractions**0.6, 0)
    diagonal = np.eye(len(matrix), dtype=bool)[..., None]
    pixels = np.where(
        diagonal, plots.shades(plots.BLUE, strength), plots.shades(plots.VERMILLION, strength)
    )
    image = axes.imshow((pixels * 255).round().astype(np.uint8), interpolation="none")
    image.set_gid("matrix")
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    _cell_lines(axes, len(matrix), look)
    if len(matrix) <= NUMBERED_CLASSES:
        for (row, column), value in np.ndenumerate(matrix):
            strong = strength[row, column] > 0.55
            axes.text(
                column,
                row,
                f"{value:,}" if value else "·",
                ha="center",
                va="center",
                color=plots.PAGE if strong else plots.INK if value else plots.MUTED,
                fontsize=9,
            )


def _cell_lines(axes: Axes, classes: int, look: MatrixLook) -> None:
    """Draws a hairline between cells; every fifth a little stronger to guide the eye."""
    if classes <= NUMBERED_CLASSES:
        return
    for edge in range(1, classes):
        width = 0.6 if edge % 5 == 0 else 0.25
        for draw in (axes.axhline, axes.axvline):
            draw(edge - 0.5, color=plots.GRID, linewidth=width, zorder=0.5)


def _edges(axes: Axes, group_of: Sequence[str]) -> None:
    """Draws a coloured edge along both axes: which classes are head, medium and tail."""
    for group, colour in GROUP_COLOURS.items():
        places = [i for i, each in enumerate(group_of) if each == group]
        if not places:
            continue
        span = (places[0] - 0.5, places[-1] + 0.5)
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
        if result.f1 is not None and metrics.class_group(train_counts[i]) == group
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
    steps = [1, 2, 5] if high / low < 2000 else [1, 3]
    if high / low > 60:
        steps = steps[:1] + steps[-1:] if len(steps) == 2 else [1, 3]
    ticks = [step * 10**power for power in range(8) for step in steps]
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _name_weakest(
    axes: Axes, results: Sequence[ClassResult], classes: Sequence[str], sizes: np.ndarray
) -> None:
    """Names the weakest classes, leaving out those whose name would lie on another."""
    low, high = np.log(axes.get_xlim())
    weakest = sorted((result.f1, i) for i, result in enumerate(results) if result.f1 is not None)
    taken: list[tuple[float, float]] = []
    for score, i in weakest:
        place = ((np.log(sizes[i]) - low) / (high - low), score)
        near = any(
            abs(place[0] - x) < _NAME_DISTANCE[0] and abs(place[1] - y) < _NAME_DISTANCE[1]
            for x, y in taken
        )
        if near or len(taken) == _NAMED_POINTS:
            continue
        taken.append(place)
        right = place[0] > 0.6
        axes.annotate(
            shorten(classes[i], 20),
            (sizes[i], score),
            xytext=(-6 if right else 6, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="center",
            fontsize=7.5,
            color=plots.MUTED,
            zorder=4,
        )


def _reliability(
    axes: Axes, bins: Sequence[metrics.CalibrationBin], colour: str, label: str, line: str
) -> None:
    error = metrics.calibration_error(bins)
    axes.plot(
        np.array([bin_.confidence for bin_ in bins if bin_.count], float),
        np.array([bin_.accuracy for bin_ in bins if bin_.count], float),
        line,
        marker="o",
        color=colour,
        label=f"{label}, ECE {100 * error:.1f}%",
    )


def _share_bars(axes: Axes, bins: Sequence[metrics.CalibrationBin]) -> None:
    """Draws how many predictions lie in each bin, as a fraction of the axes' height."""
    total = sum(bin_.count for bin_ in bins)
    width = 1 / len(bins)
    axes.bar(
        [(i + 0.5) * width for i in range(len(bins))],
        [bin_.count / total for bin_ in bins],
        width=0.86 * width,
        color=plots.GRID,
        label="share of pictures",
        zorder=1,
    )
