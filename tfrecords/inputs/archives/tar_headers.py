"""What the headers of a tar's entry say: its own, of 512 bytes, and the extended ones before it.

Functions raise `BadHeaderError` where a header contradicts itself.

Formats: V7, ustar (POSIX.1-1988), pax (POSIX.1-2001), GNU tar with its sparse files
(https://www.gnu.org/software/tar/manual/html_node/Tar-Internals.html).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from tfrecords.inputs.archives.entries import EntryKind

BLOCK = 512

# Maps of sparse files are mostly short.
MOST_SEGMENTS = 1 << 18

# Seconds; a version has 64 bits, in nanoseconds.
_LATEST = 2.0**33

LONG_NAME, LONG_LINK = b"L", b"K"
_KINDS = {
    b"1": EntryKind.HARD_LINK,
    b"2": EntryKind.SYMBOLIC_LINK,
    b"3": EntryKind.SPECIAL,
    b"4": EntryKind.SPECIAL,
    b"5": EntryKind.FOLDER,
    b"6": EntryKind.SPECIAL,
    b"D": EntryKind.FOLDER,
}

_OCTAL = re.compile(rb"[ \0]*([0-7]*)(?:[ \0]|\Z)")
_DIGITS = re.compile(rb"[0-9]{1,19}\Z")
_PAX_LENGTH = re.compile(rb"([0-9]{1,9}) ")


class BadHeaderError(Exception):
    """A header that contradicts itself; the text says where."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What the headers before an entry's own say of it.

    Attributes:
      records: of extended headers, the last of each key.
      sparse: pairs of (offset, bytes) in extended headers of the form that repeats its keys.
      name, target: of GNU's long names.
    """

    records: dict[bytes, bytes] = field(default_factory=dict)
    sparse: tuple[tuple[int, int], ...] = ()
    name: bytes | None = None
    target: bytes | None = None

    @property
    def is_sparse(self) -> bool:
        """Whether the entry's data are in segments."""
        return bool(self.sparse) or any(key.startswith(b"GNU.sparse.") for key in self.records)


def extended(extras: Extras, kind: bytes, data: bytes) -> Extras:
    """Returns what is known of an entry after one more header before its own."""
    if kind == LONG_NAME:
        return replace(extras, name=data.split(b"\0")[0])
    if kind == LONG_LINK:
        return replace(extras, target=data.split(b"\0")[0])
    pairs = pax_records(data)
    sparse = _repeated_map(pairs) or extras.sparse
    return replace(extras, records={**extras.records, **dict(pairs)}, sparse=sparse)


def is_header(block: bytes) -> bool:
    """Returns whether a block has the checksum of a header."""
    if len(block) < BLOCK:
        return False
    try:
        expected = number(block[148:156])
    except BadHeaderError:
        return False
    fields = block[:148] + block[156:]
    unsigned = sum(fields) + 8 * ord(" ")
    # Some writers summed signed bytes.
    return unsigned == expected or unsigned - 256 * sum(b > 127 for b in fields) == expected


def kind_of(typeflag: bytes, name: bytes) -> EntryKind:
    """Returns the kind of an entry; a file whose name ends with a slash is a folder."""
    if typeflag in (b"0", b"\0") and name.endswith(b"/"):
        return EntryKind.FOLDER
    return _KINDS.get(typeflag, EntryKind.FILE)


def name_of(header: bytes, extras: Extras) -> tuple[bytes, bool]:
    """Returns an entry's name, and whether its tar says that it is UTF-8."""
    records = extras.records
    for key in (b"GNU.sparse.name", b"path"):
        if records.get(key):
            return records[key], records.get(b"hdrcharset") != b"BINARY"
    if extras.name:
        return extras.name, False
    name = header[:100].split(b"\0")[0]
    prefix = header[345:500].split(b"\0")[0]
    if header[257:263] == b"ustar\0" and prefix:
        name = prefix + b"/" + name
    return name, False


