"""The segments of a JPEG: what is too much metadata, and how much of a cut one is there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops

from tfrecords.images.formats import directories

_END = b"\xff\xd9"

# A coded picture may end with a zero or two.
_PADDING = bytes(16)
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"

# Frames whose scans refine coefficients step by step, and frames of lossless JPEG.
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_LOSSLESS = frozenset((0xC3, 0xC7, 0xCB, 0xCF))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _RESTART_INTERVAL, _APPLICATION, _COMMENT = 0xDA, 0xDD, range(0xE0, 0xF0), 0xFE

# Metadata of cameras has up to some 100 kB (a thumbnail and a maker's note), ICC profiles up to
# 3 MB. Pillow keeps all of it and joins EXIF segments at a cost that grows with their square.
MAX_METADATA = 4 << 20

# Of the rows of a cut picture, this share may be missing: a strip at the edge of a photograph.
MAX_MISSING = 0.05

# Bytes that decode to something else than the zeros of a decoder that ran out, in any table of
# codes; 0xFF would begin a marker.
_OTHER_TAIL = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(64)).replace(b"\xff", b"")

# What ends the data of a scan: a marker that is neither a stuffed byte nor a restart.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker and its payload.

    Attributes:
      marker: second byte of the marker.
      start: of the marker in the file.
      payload: without the two bytes of length.
      end: of the payload in the file.
    """

    marker: int
    start: int
    payload: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Component:
    """A colour component: its identifier and its sampling factors."""

    identifier: int
    horizontal: int
    vertical: int


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of a JPEG, and its first scan.

    Attributes:
      marker: of the frame.
      bits: of a sample.
      width, height: in pixels.
      components: of the frame.
      in_first_scan: how many components the first scan has.
    """

    marker: int
    bits: int
    width: int
    height: int
    components: tuple[Component, ...]
    in_first_scan: int

    @property
    def lossless(self) -> bool:
        """Whether samples are predicted instead of transformed."""
        return self.marker in _LOSSLESS

    @property
    def progressive(self) -> bool:
        """Whether scans refine the picture step by step."""
        return self.marker in _PROGRESSIVE

    @property
    def coefficient_bytes(self) -> int:
        """What the decoder keeps of the whole picture besides its rows: nothing for one scan."""
        if not self.progressive and self.in_first_scan >= len(self.components):
            return 0
        across = max(c.horizontal for c in self.components)
        down = max(c.vertical for c in self.components)
        units_x = -(-self.width // (8 * across))
        units_y = -(-self.height // (8 * down))
        return sum(units_x * units_y * c.horizontal * c.vertical * 128 for c in self.components)


def segments(data: bytes, start: int = 2) -> Iterator[Segment]:
    """Yields the segments from `start` to the first scan's header, that one included.

    It ends without one at the end of the picture, and where the file does not follow the format.
    """
    at = start
    while True:
        at = data.find(b"\xff", at)
        while 0 <= at < len(data) - 1 and data[at + 1] == 0xFF:
            at += 1
        if not 0 <= at < len(data) - 3:
            return
        marker = data[at + 1]
        if marker == _END[1]:
            return
        if marker == 0 or marker == 1 or 0xD0 <= marker <= 0xD8:
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end < at + 4 or end > len(data):
            return
        yield Segment(marker, at, data[at + 4 : end], end)
        if marker == _SCAN:
            return
        at = end


def frame(segments: Iterable[Segment]) -> Frame | None:
    """Returns the frame of a JPEG of these segments, or None if it has none that makes sense."""
    found: Segment | None = None
    scan: Segment | None = None
    for segment in segments:
        if segment.marker in _FRAMES:
            found = segment
        elif segment.marker == _SCAN:
            scan = segment
    if found is None or len(found.payload) < 6:
        return None
    body = found.payload
    components = tuple(
        Component(body[i], max(1, body[i + 1] >> 4), max(1, body[i + 1] & 15))
        for i in range(6, len(body) - 2, 3)
    )
    if not components:
        return None
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    in_scan = scan.payload[0] if scan is not None and scan.payload else len(components)
    return Frame(found.marker, body[0], width, height, components, in_scan)


def without_bulk(data: bytes, segments: Sequence[Segment]) -> bytes:
    """Returns a JPEG without metadata that costs Pillow more than its bytes are worth.

    Kept are JFIF and Adobe markers, ICC profiles and the first EXIF block and last XMP packet,
    where the orientation stands; the picture is the same. An ordinary JPEG is returned as it is.
    """
    metadata = [s for s in segments if s.marker in _APPLICATION or s.marker == _COMMENT]
    exif = [s for s in metadata if s.marker == 0xE1 and s.payload.startswith(_EXIF)]
    pages = [s for s in metadata if s.marker == 0xE2 and s.payload.startswith(b"MPF\0")]
    honest = all(directories.exif_is_honest(s.payload) for s in exif) and all(
        directories.exif_is_honest(s.payload[4:]) for s in pages
    )
    if honest and len(exif) <= 1 and sum(len(s.payload) for s in metadata) <= MAX_METADATA:
        return data
    kept = [s for s in exif[:1] if directories.exif_is_honest(s.payload)]
    if honest:  # Beside damaged EXIF no other orientation is believed.
        kept += [s for s in metadata if s.marker == 0xE1 and s.payload.startswith(_XMP)][-1:]
    dropped = [s for s in metadata if s not in kept and not _is_needed(s)]
    parts, at = [], 0
    for segment in dropped:
        parts.append(data[at : segment.start])
        at = segment.end
    return b"".join((*parts, data[at:]))


def _is_needed(segment: Segment) -> bool:
    return segment.marker in (0xE0, 0xEE) or (
        segment.marker == 0xE2 and segment.payload.startswith(b"ICC_PROFILE\0")
    )


@dataclass(frozen=True, slots=True)
class CutJpeg:
    """What there is of a JPEG without its last marker.

    Attributes:
      image: decoded; missing rows are what the decoder fills them with.
      missing: the share of rows that bytes of the file do not give, 0 to 1.
      lacking: what is missing, in words.
    """

    image: Image.Image
    missing: float
    lacking: str


def load_cut(data: bytes, decode: Callable[[bytes], Image.Image]) -> CutJpeg:
    """Decodes a JPEG that ends without its last marker, and tells how much of it there is.

    A decoder that runs out of bytes goes on with zeros. What it decodes with other bytes behind
    the end is the same picture if nothing is missing, and differs from the first missing row on
    if something is.

    Args:
      data: the file.
      decode: bytes of a JPEG → its picture, at whatever scale.

    Raises:
      OSError: there is nothing to decode.
    """
    body = _without_padding(data)
    image = decode(body + _END)
    if not _has_all_scans(body):
        return CutJpeg(image, 1.0, "the scans that refine it are missing")
    other = decode(body + _OTHER_TAIL + _END)
    box = ImageChops.difference(image, other).getbbox()
    there = min(box[1] / image.height if box else 1.0, _share_by_restarts(body))
    if there == 1:
        return CutJpeg(image, 0.0, "only its last marker is missing")
    rows = image.height - int(there * image.height)
    return CutJpeg(image, 1 - there, f"the last {rows / image.height:.0%} of its rows are missing")


def is_cut(data: bytes) -> bool:
    """Returns whether no marker follows the data of a JPEG's last scan.

    Decoders do not always miss it, and take zeros of space that was reserved and never written
    for coded grey.
    """
    if data.endswith(_END):
        return False
    scan = _last_scan(data)
    return scan is not None and scan.end == len(data)


def _without_padding(data: bytes) -> bytes:
    return (data.rstrip(b"\0") if data.endswith(_PADDING) else data).rstrip(b"\xff")


@dataclass(frozen=True, slots=True)
class _Scan:
    """A scan: its header's payload, the restart interval, and where its data lies."""

    header: bytes
    interval: int
    start: int
    end: int

    @property
    def components(self) -> tuple[int, ...]:
        return tuple(self.header[1 : 1 + 2 * self.header[0] : 2])


