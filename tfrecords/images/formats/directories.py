"""Directories of tags, as TIFF files, EXIF blocks and multi-picture JPEGs have them.

Pillow copies the value of every tag when it opens a file. Tags may all point at the same bytes,
so a file of 1 MB can ask for 60 GB; `is_honest` tells before Pillow reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_EXIF_PREFIX = b"Exif\0\0"

# Bytes of one value, by the type of a tag. Types of one byte are text and opaque blocks.
_TYPE_BYTES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8,
    18: 8,
}  # fmt: skip
_UNSIGNED = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

# Strip offsets and counts, tile offsets and counts: as many as the picture has parts.
_PARTS = frozenset((273, 279, 324, 325))

# Pillow makes a Python object of each value, up to 200 bytes for a fraction. The longest table
# of a real picture is a palette of 16 bits, three times 65,536.
_MAX_VALUES = 3 * 65_536

# Directories that Pillow reads with the first one: EXIF, GPS, interoperability.
_NESTED = (34_665, 34_853, 40_965)


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the values of one tag lie.

    Attributes:
      type: of a value, as TIFF numbers them.
      count: of values.
      start: of the first byte in the file.
      size: bytes of all values.
      inline: whether they lie in the directory itself.
    """

    type: int
    count: int
    start: int
    size: int
    inline: bool


@dataclass(frozen=True, slots=True)
class Directory:
    """The tags of one picture.

    Attributes:
      data: the file, or the EXIF block from its byte order mark on.
      order: "<" or ">".
      big: whether offsets have 8 bytes (BigTIFF).
      entries: tag → where its values lie; values beyond the end of the file are left out.
      next: offset of the directory of the next picture, 0 for the last.
    """

    data: bytes
    order: str
    big: bool
    entries: Mapping[int, Entry]
    next: int = 0

    def count(self, tag: int) -> int:
        """Returns how many values a tag has, 0 if it is absent."""
        entry = self.entries.get(tag)
        return 0 if entry is None else entry.count

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Returns the unsigned integers of a tag, or `default` if it has none."""
        entry = self.entries.get(tag)
        if entry is None or entry.type not in _UNSIGNED or not entry.count:
            return default
        layout = f"{self.order}{entry.count}{_UNSIGNED[entry.type]}"
        return struct.unpack_from(layout, self.data, entry.start)

    def number(self, tag: int, default: int = 0) -> int:
        """Returns the first integer of a tag, or `default` if it has none."""
        return self.numbers(tag, (default,))[0]

    def value_bytes(self, tag: int) -> bytes | None:
        """Returns the bytes of a tag's values, or None if it is absent."""
        entry = self.entries.get(tag)
        return None if entry is None else self.data[entry.start : entry.start + entry.size]

    def nested(self, tag: int) -> Directory | None:
        """Returns the directory that a tag points at, or None."""
        if tag not in self.entries:
            return None
        return _read(self.data, self.number(tag), self.order, self.big)

    def following(self) -> Directory | None:
        """Returns the directory of the next picture of the file, or None."""
        return _read(self.data, self.next, self.order, self.big) if self.next else None


def first_directory(data: bytes) -> Directory | None:
    """Returns the first directory of a TIFF file or an EXIF block, or None if it has none."""
    if data.startswith(_EXIF_PREFIX):
        data = data[len(_EXIF_PREFIX) :]
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return None
    big = data[2] == 43  # BigTIFF; of its two orders Pillow knows this one.
    start = (
        struct.unpack_from(f"{order}Q", data, 8)
        if big
        else struct.unpack_from(f"{order}I", data, 4)
    )
    return _read(data, start[0], order, big)


def is_honest(directory: Directory) -> bool:
    """Returns whether the values of a directory can all be different bytes of its file."""
    pending = [directory]
    for tag in _NESTED:
        pending += [d for parent in list(pending) if (d := parent.nested(tag)) is not None]
    return all(map(_is_honest, pending))


def exif_is_honest(exif: bytes) -> bool:
    """Returns whether an EXIF block is safe to parse; one without a directory is."""
    directory = first_directory(exif)
    return directory is None or is_honest(directory)


def _is_honest(directory: Directory) -> bool:
    outside = sum(entry.size for entry in directory.entries.values() if not entry.inline)
    return outside <= len(directory.data) and all(
        entry.count <= _MAX_VALUES
        for tag, entry in directory.entries.items()
        if tag not in _PARTS and _TYPE_BYTES[entry.type] > 1
    )


def _read(data: bytes, start: int, order: str, big: bool) -> Directory | None:
    head = f"{order}Q" if big else f"{order}H"
    if not 0 < start <= len(data) - struct.calcsize(head):
        return None
    (count,) = struct.unpack_from(head, data, start)
    rows = _entries(data, start + struct.calcsize(head), count, order, big)
    end = start + struct.calcsize(head) + count * (20 if big else 12)
    offset = f"{order}Q" if big else f"{order}I"
    is_whole = end + struct.calcsize(offset) <= len(data)
    following = struct.unpack_from(offset, data, end)[0] if is_whole else 0
    return Directory(data, order, big, dict(rows), following)


def _entries(
    data: bytes, start: int, count: int, order: str, big: bool
) -> Iterator[tuple[int, Entry]]:
    layout, room = (f"{order}HHQQ", 8) if big else (f"{order}HHII", 4)
    row = struct.calcsize(layout)
    for at in range(start, min(start + count * row, len(data) - row + 1), row):
        tag, kind, values, offset = struct.unpack_from(layout, data, at)
        size = values * _TYPE_BYTES.get(kind, 0)
        inline = size <= room
        where = at + row - room if inline else offset
        if size and where + size <= len(data):
            yield tag, Entry(kind, values, where, size, inline)
