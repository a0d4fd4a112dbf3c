"""The figures of a leaderboard: overlaid curves, scores against properties of trials, and time.

Every artist of a trial has the id "t<index>", by which the page highlights it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfrecords.reporting import figures, html
from trainer.choices import NOT_PART_OF_THE_RESULT
from trainer.sweep import grid
from trainer.sweep.leaderboard import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of the best trials; all others share a muted one.
COLOURS = dict(
    zip(("blue", "vermillion", "green", "purple", "orange", "sky"), figures.SERIES, strict=True)
)

# More trials than this are in the table only.
MAX_BARS = 40
_MAX_LABEL, _MAX_TICK = 34, 26  # A tick stands beside its bar, on a phone too.
_TALL = 3.6  # Inches: figures that are shown side by side have the same height.


@dataclass(frozen=True)
class Comparison:
    """A chart of the score against one property of trials.

    Attributes:
      flag: that sets the property.
      label: of its axis.
      title: of the figure.
      value: of the property.
    """

    flag: str
    label: str
    title: str
    value: Callable[[Row], float]


COMPARISONS = (
    Comparison(
        "per_class", "training pictures a class", "Against pictures a class",
        lambda row: row.training_set.per_class,
    ),
    Comparison(
        "image_size", "pixels, mean side", "Against picture size",
        lambda row: float(np.sqrt(row.training_set.size[0] * row.training_set.size[1])),
    ),
)  # fmt: skip


def colour_name(position: int) -> str:
    """Returns the style sheet's name of a trial's colour, by its position from 0."""
    return list(COLOURS)[position] if position < len(COLOURS) else "muted"


def curves(rows: Sequence[Row], column: str) -> Figure:
    """Returns a column of metrics.csv by epoch, of all trials; the best in colour and on top."""
    with figures.style():
        figure, (axes,) = figures.figure()
        for position, row in reversed(list(enumerate(rows))):
            history = row.entry.progress.history
            if history.has(column):
                axes.plot(
                    history.epochs, history[column], color=_colour(position),
                    linewidth=1.8 if position < len(COLOURS) else 1.0,
                    alpha=None if position < len(COLOURS) else 0.6, gid=_id(row),
                    marker="o" if len(history) == 1 else None,  # A head has a single epoch.
                )  # fmt: skip
        axes.set_xlabel("epoch")
        figures.count_axis(axes)
        _score_axis(axes, column)
    return figure


def against(
    rows: Sequence[Row], metric: str, flag: str, x: Callable[[Row], float], label: str
) -> Figure:
    """Returns the score of each trial against `x`; lines join those that differ in one flag only.

    Args:
      rows: of the leaderboard.
      metric: that orders the leaderboard.
      flag: that sets `x`.
      x: of a row.
      label: of the axis.
    """
    with figures.style():
        figure, (axes,) = figures.figure(height=_TALL)
        drawn = 0
        for name, members in families(rows, flag).items():
            members = sorted(members, key=x)
            joined = len({x(row) for row in members}) > 1
            colour = (
                figures.SERIES[drawn] if joined and drawn < len(figures.SERIES) else figures.MUTED
            )
            drawn += joined
            if joined:
                axes.plot(
                    [x(row) for row in members], [row.score for row in members],
                    color=colour, label=html.shorten(name, _MAX_LABEL), zorder=1.5,
                )  # fmt: skip
            for row in members:
                axes.plot(
                    x(row), row.score, "o", color=colour, markersize=5.5,
                    markeredgecolor=figures.PAGE, gid=_id(row),
                )  # fmt: skip
        axes.set_xlabel(label)
        _spread(axes, [x(row) for row in rows])
        _score_axis(axes, metric)
        figures.legend(axes, columns=2)
    return figure


def times(rows: Sequence[Row]) -> Figure:
    """Returns the training time of each trial, in the order of the leaderboard."""
    rows = rows[:MAX_BARS]
    divisor, unit = _time_unit(max(row.entry.seconds for row in rows))
    with figures.style():
        figure, (axes,) = figures.figure(height=max(_TALL, 0.9 + 0.21 * len(rows)))
        for position, row in enumerate(rows):
            width = row.entry.seconds / divisor
            axes.barh(position, width, 0.66, color=_colour(position), gid=_id(row))
            axes.annotate(
                f"{width:.3g}", (width, position), xytext=(4, 0), textcoords="offset points",
                va="center", fontsize=8, color=figures.MUTED,
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), [html.shorten(row.name, _MAX_TICK) for row in rows])
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.margins(x=0.1)
        axes.set_xlabel(unit)
    return figure


def score_against_time(rows: Sequence[Row], metric: str) -> Figure:
    """Returns each trial's score against its training time, and the best for any time."""
    divisor, unit = _time_unit(max(row.entry.seconds for row in rows))
    with figures.style():
        figure, (axes,) = figures.figure(height=_TALL)
        cheapest = sorted(rows, key=lambda row: row.entry.seconds)
        front = [row for i, row in enumerate(cheapest) if _leads(row, cheapest[:i])]
        axes.plot(
            [row.entry.seconds / divisor for row in front], [row.score for row in front],
            color=figures.GRID, linewidth=4, zorder=1.2,
        )  # fmt: skip
        for position, row in reversed(list(enumerate(rows))):
            axes.plot(
                row.entry.seconds / divisor, row.score, "o", color=_colour(position), markersize=6,
                markeredgecolor=figures.PAGE, gid=_id(row),
            )  # fmt: skip
        axes.set_xlabel(f"training time, {unit}")
        axes.set_xlim(left=0)
        _score_axis(axes, metric)
    return figure


