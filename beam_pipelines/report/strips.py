"""The samples of a class side by side in one picture, drawn by workers for the report.

They draw while the process that writes the report makes its figures, which takes as long.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from beam_pipelines.workers.pool import TaskQueue, Watch, WorkerPool
from tfrecords.images import canonicalise
from tfrecords.schema import ImageSpec

MEDIA_TYPE = "image/webp"
_QUALITY = 75


@dataclass(frozen=True, slots=True)
class StripTask:
    """A strip to draw.

    Attributes:
      images: encoded bytes of its records, one at least.
      spec: of the images.
      side: of a tile, in pixels; tiles are square.
    """

    images: tuple[bytes, ...]
    spec: ImageSpec
    side: int


def draw_strip(task: StripTask, watch: Watch) -> bytes:
    """Returns a strip as a file of `MEDIA_TYPE`.

    Raises:
      ValueError: a record is not an image of its spec.
    """
    del watch  # These pictures are the bake's own.
    side = task.side
    strip = Image.new("RGB", (side * len(task.images), side), "white")
    for index, data in enumerate(task.images):
        tile = _fitted(Image.fromarray(canonicalise.decode_record(data, task.spec)), side)
        strip.paste(tile, (index * side + (side - tile.width) // 2, (side - tile.height) // 2))
    buffer = io.BytesIO()
    strip.save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()


class Drawing:
    """Strips being drawn: on a pool from now on, or without one as soon as they are wanted.

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
        queue = TaskQueue(self._pool)
        drawn: list[bytes] = []
        for task in self._tasks:
            drawn += queue.submit(draw_strip, task)
        return [*drawn, *queue.drain()]


def _fitted(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)