def target_of(header: bytes, extras: Extras) -> bytes:
    """Returns where a link leads."""
    target = extras.records.get(b"linkpath") or extras.target or header[157:257]
    return target.split(b"\0")[0]


def version_of(header: bytes, records: Mapping[bytes, bytes]) -> int:
    """Returns when an entry was last written, in ns; 0 for a time that is none."""
    try:
        if b"mtime" in records:
            seconds = float(records[b"mtime"])
        else:
            seconds = float(number(header[136:148]))
    except (ValueError, OverflowError, BadHeaderError):
        return 0
    return int(seconds * 1e9) if math.isfinite(seconds) and abs(seconds) < _LATEST else 0


def size_of(header: bytes) -> int:
    """Returns how many bytes follow a header, as it itself says."""
    return number(header[124:136])


def stored_bytes(header: bytes, records: Mapping[bytes, bytes]) -> int:
    """Returns how many bytes follow a header, as an extended one or it itself says."""
    stored = pax_number(records, b"size")
    return size_of(header) if stored is None else stored


def number(field_: bytes) -> int:
    """Returns the number in a field: octal digits, or binary where its first bit is set."""
    if field_[0] in (0x80, 0xFF):
        value = int.from_bytes(field_[1:], "big")
        if field_[0] == 0x80:
            return value
        raise BadHeaderError("its size in the tar is negative")
    found = _OCTAL.match(field_)
    if found is None:
        raise BadHeaderError("a number in its header is damaged")
    return int(found[1] or b"0", 8)


def padded(length: int) -> int:
    """Returns the bytes that data of a length take, in whole blocks."""
    return -(-length // BLOCK) * BLOCK


def pax_number(records: Mapping[bytes, bytes], key: bytes) -> int | None:
    """Returns the number that an extended header has under a key, if any."""
    return decimal(records[key]) if key in records else None


def pax_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """Returns the records of an extended header: "LENGTH KEY=VALUE\\n" each."""
    pairs = []
    position = 0
    data = data.rstrip(b"\0")
    while position < len(data):
        found = _PAX_LENGTH.match(data, position)
        length = int(found[1]) if found else 0
        record = data[found.end() : position + length] if found else b""
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise BadHeaderError("an extended header of its tar is damaged")
        pairs.append((key, value[:-1]))
        position += length
    return pairs


def decimal(text: bytes) -> int:
    """Returns a number in an extended header."""
    if not _DIGITS.match(text):
        raise BadHeaderError(f"a number in its extended header is damaged: {text[:20]!r}")
    return int(text)


def _repeated_map(pairs: list[tuple[bytes, bytes]]) -> tuple[tuple[int, int], ...]:
    """Returns the segments of form 0.0, which repeats two keys."""
    keys = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
    offsets, lengths = ([decimal(value) for key, value in pairs if key == own] for own in keys)
    if len(offsets) != len(lengths):
        raise BadHeaderError("the map of its sparse data is damaged")
    return tuple(zip(offsets, lengths, strict=True))


def gnu_pairs(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields the (offset, bytes) of a map in GNU's old form, up to the first that is empty."""
    for begin in range(0, len(data) - 23, 24):
        entry = data[begin : begin + 24]
        if not entry.strip(b"\0"):
            return
        yield number(entry[:12]), number(entry[12:])


def paired(numbers: list[int]) -> tuple[tuple[int, int], ...]:
    """Returns the segments of a map that is a list of offset, bytes, offset, bytes, …."""
    if len(numbers) % 2 or len(numbers) > 2 * MOST_SEGMENTS:
        raise BadHeaderError("the map of its sparse data is damaged")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def fits(segments: tuple[tuple[int, int], ...], size: int, stored: int) -> bool:
    """Returns whether segments stand one behind the other within the file, and are stored."""
    end = 0
    for offset, length in segments:
        if offset < end:
            return False
        end = offset + length
    return end <= size and sum(length for _, length in segments) <= stored
