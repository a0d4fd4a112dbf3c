"""BMP with bit masks that Pillow has no name for, and alpha that nobody has set."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfrecords.images.rejects import ImageHeader

_BIT_FIELDS, _ALPHA_BIT_FIELDS = 3, 6
_HEADERS = (40, 52, 56, 64, 108, 124)
_ROWS = 64


@dataclass(frozen=True, slots=True)
class MaskedBmp:
    """An uncompressed BMP of 16 or 32 bits a pixel, each channel some run of them.

    Attributes:
      data: the file.
      width, height: in pixels.
      top_down: whether the first row of the file is the uppermost.
      bits: of a pixel.
      start: of the first row in the file.
      masks: of red, green, blue and alpha; 0 for no alpha.
    """

    data: bytes
    width: int
    height: int
    top_down: bool
    bits: int
    start: int
    masks: tuple[int, int, int, int]

    @classmethod
    def of(cls, data: bytes) -> MaskedBmp | None:
        """Reads the header, None where it is no such BMP or its rows are not all there."""
        if len(data) < 54 or not data.startswith(b"BM"):
            return None
        start, size, width, height, _, bits, compression = struct.unpack_from("<IIiiHHI", data, 10)
        if size not in _HEADERS or compression not in (_BIT_FIELDS, _ALPHA_BIT_FIELDS):
            return None
        has_alpha = size >= 56 or compression == _ALPHA_BIT_FIELDS
        if bits not in (16, 32) or width <= 0 or height == 0 or len(data) < 70:
            return None
        red, green, blue, alpha = struct.unpack_from("<4I", data, 54)
        masks = (red, green, blue, alpha if has_alpha else 0)
        picture = cls(data, width, abs(height), height < 0, bits, start, masks)
        return picture if picture._is_sound() else None

    @property
    def header(self) -> ImageHeader:
        """The header, with the mode that the picture has here."""
        return ImageHeader("BMP", self.width, self.height, "RGBA" if self.masks[3] else "RGB")

    @property
    def memory(self) -> int:
        """Bytes that `load` takes at most."""
        return 9 * self.width * self.height

    def load(self) -> Image.Image:
        """Returns the picture, each channel scaled to 8 bits."""
        shape = (self.height, self._stride // (self.bits // 8))
        words = np.frombuffer(self.data, f"<u{self.bits // 8}", shape[0] * shape[1], self.start)
        rows = words.reshape(shape)[:, : self.width]
        masks = self.masks if self.masks[3] else self.masks[:3]
        levels = np.empty((len(masks), self.height, self.width), np.uint8)
        for top in range(0, self.height, _ROWS):
            block = rows[top : top + _ROWS].astype(np.uint64)
            for channel, mask in enumerate(masks):
                shift = (mask & -mask).bit_length() - 1
                scale = mask >> shift
                value = (block & mask) >> shift
                levels[channel, top : top + _ROWS] = (value * 255 + scale // 2) // scale
        if not self.top_down:
            levels = levels[:, ::-1]
        channels = [Image.fromarray(np.ascontiguousarray(channel)) for channel in levels]
        return Image.merge(self.header.mode, channels)

    @property
    def _stride(self) -> int:
        return -(-self.width * self.bits // 32) * 4

    def _is_sound(self) -> bool:
        """Whether masks are separate runs of bits within a pixel, and every row is there."""
        used = 0
        for mask in self.masks:
            shifted = mask >> max(0, (mask & -mask).bit_length() - 1)
            if shifted & (shifted + 1) or mask & used or mask >> self.bits:
                return False
            used |= mask
        return all(self.masks[:3]) and self.start + self._stride * self.height <= len(self.data)


def with_alpha_set(image: Image.Image) -> Image.Image:
    """Returns a BMP without its alpha where that is 0 everywhere: nobody has set it.

    A mask for alpha says only where its byte lies. Many programs leave the byte 0, and every
    viewer shows their pictures opaque.
    """
    if image.mode != "RGBA" or image.getchannel("A").getbbox() is not None:
        return image
    return image.convert("RGB")
