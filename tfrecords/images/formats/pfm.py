"""Portable float maps in colour; Pillow reads those in grey."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfrecords.images.rejects import ImageError, ImageHeader, RejectReason

_HEADER = re.compile(rb"PF\s+(\d{1,9})\s+(\d{1,9})\s+([-+.0-9eE]{1,20})\s")
_ROWS = 64


@dataclass(frozen=True, slots=True)
class ColourFloatMap:
    """A file that begins with PF: float32 red, green, blue, rows from the bottom.

    Attributes:
      data: the file.
      width, height: in pixels.
      order: "<" or ">", by the sign of the scale in the header.
      start: of the first row in the file.
    """

    data: bytes
    width: int
    height: int
    order: str
    start: int

    @classmethod
    def of(cls, data: bytes) -> ColourFloatMap | None:
        """Reads the header, None where there is none."""
        found = _HEADER.match(data)
        if found is None:
            return None
        try:
            scale = float(found[3])
        except ValueError:
            return None
        if not math.isfinite(scale) or scale == 0 or int(found[1]) == 0 or int(found[2]) == 0:
            return None
        return cls(data, int(found[1]), int(found[2]), "<" if scale < 0 else ">", found.end())

    @property
    def header(self) -> ImageHeader:
        """The header, with the mode that the picture has here, at 8 bits."""
        return ImageHeader("PFM", self.width, self.height, "RGB")

    @property
    def memory(self) -> int:
        """Bytes that `load` takes at most."""
        return 8 * self.width * self.height

    def load(self) -> Image.Image:
        """Returns the picture, 0 to 1 scaled to 8 bits.

        Raises:
          ImageError: truncated; unsupported_format, for samples outside 0 to 1.
        """
        wanted = self.width * self.height * 3
        if len(self.data) < self.start + wanted * 4:
            raise ImageError(RejectReason.TRUNCATED, "the file ends before its last row")
        samples = np.frombuffer(self.data, f"{self.order}f4", wanted, self.start)
        rows = samples.reshape(self.height, self.width, 3)
        levels = np.empty(rows.shape, np.uint8)
        for top in range(0, self.height, _ROWS):
            block = rows[top : top + _ROWS]
            # Comparisons with NaN are false, so a NaN is outside as well.
            if not (block.min() >= 0 and block.max() <= 1):
                raise ImageError(
                    RejectReason.UNSUPPORTED_FORMAT, "floating-point samples outside 0 to 1"
                )
            levels[top : top + _ROWS] = np.rint(block * 255)
        return Image.fromarray(np.ascontiguousarray(levels[::-1]))