def _scans(data: bytes) -> Iterator[_Scan]:
    at, interval = 2, 0
    while True:
        scan = None
        for segment in segments(data, at):
            if segment.marker == _RESTART_INTERVAL and len(segment.payload) >= 2:
                interval = int.from_bytes(segment.payload[:2], "big")
            elif segment.marker == _SCAN and segment.payload:
                scan = segment
        if scan is None:
            return
        marker = _NEXT_MARKER.search(data, scan.end)
        at = marker.start() if marker else len(data)
        yield _Scan(scan.payload, interval, scan.end, at)


def _last_scan(data: bytes) -> _Scan | None:
    return next(reversed(list(_scans(data))), None)


def _has_all_scans(data: bytes) -> bool:
    """Returns whether the headers of the scans promise every coefficient of every component."""
    found = frame(segments(data))
    if found is None:
        return False
    wanted = {component.identifier for component in found.components}
    if not found.progressive:
        return wanted <= {name for scan in _scans(data) for name in scan.components}
    # Bits still to come of each of the 64 coefficients; None before the first scan with it.
    bits: dict[int, list[int | None]] = {name: [None] * 64 for name in wanted}
    for scan in _scans(data):
        first, last, approximation = scan.header[-3:]
        for name in wanted.intersection(scan.components):
            bits[name][first : last + 1] = [approximation & 15] * (last + 1 - first)
    return all(value == 0 for values in bits.values() for value in values)


def _share_by_restarts(data: bytes) -> float:
    """Returns how much of the last scan there is by its restart markers, 1 without any.

    A cut just before such a marker leaves nothing undecoded that other bytes would change.
    """
    found = frame(segments(data))
    scan = _last_scan(data)
    if found is None or scan is None or not scan.interval or found.lossless:
        return 1.0
    names = {c.identifier: c for c in found.components}
    across = max(c.horizontal for c in found.components)
    down = max(c.vertical for c in found.components)
    if len(scan.components) == 1 and scan.components[0] in names:
        one = names[scan.components[0]]
        units_x = -(-found.width * one.horizontal // (8 * across))
        units_y = -(-found.height * one.vertical // (8 * down))
    else:
        units_x, units_y = -(-found.width // (8 * across)), -(-found.height // (8 * down))
    markers = len(_RESTART.findall(data, scan.start, scan.end))
    begun = (markers + 1) * scan.interval
    return min(1.0, begun // units_x / units_y)
