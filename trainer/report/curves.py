"""The curves of a run: loss, accuracy, learning rate and throughput by epoch.

Each function returns a matplotlib `Figure` in the shared style, which
`tfrecords.reporting.figures` turns into a PNG file or into the SVG of a page. `best` is the row of
the best epoch, if any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfrecords.reporting import figures
from trainer.metrics.metrics import GROUPS
from trainer.report.figures import GROUP_COLOURS
from trainer.runs.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# With more epochs than this, their dots merge.
_DOTTED_EPOCHS = 40


def loss(history: History, best: int | None) -> Figure:
    """Returns training and validation loss by epoch."""
    with figures.style():
        figure, (axes,) = figures.figure()
        _loss(axes, history, best)
    return figure


def accuracy(history: History, best: int | None) -> Figure:
    """Returns top-1, macro-F1 and balanced accuracy by epoch."""
    with figures.style():
        figure, (axes,) = figures.figure()
        _accuracy(axes, history, best)
    return figure


def learning_rate(history: History, best: int | None) -> Figure:
    """Returns the learning rate by epoch."""
    with figures.style():
        figure, (axes,) = figures.figure()
        _learning_rate(axes, history, best)
    return figure


def throughput(history: History) -> Figure:
    """Returns images per second, and below it the fraction of time spent waiting for input."""
    with figures.style():
        figure, (above, below) = figures.figure(rows=2)
        _speed(above, history)
        _input_wait(below, history)
        above.set_xlabel("")
    return figure


def speed(history: History) -> Figure:
    """Returns images per second by epoch."""
    with figures.style():
        figure, (axes,) = figures.figure()
        _speed(axes, history)
    return figure


def input_wait(history: History) -> Figure:
    """Returns the fraction of time spent waiting for input, by epoch."""
    with figures.style():
        figure, (axes,) = figures.figure()
        _input_wait(axes, history)
    return figure


def curves(history: History, best: int | None) -> Figure:
    """Returns all curves in one figure, for `curves.png`."""
    with figures.style():
        figure, axes = figures.figure(2 * figures.WIDTH, 3 * figures.HEIGHT, rows=3, columns=2)
        _loss(axes[0], history, best)
        _accuracy(axes[1], history, best)
        _learning_rate(axes[2], history, best)
        _groups(axes[3], history, best)
        _speed(axes[4], history)
        _input_wait(axes[5], history)
        titles = ("Loss", "Accuracy", "Learning rate", "By class size", "Throughput", "Input wait")
        for each, title in zip(axes, titles, strict=True):
            # Above the legend, which lies on top of the axes.
            each.set_title(title, pad=22)
    return figure


def groups(history: History, best: int | None) -> Figure:
    """Returns head, medium and tail accuracy by epoch."""
    with figures.style():
        figure, (axes,) = figures.figure()
        _groups(axes, history, best)
    return figure


def has_groups(history: History) -> bool:
    """Returns whether the history has accuracy by class size."""
    return any(history.has(f"val_{group}") for group in GROUPS)


def _loss(axes: Axes, history: History, best: int | None) -> None:
    _trace(axes, history, "loss", figures.MUTED, "train", "--")
    _trace(axes, history, "val_loss", figures.BLUE, "validation", best=best)
    _finish(axes, history, best)


def _accuracy(axes: Axes, history: History, best: int | None) -> None:
    _trace(axes, history, "top1", figures.MUTED, "train top-1", "--")
    _trace(axes, history, "val_top1", figures.BLUE, "top-1", best=best)
    _trace(axes, history, "val_macro_f1", figures.VERMILLION, "macro-F1", best=best)
    _trace(axes, history, "val_balanced_accuracy", figures.GREEN, "balanced", best=best)
    axes.set_ylim(0, 1.02)
    figures.percent_axis(axes)
    _finish(axes, history, best)


def _groups(axes: Axes, history: History, best: int | None) -> None:
    for group, colour in GROUP_COLOURS.items():
        _trace(axes, history, f"val_{group}", colour, group, best=best)
    axes.set_ylim(0, 1.02)
    figures.percent_axis(axes)
    _finish(axes, history, best)


def _learning_rate(axes: Axes, history: History, best: int | None) -> None:
    from matplotlib.ticker import FuncFormatter

    _trace(axes, history, "learning_rate", figures.BLUE, "at the epoch's end")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    _finish(axes, history, best)


def _speed(axes: Axes, history: History) -> None:
    _trace(axes, history, "images_per_second", figures.BLUE, "images per second")
    highest = np.nanmax(history["images_per_second"]) if axes.lines else 1
    axes.set_ylim(0, 1.15 * float(highest))
    figures.count_axis(axes, "y")
    _finish(axes, history, None)


def _input_wait(axes: Axes, history: History) -> None:
    _trace(axes, history, "input_wait", figures.VERMILLION, "time spent waiting for input")
    highest = np.nanmax(history["input_wait"]) if history.has("input_wait") else 0
    axes.set_ylim(0, max(0.1, min(1.02, 1.25 * float(highest))))
    figures.percent_axis(axes)
    _finish(axes, history, None)


def _trace(
    axes: Axes,
    history: History,
    name: str,
    colour: str,
    label: str,
    style: str = "-",
    best: int | None = None,
) -> None:
    """Draws a column, and a ring around its value at the best epoch."""
    if not history.has(name):
        return
    epochs, values = history.epochs, history[name]
    dots = "o" if len(history) <= _DOTTED_EPOCHS else ""
    axes.plot(epochs, values, style, color=colour, label=label, marker=dots, markersize=3.2)
    if best is not None:
        axes.plot(
            epochs[best],
            values[best],
            "o",
            color=colour,
            markersize=7,
            markerfacecolor=figures.PAGE,
        )


def _finish(axes: Axes, history: History, best: int | None) -> None:
    epochs = history.epochs
    axes.set_xlabel("epoch of this run; of the runs before it to 0" if history.marks else "epoch")
    figures.count_axis(axes)
    if len(history):
        padding = max(0.5, 0.02 * (epochs[-1] - epochs[0]))
        axes.set_xlim(epochs[0] - padding, epochs[-1] + padding)
    for last, name in history.marks:
        _mark_fork(axes, last + 0.5, name)
    if best is not None:
        axes.axvline(
            epochs[best], color=figures.MUTED, linewidth=1, linestyle=(0, (1, 2)), zorder=1
        )
        late = len(history) > 1 and best > len(history) / 2
        axes.annotate(
            f"best: epoch {epochs[best]:.0f}",
            (epochs[best], 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if late else 4, -3),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top",
            color=figures.MUTED,
            fontsize=8,
            # Legible on a curve that runs along the top.
            bbox={"facecolor": figures.PAGE, "edgecolor": "none", "alpha": 0.85, "pad": 1},
        )
    figures.legend(axes)


def _mark_fork(axes: Axes, epoch: float, name: str) -> None:
    """Draws a line where a run began with the state of another."""
    axes.axvline(epoch, color=figures.MUTED, linewidth=1, zorder=1)
    late = epoch > sum(axes.get_xlim()) / 2
    axes.annotate(
        f"fork of {name}",
        (epoch, 0),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if late else 4, 3),
        textcoords="offset points",
        ha="right" if late else "left",
        va="bottom",
        color=figures.MUTED,
        fontsize=8,
    )
