"""The samples of a bake's report: a strip of pictures for each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from beam_pipelines.report import strips
from beam_pipelines.report.strips import Drawing, StripTask
from beam_pipelines.workers.pool import WorkerPool
from tfrecords.manifest import Manifest
from tfrecords.reader import OpenShard, Samples, read_samples
from tfrecords.reporting import html
from tfrecords.schema import TRAIN

# Of a strip, and how many of them at most are copies: enough to see a class's variety, few
# enough for one line of a 1280 pixel page.
TILES = 10
COPIES = 5

# Beyond these the page would pass 3 MB.
MAX_CLASSES = 160

# Keeps the page under 3 MB: WebP of photographs takes about 0.2 bytes a pixel, and base64 a
# third more.
_SAMPLE_PIXELS = 5_000_000
_MIN_TILE, _MAX_TILE = 56, 112

# Shown at this many pixels: ten fit a 1280 pixel page, the rest sharpens dense screens.
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


@dataclass(frozen=True)
class Gallery:
    """Samples of classes, being drawn while the rest of the page is made.

    Attributes:
      labels: of the classes shown, largest first.
      samples: of each of them, as many as are shown.
      hidden: number of classes that are not shown.
      side: of a tile in pixels.
      drawing: the strips of those that have samples.
    """

    labels: Sequence[int]
    samples: Sequence[Samples]
    hidden: int
    side: int
    drawing: Drawing

    def strips(self) -> list[Strip | None]:
        """Returns the strip of each class shown, None where it has no samples."""
        drawn = iter(self.drawing.strips())
        return [
            Strip(
                html.data_uri(next(drawn), strips.MEDIA_TYPE),
                tuple(record.id for record in some.originals),
                tuple(record.id for record in some.copies),
            )
            if some.originals or some.copies
            else None
            for some in self.samples
        ]


def begin(
    found: Manifest,
    sources: pa.Table,
    open_shard: OpenShard,
    by_size: Sequence[int],
    pool: WorkerPool | None,
) -> Gallery:
    """Reads the samples of the largest and the smallest classes, and has them drawn.

    Args:
      found: the manifest.
      sources: the ledger.
      open_shard: opens a shard by its file name.
      by_size: labels, largest class first.
      pool: of workers that draw from now on; None to draw here, when `Gallery.strips` asks.

    Raises:
      DamagedRecordError: a record that was read.
      OSError: a shard cannot be read.
    """
    half = MAX_CLASSES // 2
    labels = [*by_size[:half], *by_size[-half:]] if len(by_size) > MAX_CLASSES else by_size
    side = tile_side(len(labels))
    of_class = read_samples(found, sources, open_shard, TRAIN, TILES, COPIES)
    samples = [_shown(of_class[label]) for label in labels]
    tasks = []
    for some in samples:
        images = tuple(record.image for record in (*some.originals, *some.copies))
        if images:
            tasks.append(StripTask(images, found.image, side))
    return Gallery(labels, samples, len(by_size) - len(labels), side, Drawing(tasks, pool))


def tile_side(classes: int) -> int:
    """Returns the side of a sample in pixels, such that all classes fit the page."""
    side = math.isqrt(_SAMPLE_PIXELS // (max(classes, 1) * TILES))
    return max(_MIN_TILE, min(_MAX_TILE, side))


def _shown(of_class: Samples) -> Samples:
    copies = of_class.copies[:COPIES]
    return Samples(of_class.originals[: TILES - len(copies)], copies)
