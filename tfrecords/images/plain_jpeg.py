"""JPEGs as most are: decoded to an array, without Pillow where they have no metadata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from tfrecords.images import memory
from tfrecords.images.formats import jpeg, turbo
from tfrecords.images.pictures import Decoded, jpeg_scale
from tfrecords.images.rejects import ImageHeader
from tfrecords.schema import ImageSpec

# Tables, frames, restart intervals, scans and comments: nothing of these changes what is seen.
_BARE = frozenset((0xC0, 0xC1, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, 0xFE))
_JFIF, _ADOBE, _COMMENT = 0xE0, 0xEE, 0xFE
_BEGINS = b"\xff\xd8\xff"

# More is not read as it is: see `jpeg.without_bulk`.
_MAX_COMMENT = 1 << 16

# Pillow's mode of one and of three components.
_MODES = {1: "L", 3: "RGB"}

# Half of what Pillow refuses to open.
_MAX_PIXELS = 89_478_485

# What has no metadata.
_NO_METADATA = Image.new("RGB", (1, 1))


class OddJpegError(Exception):
    """The file is not as plain as its header."""


@dataclass(frozen=True, slots=True)
class PlainJpeg:
    """A JPEG of which nothing but its frame and its scans need be known; a `Picture`.

    Attributes:
      data: the file.
      frame: of it.
    """

    data: bytes
    frame: jpeg.Frame

    @classmethod
    def of(cls, data: bytes) -> PlainJpeg | None:
        """Returns the picture if it is a JPEG without metadata that Pillow would have to read."""
        if not data.startswith(_BEGINS) or not turbo.is_there():
            return None
        segments = tuple(jpeg.segments(data))
        frame = jpeg.frame(segments)
        plain = frame is not None and _is_plain(segments, frame)
        return cls(data, frame) if frame is not None and plain else None

    @property
    def header(self) -> ImageHeader:
        mode = _MODES[len(self.frame.components)]
        return ImageHeader("JPEG", self.frame.width, self.frame.height, mode)

    def memory(self, spec: ImageSpec) -> int:
        width, height = self.frame.width, self.frame.height
        scale = jpeg_scale(self.data, width, height, spec)
        size = (-(-width // scale), -(-height // scale))
        mode = _MODES[len(self.frame.components)]
        return memory.with_conversion(self.frame.coefficient_bytes, mode, *size)

    def load(self, spec: ImageSpec) -> Decoded:
        """Decodes it.

        Raises:
          OddJpegError: Pillow must decode it.
        """
        found = decoded(self.data, self.frame, None, spec)
        if found is None:
            raise OddJpegError
        return found


def _is_plain(segments: Sequence[jpeg.Segment], frame: jpeg.Frame) -> bool:
    return (
        frame.bits == 8
        and len(frame.components) in _MODES
        and 0 < frame.width * frame.height <= _MAX_PIXELS
        and sum(len(s.payload) for s in segments if s.marker == _COMMENT) <= _MAX_COMMENT
        and all(
            segment.marker in _BARE
            or (segment.marker == _JFIF and _begins(segment, b"JFIF\0", 14))
            or (segment.marker == _ADOBE and _begins(segment, b"Adobe", 12))
            for segment in segments
        )
    )


def _begins(segment: jpeg.Segment, name: bytes, least: int) -> bool:
    return segment.payload.startswith(name) and len(segment.payload) >= least


def decoded(
    data: bytes, frame: jpeg.Frame, image: Image.Image | None, spec: ImageSpec
) -> Decoded | None:
    """Returns a JPEG decoded to an array; None if Pillow must decode it.

    Args:
      data: the file.
      frame: of it.
      image: opened, with its metadata and its mode; None for a `PlainJpeg`.
      spec: the target, which says at what scale.
    """
    if jpeg.is_cut(data):
        return None
    scale = jpeg_scale(data, frame.width, frame.height, spec)
    mode = image.mode if image is not None else _MODES[len(frame.components)]
    pixels = turbo.decode(data, frame, mode, scale)
    if pixels is None:
        return None
    extent = (frame.width / scale, frame.height / scale)
    return Decoded(image if image is not None else _NO_METADATA, extent, pixels=pixels)
