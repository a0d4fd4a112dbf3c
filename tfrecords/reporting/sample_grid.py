"""The grid of samples: a row for each class, its name and its first pictures by rank."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tfrecords.images import canonicalise
from tfrecords.reader import Samples
from tfrecords.reporting import html
from tfrecords.schema import ImageRecord, ImageSpec

# Sides of a picture in pixels, for few classes and for many.
_LARGE, _SMALL = 96, 64
_FEW_ROWS = 24
_GAP = 4
_MARGIN = 16
_TITLE = 34
_BLOCK_GAP = 36
_MAX_NAME = 24
_INK = (31, 35, 40)
_MUTED = (89, 99, 110)
_COPY = (86, 180, 233)
_ASPECT = 1.3


@dataclass(frozen=True, slots=True)
class GridClass:
    """One row.

    Attributes:
      name: of the class.
      note: smaller, below it.
      samples: originals first, then copies.
    """

    name: str
    note: str
    samples: Samples


def grid_png(title: str, rows: Sequence[GridClass], spec: ImageSpec, columns: int) -> bytes:
    """Returns the grid as a PNG file; copies have a blue frame.

    Rows are laid in as many blocks side by side as make the picture about 4 to 3.

    Args:
      title: above all.
      rows: in the order shown.
      spec: of the images.
      columns: pictures in a row.
    """
    side = min(max(spec.height, spec.width, 64), _LARGE if len(rows) <= _FEW_ROWS else _SMALL)
    label = _label_width(rows)
    block = label + columns * (side + _GAP)
    blocks = _block_count(len(rows), block, side + _GAP)
    height = math.ceil(len(rows) / blocks)
    canvas = Image.new(
        "RGB",
        (
            2 * _MARGIN + blocks * (block + _BLOCK_GAP) - _BLOCK_GAP,
            2 * _MARGIN + _TITLE + height * (side + _GAP),
        ),
        "white",
    )
    draw = ImageDraw.Draw(canvas)
    draw.text((_MARGIN, _MARGIN), title, _INK, _font(17, bold=True))
    for index, row in enumerate(rows):
        left = _MARGIN + index // height * (block + _BLOCK_GAP)
        top = _MARGIN + _TITLE + index % height * (side + _GAP)
        _draw_label(draw, row, (left, top + side // 2))
        _draw_pictures(canvas, row.samples, spec, (left + label, top), side, columns)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()


def picture(record: ImageRecord, spec: ImageSpec) -> Image.Image:
    """Returns the image of a record.

    Raises:
      ValueError: it is not an image of `spec`.
    """
    return Image.fromarray(canonicalise.decode_record(record.image, spec))


def _label_width(rows: Sequence[GridClass]) -> int:
    font = _font(13, bold=True)
    widths = (font.getlength(html.shorten(row.name, _MAX_NAME)) for row in rows)
    return math.ceil(max(widths, default=0)) + 12


def _draw_label(draw: ImageDraw.ImageDraw, row: GridClass, middle: tuple[int, int]) -> None:
    x, y = middle
    name = html.shorten(row.name, _MAX_NAME)
    draw.text((x, y - 1), name, _INK, _font(13, bold=True), "ls")
    draw.text((x, y + 14), row.note, _MUTED, _font(11), "ls")


def _draw_pictures(
    canvas: Image.Image,
    samples: Samples,
    spec: ImageSpec,
    corner: tuple[int, int],
    side: int,
    columns: int,
) -> None:
    left, top = corner
    draw = ImageDraw.Draw(canvas)
    for column, record in enumerate((*samples.originals, *samples.copies)[:columns]):
        x = left + column * (side + _GAP)
        cell = fit(picture(record, spec), side)
        canvas.paste(cell, (x + (side - cell.width) // 2, top + (side - cell.height) // 2))
        if record.copy:
            draw.rectangle((x, top, x + side - 1, top + side - 1), outline=_COPY, width=2)


def fit(image: Image.Image, side: int) -> Image.Image:
    """Returns a picture scaled up or down to fit a square of `side` pixels."""
    scale = side / max(image.size)
    size = tuple(max(1, round(length * scale)) for length in image.size)
    method = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    return image.resize((size[0], size[1]), method)


def _block_count(rows: int, width: int, height: int) -> int:
    """Returns the number of blocks whose aspect ratio is nearest to `_ASPECT`."""
    ideal = math.sqrt(_ASPECT * rows * height / width)
    return max(1, min(rows, round(ideal)))


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)
