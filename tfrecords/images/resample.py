"""A part of a picture at another size: the kernel's work, in pieces where a picture is large.

Every picture goes through `resample`, decoded to an array or held by Pillow; the bytes are those of
`convolution` whatever the pieces.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from PIL import Image

from tfrecords.images import kernels
from tfrecords.images.convolution import Filter

# A decoded picture: uint8[height, width, channels] with 1 channel (grey) or 3 (RGB), or one of
# Pillow's of mode L or RGB.
Picture: TypeAlias = Image.Image | np.ndarray

# left, top, right, bottom in pixels, fractions allowed.
Box = tuple[float, float, float, float]

# A picture with more pixels, those between the two directions included, is worked on in strips: a
# kernel takes copies of what it is given.
_AT_ONCE = 1 << 22
_STRIP = 1 << 20

# Going down first would leave more pixels than this between the directions where a picture is very
# wide; across goes first there, if that leaves fewer.
_BETWEEN = 1 << 22

# The longest side that is weighed sample by sample. A longer one is averaged to it first.
_LONGEST = 1 << 16


def size_of(picture: Picture) -> tuple[int, int]:
    """Returns (width, height) of a picture in pixels."""
    if isinstance(picture, Image.Image):
        return picture.size
    return picture.shape[1], picture.shape[0]


def channels_of(picture: Picture) -> int:
    """Returns 1 or 3."""
    return len(picture.getbands()) if isinstance(picture, Image.Image) else picture.shape[2]


def resample(
    picture: Picture, size: tuple[int, int], box: Box, filter: Filter = Filter.TRIANGLE
) -> np.ndarray:
    """Returns uint8[height, width, channels]: a box of a picture at another size.

    Args:
      picture: to take it from.
      size: (width, height) of the result.
      box: inside the picture.
      filter: as wide as the reduction.
    """
    picture, box = _shortened(picture, box)
    width, height = size_of(picture)
    left, across = _span(box[0], box[2], width)
    top, down = _span(box[1], box[3], height)
    between = width * size[1]
    if (across, down) == size and left.is_integer() and top.is_integer():
        x, y = int(left), int(top)
        return _pixels(picture, (x, y, x + size[0], y + size[1]))
    if width * height + between <= _AT_ONCE:
        everything = (0, 0, width, height)
        return _kernel(picture, everything, (left, top, across, down), size, filter)
    if between > _BETWEEN and height * size[0] < between:
        rows = _across(picture, (left, across), size[0], filter)
        return _down(rows, (top, down), size[1], filter)
    columns = _down(picture, (top, down), size[1], filter)
    return _across(columns, (left, across), size[0], filter)


def _span(start: float, end: float, size: int) -> tuple[float, float]:
    """Returns start and length of a side of a box; rounding does not reach beyond the picture."""
    start = max(float(start), 0.0)
    length = float(end) - start
    while start + length > size:
        length = math.nextafter(length, 0.0)
    return start, length


def _down(picture: Picture, part: tuple[float, float], target: int, filter: Filter) -> np.ndarray:
    """Returns a picture resized from top to bottom alone."""
    width, height = size_of(picture)
    result = np.empty((target, width, channels_of(picture)), np.uint8)
    step = max(1, _STRIP // height)
    for x in range(0, width, step):
        end = min(x + step, width)
        of_strip = (0.0, part[0], float(end - x), part[1])
        strip = _kernel(picture, (x, 0, end, height), of_strip, (end - x, target), filter)
        result[:, x:end] = strip
    return result


def _across(picture: Picture, part: tuple[float, float], target: int, filter: Filter) -> np.ndarray:
    """Returns a picture resized from left to right alone."""
    width, height = size_of(picture)
    result = np.empty((height, target, channels_of(picture)), np.uint8)
    step = max(1, _STRIP // width)
    for y in range(0, height, step):
        end = min(y + step, height)
        of_strip = (part[0], 0.0, part[1], float(end - y))
        strip = _kernel(picture, (0, y, width, end), of_strip, (target, end - y), filter)
        result[y:end] = strip
    return result


def _kernel(
    picture: Picture,
    taken: tuple[int, int, int, int],
    part: kernels.Part,
    size: tuple[int, int],
    filter: Filter,
) -> np.ndarray:
    left, top, right, bottom = taken
    shape = (bottom - top, right - left, channels_of(picture))
    return kernels.kernel()(_bytes(picture, taken), shape, part, size, filter)


def _bytes(picture: Picture, taken: tuple[int, int, int, int]) -> bytes:
    left, top, right, bottom = taken
    if isinstance(picture, np.ndarray):
        return picture[top:bottom, left:right].tobytes()
    whole = taken == (0, 0, *picture.size)
    return (picture if whole else picture.crop(taken)).tobytes()


def _pixels(picture: Picture, taken: tuple[int, int, int, int]) -> np.ndarray:
    left, top, right, bottom = taken
    if isinstance(picture, np.ndarray):
        return picture[top:bottom, left:right]
    pixels = np.asarray(picture.crop(taken))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _shortened(picture: Picture, box: Box) -> tuple[Picture, Box]:
    """Averages whole pixels of a side that is too long to be weighed, and of the box with it."""
    width, height = size_of(picture)
    factor = (-(-width // _LONGEST), -(-height // _LONGEST))
    if factor == (1, 1):
        return picture, box
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    left, top, right, bottom = box
    reduced = picture.reduce(factor)
    scaled = (left / factor[0], top / factor[1], right / factor[0], bottom / factor[1])
    return reduced, scaled
