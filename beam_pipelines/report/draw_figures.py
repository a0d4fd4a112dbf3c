"""Draws the figures of a bake's report from numbers alone. Runs in a worker where there are any.

matplotlib takes half a second to import, two to draw, and 60 MB: all figures are one task, so that
a single process pays for it, and none that plans or publishes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from beam_pipelines.report.figures import leak_figure, scale_figure, size_figure
from beam_pipelines.similarity.leak_meter import LeakMeter
from tfrecords.images.decode_pool import TaskQueue, Watch, WorkerPool
from tfrecords.manifest import Manifest
from tfrecords.reporting import figures
from tfrecords.reporting.balance import balance_figure, balance_panels

# What a reader who cannot see the class balance is told, of one figure or of two.
_SAID = {
    1: ("Sources found and records to train on, for each class",),
    2: ("Sources found, for each class", "Records to train on, for each class"),
}


@dataclass(frozen=True, slots=True, eq=False)
class FigureTask:
    """What the figures show.

    Attributes:
      manifest: of the data set; its shards are not needed.
      left_out: status → number of sources of each class that are in no shard.
      widths, heights: int32[n] pixels of the sources whose size is known.
      leaks: the leak meter of each held-out split.
    """

    manifest: Manifest
    left_out: Mapping[str, Sequence[int]]
    widths: np.ndarray
    heights: np.ndarray
    leaks: Sequence[LeakMeter]

    @property
    def scales(self) -> np.ndarray:
        """float64[n], side of each source by side of a record."""
        spec = self.manifest.image
        return np.sqrt(self.widths.astype(float) * self.heights / (spec.width * spec.height))


@dataclass(frozen=True, slots=True)
class Drawn:
    """The figures; None for those that have nothing to show.

    Attributes:
      balance_png: the class balance, as a file.
      balance: the same for the page, as one wide figure or two.
      sizes, scales, leaks: for the page.
    """

    balance_png: bytes
    balance: tuple[Markup, ...]
    sizes: Markup | None
    scales: Markup | None
    leaks: Markup | None


class Drawing:
    """Figures that are being drawn: from now on by a pool, or without one when they are asked for.

    Args:
      task: what they show.
      pool: of worker processes, or None.
    """

    def __init__(self, task: FigureTask, pool: WorkerPool | None) -> None:
        self.task = task
        self._pool = pool
        self._drawn: Drawn | None = None
        if pool is not None:
            pool.begin(draw_figures, task)

    def figures(self) -> Drawn:
        """Returns the figures, drawn at last."""
        if self._drawn is None:
            self._drawn = self._draw()
        return self._drawn

    def _draw(self) -> Drawn:
        if self._pool is None:
            return draw_figures(self.task, Watch())
        queue = TaskQueue(self._pool, draw_figures)
        (drawn,) = (*queue.submit(self.task), *queue.drain())
        return drawn


def draw_figures(task: FigureTask, watch: Watch) -> Drawn:
    """Returns the figures of a report."""
    del watch  # Nothing is decoded here.
    panels = balance_panels(task.manifest, task.left_out)
    sizes = scales = leaks = None
    if len(task.widths):
        drawn = size_figure(task.widths, task.heights, task.manifest.image)
        sizes = figures.to_svg(drawn, "sizes", "Sources by width and height")
        drawn = scale_figure(task.scales)
        scales = figures.to_svg(drawn, "scales", "Sources by size relative to records")
    measured = [meter for meter in task.leaks if meter.pictures]
    if measured:
        leaks = figures.to_svg(
            leak_figure(measured),
            "leak-distances",
            "Distance of pictures to the nearest train picture of their class",
        )
    return Drawn(
        balance_png=figures.to_png(balance_figure(task.manifest, task.left_out)),
        balance=tuple(
            figures.to_svg(panel, f"balance{number}", said)
            for number, (panel, said) in enumerate(zip(panels, _SAID[len(panels)], strict=True))
        ),
        sizes=sizes,
        scales=scales,
        leaks=leaks,
    )
