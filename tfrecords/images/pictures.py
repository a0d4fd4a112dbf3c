"""What opening a file gives: a picture that says what decoding takes, and decodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from tfrecords.images.rejects import ImageHeader
from tfrecords.images.resize import REDUCING_GAP
from tfrecords.schema import ImageSpec

# Extent of a picture in pixels of its decoded image, fractions allowed.
Extent = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture.

    Attributes:
      image: loaded, not yet upright; with `pixels` only opened, for its metadata.
      extent: how much of it is picture, from its top left corner: a JPEG at a quarter of 750
        pixels has 188, half of the last one outside.
      cut: whether the file ends before its picture does.
      missing: the share of rows that a cut file lacks.
      note: what is odd about the file, in words; "" for most.
      pixels: uint8[height, width, 1 or 3] where the picture was decoded to an array.
      deep: whether the file has samples of 16 bits, and so may use few of them.
    """

    image: Image.Image
    extent: Extent
    cut: bool = False
    missing: float = 0.0
    note: str = ""
    pixels: np.ndarray | None = None
    deep: bool = False


class Picture(Protocol):
    """A source whose header has been read.

    Attributes:
      header: format, size and mode.
    """

    @property
    def header(self) -> ImageHeader: ...

    def memory(self, spec: ImageSpec) -> int:
        """Returns the bytes that decoding for `spec` and converting take at most."""

    def load(self, spec: ImageSpec) -> Decoded:
        """Decodes the first frame, a large JPEG at a scale that is enough for `spec`.

        Raises:
          Exception: whatever a decoder raises for damaged bytes.
        """


def jpeg_scale(data: bytes, width: int, height: int, spec: ImageSpec) -> int:
    """Returns by how much a JPEG is reduced while it is decoded: 1, 2, 4 or 8.

    libjpeg-turbo decodes lossless JPEG at full size whatever scale is asked, and Pillow 12.3 gives
    it a buffer for the scaled rows: it writes beyond the end. So no file is scaled in which a
    lossless frame's marker (SOF3, SOF11) occurs. In other JPEGs the two bytes can only be part of
    metadata, and then the picture is merely decoded in full.
    """
    side = wanted_side(spec)
    least = min(width // side, height // side)
    scale = next((power for power in (8, 4, 2) if least >= power), 1)
    # Looking takes 1 ms a megabyte: only where a scale is asked.
    return 1 if scale > 1 and (b"\xff\xc3" in data or b"\xff\xcb" in data) else scale


def wanted_side(spec: ImageSpec) -> int:
    """Returns what both sides of a JPEG keep when it is decoded at a scale."""
    # Orientation may swap the sides, so both sides ask for the longer one.
    return math.ceil(max(spec.height, spec.width) * REDUCING_GAP)
