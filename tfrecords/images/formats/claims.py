"""Headers of formats whose decoders allocate pictures as soon as Pillow opens a file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tfrecords.images.formats import boxes

# Bytes a pixel, above what pictures of 8 to 70 million pixels took. A WebP has two canvases of RGBA
# in its decoder and two more when it is handed over (17 measured). An AVIF has planes of up to 16
# bits, once in the AV1 decoder and once for a grid, and three copies as RGBA (14 of 8 bits). HEIF
# took 10, lossless JPEG XL 14.
_WEBP = 20
_AVIF = 24
_HEIF = 24
_JPEG_XL = 32

# JPEG 2000: each component of a tile as int32 and as the bytes that become the picture.
_JPEG_2000_SAMPLE = 6

_RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


@dataclass(frozen=True, slots=True)
class Claim:
    """What a header says before anything is decoded.

    Attributes:
      width, height: of the picture.
      memory: bytes that opening and decoding take at most.
      bits: of a sample, where they are read.
    """

    width: int
    height: int
    memory: int
    bits: int = 8


def webp(data: bytes) -> Claim | None:
    """Reads the size of a WebP's canvas and of its first frames."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    sizes = list(_webp_sizes(data))
    if not sizes:
        return None
    width, height = sizes[0]
    most = max(w * h for w, h in sizes)
    return Claim(width, height, _WEBP * most + len(data))


def avif(data: bytes) -> Claim:
    """Reads the largest size in an AVIF's boxes and AV1 streams."""
    width, height = boxes.largest_stated(data)
    most = max(width * height, boxes.av1_pixels(data))
    return Claim(width, height, _AVIF * most + len(data))


def heif(data: bytes) -> Claim:
    """Reads the largest size in a HEIF's boxes."""
    width, height = boxes.largest_stated(data)
    return Claim(width, height, _HEIF * width * height + len(data))


def jpeg_xl(data: bytes) -> Claim | None:
    """Reads the size header of a JPEG XL codestream (ISO/IEC 18181-1, annex D)."""
    if not data.startswith(b"\xff\x0a"):
        stream = next(
            (
                data[box.start + (4 if box.kind == b"jxlp" else 0) : box.end]
                for box in boxes.boxes(data)
                if box.kind in (b"jxlc", b"jxlp")
            ),
            b"",
        )
    else:
        stream = data
    if not stream.startswith(b"\xff\x0a"):
        return None
    bits = int.from_bytes(stream[2:16], "little")
    small, bits = bits & 1, bits >> 1
    height, bits = _jpeg_xl_side(bits, bool(small))
    ratio, bits = _RATIOS[bits & 7], bits >> 3
    width = height * ratio[0] // ratio[1] if ratio else _jpeg_xl_side(bits, bool(small))[0]
    return Claim(width, height, _JPEG_XL * width * height + len(data))


def jpeg_2000(data: bytes) -> Claim | None:
    """Reads the SIZ marker of a JPEG 2000 codestream (ISO/IEC 15444-1, A.5.1)."""
    at = 0
    if not data.startswith(b"\xff\x4f"):
        at = next((box.start for box in boxes.boxes(data) if box.kind == b"jp2c"), -1)
    if at < 0 or data[at : at + 4] != b"\xff\x4f\xff\x51" or len(data) < at + 42:
        return None
    right, bottom, left, top, tile_width, tile_height = struct.unpack_from(">6I", data, at + 8)
    (components,) = struct.unpack_from(">H", data, at + 40)
    width, height = max(0, right - left), max(0, bottom - top)
    tile = min(tile_width, width) * min(tile_height, height)
    memory = _JPEG_2000_SAMPLE * components * tile + 9 * width * height + len(data)
    return Claim(width, height, memory, bits=(data[at + 42 : at + 43] or b"\7")[0] % 128 + 1)


def _jpeg_xl_side(bits: int, small: bool) -> tuple[int, int]:
    if small:
        return ((bits & 31) + 1) * 8, bits >> 5
    length = (9, 13, 18, 30)[bits & 3]
    bits >>= 2
    return (bits & (1 << length) - 1) + 1, bits >> length


def _webp_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields the canvas and the frames of a WebP (RFC 9649)."""
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + min(size, 40)]
        if kind == b"ANMF":
            # The frame's own chunk follows its 16 bytes of placement.
            inner, frame = body[16:20], body[24:]
        else:
            inner, frame = kind, body
        if kind == b"VP8X" and len(body) >= 10:
            yield _le24(body, 4) + 1, _le24(body, 7) + 1
        elif inner == b"VP8 " and len(frame) >= 10:
            width, height = struct.unpack_from("<HH", frame, 6)
            yield width & 0x3FFF, height & 0x3FFF
        elif inner == b"VP8L" and len(frame) >= 5:
            bits = int.from_bytes(frame[1:5], "little")
            yield (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        at += 8 + size + size % 2


def _le24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")
