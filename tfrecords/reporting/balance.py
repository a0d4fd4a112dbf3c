"""The figure of class balance: what was found, and what a network trains on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfrecords.manifest import Manifest
from tfrecords.reporting import figures, html
from tfrecords.schema import TRAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Names stand beside horizontal bars up to here, then under vertical ones, then nowhere.
_MAX_ROWS = 42
_MAX_NAMED_COLUMNS = 130

# Of one of two figures, which a phone shows 340 pixels wide: characters of a name, columns of the
# legend; inches of each of its rows, and points of an inch.
_PANEL_NAME, _PANEL_COLUMNS, _LEGEND_ROW, _POINTS = 20, 3, 0.2, 72

_SPLIT_COLOURS = (figures.BLUE, figures.GREEN, figures.PURPLE, figures.ORANGE, figures.VERMILLION)
_LEFT_OUT_COLOURS = ("#8c959f", "#b7bdc4", "#d0d4d9")

Stack = Sequence[tuple[str, np.ndarray, str]]


def balance_figure(found: Manifest, left_out: Mapping[str, Sequence[int]] | None = None) -> Figure:
    """Returns the figure: sources by what became of them, and train records, per class.

    Classes are sorted by the number of their sources, most first.

    Args:
      found: the manifest.
      left_out: status → number of sources of each class that are in no shard, if known.
    """
    names, before, after = _stacks(found, left_out)
    draw = _rows if len(names) <= _MAX_ROWS else _columns
    with figures.style():
        return draw(names, before, after)


def balance_panels(
    found: Manifest, left_out: Mapping[str, Sequence[int]] | None = None
) -> tuple[Figure, ...]:
    """Returns the same for a page: two figures that stand side by side, or below each other.

    Of more classes than there is room for in rows it is one wide figure, as `balance_figure` has
    it.

    Args:
      found, left_out: as of `balance_figure`.
    """
    names, before, after = _stacks(found, left_out)
    if len(names) > _MAX_ROWS:
        return (balance_figure(found, left_out),)
    with figures.style():
        return tuple(
            _panel(names, stack, title) for stack, title in ((before, _BEFORE), (after, _AFTER))
        )


def _stacks(
    found: Manifest, left_out: Mapping[str, Sequence[int]] | None
) -> tuple[list[str], Stack, Stack]:
    """Returns the classes in their order, and of each the sources found and the train records."""
    before = [
        (split.name, np.array(split.originals), colour)
        for split, colour in zip(found.splits, _cycle(_SPLIT_COLOURS), strict=False)
    ]
    before += [
        (status, np.array(counts), colour)
        for (status, counts), colour in zip(
            (left_out or {}).items(), _cycle(_LEFT_OUT_COLOURS), strict=False
        )
        if any(counts)
    ]
    train = found.split(TRAIN)
    after = [
        ("originals", np.array(train.originals), figures.BLUE),
        ("copies", np.array(train.copies), figures.SKY),
    ]
    order = class_order(found, left_out)
    names = [found.classes[label] for label in order]
    return names, _sorted(before, order), _sorted(after, order)


def class_order(found: Manifest, left_out: Mapping[str, Sequence[int]] | None = None) -> list[int]:
    """Returns the labels by number of sources, most first; equals in label order."""
    totals = np.zeros(len(found.classes), np.int64)
    for split in found.splits:
        totals += np.array(split.originals, np.int64)
    for counts in (left_out or {}).values():
        totals += np.array(counts, np.int64)
    return [int(label) for label in np.argsort(-totals, kind="stable")]


def _rows(names: Sequence[str], before: Stack, after: Stack) -> Figure:
    figure, (left, right) = figures.figure(11, _height(names), columns=2)
    for axes, stack, title in ((left, before, _BEFORE), (right, after, _AFTER)):
        _bars(axes, names, stack)
        _title(axes, title)
    right.tick_params(labelleft=False)
    return figure


def _panel(names: Sequence[str], stack: Stack, title: str) -> Figure:
    legend_rows = math.ceil(len(stack) / _PANEL_COLUMNS)
    more = _LEGEND_ROW * (legend_rows - 1)
    figure, (axes,) = figures.figure(figures.WIDTH, _height(names) + more)
    _bars(axes, names, stack, _PANEL_NAME)
    _title(axes, title, _PANEL_COLUMNS, more * _POINTS)
    return figure


def _height(names: Sequence[str]) -> float:
    return 1.1 + 0.22 * max(len(names), 4)


def _bars(axes: Axes, names: Sequence[str], stack: Stack, length: int = html.MAX_NAME) -> None:
    base = np.zeros(len(names))
    for label, counts, colour in stack:
        axes.barh(range(len(names)), counts, left=base, color=colour, label=label, height=0.72)
        base += counts
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, max(base.max(initial=0), 1) * 1.12)
    _totals(axes, base)
    axes.set_yticks(range(len(names)), [html.shorten(name, length) for name in names])
    axes.grid(visible=False, axis="y")
    figures.count_axis(axes, "x")


def _totals(axes: Axes, totals: np.ndarray) -> None:
    for row, total in enumerate(totals):
        axes.annotate(
            f"{total:,.0f}", (total, row), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=7.5, color=figures.MUTED,
        )  # fmt: skip


def _columns(names: Sequence[str], before: Stack, after: Stack) -> Figure:
    figure, (top, bottom) = figures.figure(11, 7, rows=2)
    places = np.arange(len(names))
    width = 0.8 if len(names) <= _MAX_NAMED_COLUMNS else 1.0
    for axes, stack, title in ((top, before, _BEFORE), (bottom, after, _AFTER)):
        base = np.zeros(len(names))
        for label, counts, colour in stack:
            axes.bar(places, counts, bottom=base, color=colour, label=label, width=width)
            base += counts
        axes.set_xlim(-1, len(names))
        axes.set_ylim(0, max(base.max(initial=0), 1) * 1.06)
        axes.set_xticks([])
        axes.grid(visible=False, axis="x")
        figures.count_axis(axes, "y")
        _title(axes, title)
    if len(names) <= _MAX_NAMED_COLUMNS:
        short = [html.shorten(name, 22) for name in names]
        bottom.set_xticks(places, short, rotation=90, fontsize=5.5)
    else:
        bottom.set_xlabel(f"{len(names):,} classes, by number of sources")
    return figure


_BEFORE = "Sources found"
_AFTER = "Records to train on"


def _title(axes: Axes, title: str, columns: int = 6, more: float = 0) -> None:
    axes.set_title(title, pad=22 + more)
    figures.legend(axes, columns=columns)


def _sorted(stack: Stack, order: Sequence[int]) -> Stack:
    return [(label, counts[list(order)], colour) for label, counts, colour in stack]


def _cycle(colours: Sequence[str]) -> Sequence[str]:
    return tuple(colours) * 8
