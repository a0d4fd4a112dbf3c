"""The figures of a bake's report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from beam_pipelines.similarity.leak_meter import EDGES, NEAR, LeakMeter
from tfrecords.reporting import figures
from tfrecords.schema import ImageSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# More points than this merge into one another and make the page heavy.
_MAX_POINTS = 400
_TICKS = np.array([1, 2, 5])

# Sources more than 64 times larger or smaller are counted at the ends. Divisible by 1, 2 and 3,
# so that the tick at 1× is always there.
_MAX_DOUBLINGS = 6


def size_figure(widths: np.ndarray, heights: np.ndarray, spec: ImageSpec) -> Figure:
    """Plots the sizes of sources, width against height, both on a log scale.

    Args:
      widths, heights: int[n] pixels, n at least 1.
      spec: of the records; its size is marked.
    """
    with figures.style():
        figure, (axes,) = figures.figure(height=3.9)
        axes.set(xscale="log", yscale="log")
        if len(widths) > _MAX_POINTS:
            _density(axes, widths, heights)
        else:
            axes.plot(widths, heights, "o", color=figures.BLUE, alpha=0.45, markersize=4, mew=0)
        _mark_target(axes, spec)
        low = min(widths.min(), heights.min(), spec.width, spec.height) / 1.25
        high = max(widths.max(), heights.max(), spec.width, spec.height) * 1.25
        for axis in (axes.xaxis, axes.yaxis):
            _pixel_ticks(axis, low, high)
        axes.set(
            xlim=(low, high), ylim=(low, high), xlabel="width, pixels", ylabel="height, pixels"
        )
        axes.plot([low, high], [low, high], color=figures.GRID, linewidth=1, zorder=0)
        axes.set_aspect("equal")
        figures.legend(axes)
    return figure


def _density(axes: Axes, widths: np.ndarray, heights: np.ndarray) -> None:
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb

    fade = LinearSegmentedColormap.from_list(
        "fade", [(*to_rgb(figures.BLUE), 0.18), (*to_rgb(figures.BLUE), 1.0)]
    )
    axes.hexbin(
        widths, heights, xscale="log", yscale="log", gridsize=32, mincnt=1,
        norm=LogNorm(1), cmap=fade, linewidths=0,
    )  # fmt: skip


def _mark_target(axes: Axes, spec: ImageSpec) -> None:
    label = f"records, {spec.width}×{spec.height}"
    if not spec.fixed_size:
        label = f"records, short side {spec.height}"
    axes.plot(
        [spec.width], [spec.height], "o", color=figures.VERMILLION, markersize=7, label=label,
        markerfacecolor="none", markeredgewidth=2,
    )  # fmt: skip


def _pixel_ticks(axis: Axis, low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = (decades[:, None] * _TICKS).ravel()
    if high / low > 200:
        # Over more than four decades neighbouring labels would overlap.
        ticks = decades[decades >= low][:: 2 if high / low > 20_000 else 1]
    axis.set_major_locator(FixedLocator(ticks[(ticks >= low) & (ticks <= high)]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def scale_figure(scales: np.ndarray) -> Figure:
    """Plots how much larger sources are than records, as a histogram.

    Args:
      scales: float[n] above 0; side of the source by side of the record, n at least 1.
    """
    logs = np.clip(np.log2(scales), -_MAX_DOUBLINGS, _MAX_DOUBLINGS)
    low, high = min(np.floor(logs.min()), -1), max(np.ceil(logs.max()), 1)
    with figures.style():
        figure, (axes,) = figures.figure(height=3.9)
        axes.hist(
            [logs[logs >= 0], logs[logs < 0]],
            np.arange(low, high + 0.01, 0.25).tolist(),
            stacked=True,
            color=[figures.BLUE, figures.ORANGE],
            label=["reduced", "enlarged"],
        )
        axes.axvline(0, color=figures.MUTED, linewidth=1)
        step = max(1, round((high - low) / 8))
        ticks = [t for t in range(-_MAX_DOUBLINGS, _MAX_DOUBLINGS + 1, step) if low <= t <= high]
        axes.set_xticks(ticks, [_times(tick) for tick in ticks])
        axes.set(xlabel="side of the source, in sides of a record", ylabel="sources")
        axes.grid(visible=False, axis="x")
        figures.count_axis(axes, "y")
        figures.legend(axes)
    return figure


def leak_figure(meters: Sequence[LeakMeter]) -> Figure:
    """Plots the distances to the nearest train picture, of held-out splits and of train itself.

    Args:
      meters: at least one, each with a picture.
    """
    edges = np.array(EDGES)
    with figures.style():
        figure, (axes,) = figures.figure(height=3.1)
        axes.axvspan(0, NEAR, color=figures.VERMILLION, alpha=0.08, linewidth=0)
        axes.stairs(
            _shares(meters[0].train_histogram), edges, fill=True, color=figures.GRID,
            label="train, to another train picture",
        )  # fmt: skip
        for meter, colour in zip(meters, figures.SERIES, strict=False):
            axes.stairs(
                _shares(meter.histogram), edges, color=colour, linewidth=1.8, label=meter.split
            )
        axes.set(
            xlim=(0, edges[-1]), xlabel="distance to the nearest, in median distances of the class",
            ylabel="share of pictures",
        )  # fmt: skip
        axes.set_xticks([0, NEAR, 0.5, 1, 1.5], ["0", "near", "0.5", "1", "1.5+"])
        figures.percent_axis(axes)
        figures.legend(axes)
    return figure


def _shares(histogram: Sequence[int]) -> np.ndarray:
    counts = np.array(histogram, np.float64)
    return counts / max(counts.sum(), 1)


def _times(doublings: int) -> str:
    return f"{2**doublings}×" if doublings >= 0 else f"1/{2**-doublings}×"
