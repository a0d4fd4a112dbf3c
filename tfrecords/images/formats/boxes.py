"""ISO base media files (AVIF, HEIF, JPEG XL in its container): sizes, before a decoder sees them.

The sizes that count are those of the coded streams: what the container says of them is a claim.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tfrecords.images.formats import directories

# Boxes that hold boxes, with the bytes between their head and the first of them.
_CONTAINERS = {
    b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0,
    b"stbl": 0, b"jp2h": 0, b"stsd": 8, b"av01": 78, b"hvc1": 78, b"hev1": 78,
}  # fmt: skip
_MAX_DEPTH = 10

_EXIF_START = re.compile(rb"II\*\0|MM\0\*")
# By chance 2 GB of coded data hold one place that looks like the start of EXIF.
_MAX_EXIF_STARTS = 8

# The specification's largest frame; dav1d is told to refuse more than 16,384 x 16,384 pixels.
_AV1_MAX_PIXELS = 1 << 28

_SEQUENCE_HEADER = 1


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its kind, and where its payload lies."""

    kind: bytes
    start: int
    end: int


def boxes(data: bytes, start: int = 0, end: int | None = None, depth: int = 0) -> Iterator[Box]:
    """Yields the boxes of a file, each container before what it holds."""
    end = len(data) if end is None else end
    while start + 8 <= end and depth < _MAX_DEPTH:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and start + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        size = end - start if size == 0 else size
        if size < head or start + size > end:
            return
        yield Box(kind, start + head, start + size)
        if kind in _CONTAINERS:
            yield from boxes(data, start + head + _CONTAINERS[kind], start + size, depth + 1)
        start += size


def largest_stated(data: bytes) -> tuple[int, int]:
    """Returns width and height of the largest picture that a container speaks of, or zeros."""
    sizes = [
        struct.unpack_from(">II", data, box.start + 4)
        for box in boxes(data)
        if box.kind == b"ispe" and box.end - box.start >= 12
    ]
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


def jpeg_2000_profile(data: bytes) -> bytes | None:
    """Returns the colour profile of a JP2 file, or None; Pillow leaves it unread."""
    for box in boxes(data):
        if box.kind == b"colr" and data[box.start : box.start + 1] in (b"\2", b"\3"):
            return data[box.start + 3 : box.end]
    return None


def av1_pixels(data: bytes) -> int:
    """Returns the most pixels that a frame of any AV1 stream in a file can have."""
    most, unread = 0, 4 * len(data)
    for start, end in _streams(data):
        unread -= max(0, min(end, len(data)) - start)
        if unread < 0:
            return _AV1_MAX_PIXELS  # Streams that overlap many times over are no picture.
        for payload in _sequence_headers(data[start:end]):
            try:
                most = max(most, _max_frame_pixels(payload))
            except IndexError:
                continue  # Cut short: the decoder will refuse it too.
    return min(most, _AV1_MAX_PIXELS)


def exif_is_honest(data: bytes) -> bool:
    """Returns whether nothing in a file that may be EXIF is dangerous to parse."""
    for number, found in enumerate(_EXIF_START.finditer(data)):
        if number >= _MAX_EXIF_STARTS:
            return False
        if not directories.exif_is_honest(data[found.start() :]):
            return False
    return True


def _streams(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields where coded data may begin and end: configurations, items, first samples."""
    found = [b for b in boxes(data) if b.kind in (b"av1C", b"iloc", b"idat", b"stco", b"co64")]
    inside = next((box.start for box in found if box.kind == b"idat"), 0)
    for box in found:
        if box.kind == b"av1C":
            yield box.start + 4, box.end
        elif box.kind == b"iloc":
            yield from _item_extents(data, box, inside)
        elif box.kind in (b"stco", b"co64"):
            yield from _chunks(data, box)


def _item_extents(data: bytes, box: Box, inside: int) -> Iterator[tuple[int, int]]:
    """Yields the extents of all items (ISO/IEC 14496-12, 8.11.3)."""
    reader = _Bytes(data, box.start, box.end)
    version = reader.number(1)
    reader.number(3)
    sizes = reader.number(2)
    offset_size, length_size = sizes >> 12 & 15, sizes >> 8 & 15
    base_size, index_size = sizes >> 4 & 15, (sizes & 15 if version else 0)
    for _ in range(reader.number(4 if version == 2 else 2)):
        reader.number(4 if version == 2 else 2)
        method = reader.number(2) & 15 if version else 0
        reader.number(2)
        base = reader.number(base_size)
        for _ in range(reader.number(2)):
            reader.number(index_size)
            start = base + reader.number(offset_size)
            length = reader.number(length_size)
            if reader.ended:
                return
            if method == 1:
                start += inside
            yield start, (start + length if length else len(data))


def _chunks(data: bytes, box: Box) -> Iterator[tuple[int, int]]:
    size = 8 if box.kind == b"co64" else 4
    if box.end - box.start >= 8 + size:
        start = int.from_bytes(data[box.start + 8 : box.start + 8 + size], "big")
        yield start, len(data)


def _sequence_headers(stream: bytes) -> Iterator[bytes]:
    """Yields the payloads of AV1 sequence headers among the units of a stream (AV1, 5.3)."""
    at = 0
    while at < len(stream):
        head = stream[at]
        at += 2 if head & 4 else 1
        size, shift = 0, 0
        while head & 2 and at < len(stream) and shift < 56:
            byte = stream[at]
            size |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if not byte & 128:
                break
        if not head & 2:
            size = len(stream) - at
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            yield stream[at : at + size]
        at += size


def _max_frame_pixels(payload: bytes) -> int:
    """Returns the most pixels that frames under a sequence header can have (AV1, 5.5.1)."""
    bits = _Bits(payload)
    bits.take(4)
    reduced = bits.take(1)
    if reduced:
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    if not reduced:
        # Each frame may state a size of its own in as many bits.
        return 1 << width_bits + height_bits
    return (bits.take(width_bits) + 1) * (bits.take(height_bits) + 1)


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = _skip_timing(bits) if bits.take(1) else 0
    display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if display_delay and bits.take(1):
            bits.take(4)


def _skip_timing(bits: _Bits) -> int:
    """Returns the bits of a delay in the decoder model; 0 where there is none."""
    bits.take(64)
    if bits.take(1):
        zeros = 0
        while not bits.take(1):
            zeros += 1
        bits.take(zeros)
    if not bits.take(1):
        return 0
    delay_bits = bits.take(5) + 1
    bits.take(42)
    return delay_bits


class _Bits:
    """Reads bits, the most significant of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> int:
        """Returns the next `count` bits as a number; IndexError at the end."""
        value = 0
        for _ in range(count):
            value = value << 1 | self._data[self._at >> 3] >> (7 - self._at & 7) & 1
            self._at += 1
        return value


class _Bytes:
    """Reads numbers of whole bytes, zeros beyond the end."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self._at = start
        self._end = end

    @property
    def ended(self) -> bool:
        """Whether more was read than there is."""
        return self._at > self._end

    def number(self, size: int) -> int:
        """Returns the next `size` bytes as a number."""
        value = int.from_bytes(self._data[self._at : min(self._at + size, self._end)], "big")
        self._at += size
        return value