def families(rows: Sequence[Row], flag: str) -> dict[str, list[Row]]:
    """Returns groups of rows that differ in `flag` only, by their other unusual flags."""
    ignored = NOT_PART_OF_THE_RESULT | {flag}
    names = [
        name for name in grid.differing([row.entry.trial for row in rows]) if name not in ignored
    ]
    usual = {
        name: Counter(getattr(row.entry.trial.config, name) for row in rows).most_common(1)[0][0]
        for name in names
    }
    groups: dict[str, list[Row]] = {}
    for row in rows:
        config = row.entry.trial.config
        unusual = [
            f"{name}={grid.shown(config, name)}"
            for name in names
            if getattr(config, name) != usual[name]
        ]
        groups.setdefault(", ".join(unusual) or "the usual flags", []).append(row)
    return groups


def _leads(row: Row, cheaper: Sequence[Row]) -> bool:
    return all(row.position < other.position for other in cheaper)


def _id(row: Row) -> str:
    return f"t{row.index}"


def _colour(position: int) -> str:
    return figures.SERIES[position] if position < len(COLOURS) else figures.MUTED


def _time_unit(longest: float) -> tuple[float, str]:
    for seconds, unit in ((2 * 3600, "hours"), (2 * 60, "minutes")):
        if longest >= seconds:
            return seconds / 2, unit
    return 1, "seconds"


def _spread(axes: Axes, values: Sequence[float]) -> None:
    """Scales an axis of counts, logarithmically if they span several magnitudes."""
    positive = [value for value in values if value > 0]
    if len(positive) == len(values) and max(positive) > 20 * min(positive):
        axes.set_xscale("log")
    else:
        figures.count_axis(axes)
        low, high = min(values), max(values)
        padding = 0.08 * (high - low) or 1
        axes.set_xlim(low - padding, high + padding)


def _score_axis(axes: Axes, metric: str) -> None:
    name = metric.removeprefix("val_").replace("_", " ").replace("f1", "F1")
    axes.set_ylabel(f"validation {name}")
    if "loss" not in metric:
        figures.percent_axis(axes)
    elif axes.lines:
        # A high loss at the start would flatten the differences at the end.
        values = [np.asarray(line.get_ydata(), float) for line in axes.lines]
        ends = np.concatenate([each[len(each) // 3 :] for each in values])
        known = ends[np.isfinite(ends)]
        axes.set_ylim(top=1.25 * float(known.max()) if len(known) else None, bottom=0)
