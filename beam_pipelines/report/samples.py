"""The samples of a bake's report: a strip of pictures for each class.

Workers draw the strips (`steps.draw_strip`) while the process that writes the report makes its
figures, which takes as long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from beam_pipelines.steps.draw_strip import MEDIA_TYPE, draw_strip
from beam_pipelines.tasks import StripTask
from tfrecords.images.decode_pool import TaskQueue, Watch, WorkerPool
from tfrecords.manifest import Manifest
from tfrecords.reader import OpenShard, Samples, read_samples
from tfrecords.reporting import html
from tfrecords.schema import TRAIN

# Tiles of a strip, and how many of them at most are copies: enough to see a class's variety, few
# enough for one line of a page of 1280 pixels.
TILES = 10
COPIES = 5

# With more the page would pass 3 MB.
MAX_CLASSES = 160

# Keeps the page under 3 MB: WebP of photographs takes about 0.2 bytes a pixel, and base64 a
# third more.
_SAMPLE_PIXELS = 5_000_000
_MIN_TILE, _MAX_TILE = 56, 112

# Tiles are shown at this many pixels: ten fit a page of 1280; more pixels sharpen dense screens.
SHOWN_TILE = 84


@dataclass(frozen=True, slots=True)
class Strip:
    """One image that holds the samples of a class side by side.

    Attributes:
      uri: of the image; tiles are square.
      originals: ids of the first tiles.
      copies: ids of the tiles after them.
    """

    uri: str
    originals: tuple[str, ...]
    copies: tuple[str, ...]


class Drawing:
    """Strips that are being drawn: from now on by a pool, or without one when they are asked for.

    Args:
      tasks: the strips.
      pool: of worker processes, or None.
    """

    def __init__(self, tasks: Sequence[StripTask], pool: WorkerPool | None) -> None:
        self._tasks = tasks
        self._pool = pool
        if pool is not None:
            for task in tasks:
                pool.begin(draw_strip, task)

    def strips(self) -> list[bytes]:
        """Returns the strips, in the order of their tasks."""
        if self._pool is None:
            return [draw_strip(task, Watch()) for task in self._tasks]
        queue = TaskQueue(self._pool, draw_strip)
        drawn: list[bytes] = []
        for task in self._tasks:
            drawn += queue.submit(task)
        return [*drawn, *queue.drain()]


@dataclass(frozen=True)
class Gallery:
    """Samples of classes, drawn while the rest of the page is made.

    Attributes:
      labels: of the classes shown, largest first.
      samples: those shown of each class.
      hidden: number of classes that are not shown.
      side: of a tile in pixels.
      drawing: the strips of the classes that have samples.
    """

    labels: Sequence[int]
    samples: Sequence[Samples]
    hidden: int
    side: int
    drawing: Drawing

    def strips(self) -> list[Strip | None]:
        """Returns the strip of each class shown, None if it has no samples."""
        drawn = iter(self.drawing.strips())
        return [
            Strip(
                html.data_uri(next(drawn), MEDIA_TYPE),
                tuple(record.id for record in of_class.originals),
                tuple(record.id for record in of_class.copies),
            )
            if of_class.originals or of_class.copies
            else None
            for of_class in self.samples
        ]


def begin(
    dataset: Manifest,
    sources: pa.Table,
    open_shard: OpenShard,
    by_size: Sequence[int],
    pool: WorkerPool | None,
) -> Gallery:
    """Reads the samples of the largest and the smallest classes, and starts to draw them.

    Args:
      dataset: the manifest.
      sources: the ledger.
      open_shard: opens a shard by its file name.
      by_size: labels, largest class first.
      pool: of workers that draw from now on; None to draw in `Gallery.strips`.

    Raises:
      DamagedRecordError: a record is damaged.
      OSError: a shard cannot be read.
    """
    half = MAX_CLASSES // 2
    labels = [*by_size[:half], *by_size[-half:]] if len(by_size) > MAX_CLASSES else by_size
    side = tile_side(len(labels))
    samples_of_class = read_samples(dataset, sources, open_shard, TRAIN, TILES, COPIES)
    samples = [_shown(samples_of_class[label]) for label in labels]
    tasks = []
    for of_class in samples:
        images = tuple(record.image for record in (*of_class.originals, *of_class.copies))
        if images:
            tasks.append(StripTask(images, dataset.image, side))
    return Gallery(labels, samples, len(by_size) - len(labels), side, Drawing(tasks, pool))


def tile_side(classes: int) -> int:
    """Returns the side of a sample in pixels, such that all classes fit the page."""
    side = math.isqrt(_SAMPLE_PIXELS // (max(classes, 1) * TILES))
    return max(_MIN_TILE, min(_MAX_TILE, side))


def _shown(of_class: Samples) -> Samples:
    copies = of_class.copies[:COPIES]
    return Samples(of_class.originals[: TILES - len(copies)], copies)
