"""Draws records of a class side by side, for the report. Runs in workers."""

from __future__ import annotations

import io

from PIL import Image

from beam_pipelines.tasks import StripTask
from tfrecords.images import canonicalise
from tfrecords.images.decode_pool import Watch

MEDIA_TYPE = "image/webp"
_QUALITY = 75


def draw_strip(task: StripTask, watch: Watch) -> bytes:
    """Returns a strip as a file of `MEDIA_TYPE`.

    Raises:
      ValueError: a record is not an image of its spec.
    """
    del watch  # These pictures were encoded by the bake.
    side = task.side
    strip = Image.new("RGB", (side * len(task.images), side), "white")
    for index, data in enumerate(task.images):
        tile = _fitted(Image.fromarray(canonicalise.decode_record(data, task.spec)), side)
        strip.paste(tile, (index * side + (side - tile.width) // 2, (side - tile.height) // 2))
    buffer = io.BytesIO()
    strip.save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()


def _fitted(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)
