"""Plain JPEGs straight to an array: the codec that Pillow has, without Pillow's picture between.

It decodes what most files are, and says nothing of the others: whatever is odd, or makes the codec
raise or warn, is left to Pillow, which decides what becomes of it. Where both decode, the pixels
are the same.
"""

from __future__ import annotations

import functools
import importlib
import io
from typing import Any

import numpy as np
from PIL import Image

from tfrecords.images.formats.jpeg import Frame

# Baseline, extended and progressive frames of Huffman codes.
_PLAIN_FRAMES = (0xC0, 0xC1, 0xC2)

# Pillow's mode → what the codec says of the file, and how the array's samples are asked for.
_COLOURS = {"L": ("Gray", "GRAY"), "RGB": ("YCbCr", "RGB")}

_EIGHTHS = 8


def decode(data: bytes, frame: Frame, mode: str, scale: int) -> np.ndarray | None:
    """Returns uint8[height, width, 1 or 3] of a JPEG that is plain and whole; None of any other.

    Args:
      data: the file.
      frame: of the file.
      mode: of Pillow for it, L or RGB; others are not decoded.
      scale: 1, 2, 4 or 8; sides come out divided by it and rounded up.
    """
    codec = _codec()
    if codec is None or frame.marker not in _PLAIN_FRAMES or mode not in _COLOURS:
        return None
    stored, wanted = _COLOURS[mode]
    size = (-(-frame.height // scale), -(-frame.width // scale))
    if scale > 1 and not _is_smallest(frame, scale):
        return None
    least = {"min_height": size[0], "min_width": size[1]} if scale > 1 else {}
    try:
        height, width, colour, _ = codec.decode_jpeg_header(data)
        if (height, width, colour) != (frame.height, frame.width, stored):
            return None
        pixels = codec.decode_jpeg(data, wanted, **least)
    except Exception:  # Of hostile bytes anything; Pillow tells what is wrong with them.
        return None
    return pixels if pixels.shape[:2] == size else None


def _is_smallest(frame: Frame, scale: int) -> bool:
    """Returns whether no eighths below 1/scale give both sides as many pixels.

    The codec takes the fewest eighths that reach the sides it is asked for.
    """
    fewer = _EIGHTHS // scale - 1
    return any(
        -(-side * fewer // _EIGHTHS) < -(-side // scale) for side in (frame.height, frame.width)
    )


def is_there() -> bool:
    """Returns whether there is a codec that gives Pillow's pixels."""
    return _codec() is not None


@functools.cache
def _codec() -> Any:
    """Returns simplejpeg, or None where it is absent or decodes otherwise than Pillow."""
    try:
        codec: Any = importlib.import_module("simplejpeg")
    except ImportError:
        return None
    levels = (np.arange(37 * 61 * 3) ** 2 % 251).astype(np.uint8).reshape(37, 61, 3)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "JPEG", quality=80, subsampling="4:2:0")
    with Image.open(buffer) as image:
        agrees = np.array_equal(codec.decode_jpeg(buffer.getvalue()), np.asarray(image))
    return codec if agrees else None
