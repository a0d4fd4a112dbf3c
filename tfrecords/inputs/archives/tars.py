"""The entries of a tar, in whatever state it is.

The standard library's reader ends in silence at the first header that it does not understand and
at the end mark of the first of several archives. This one says what it skipped, and an entry that
is damaged costs itself alone.

Formats: V7, ustar (POSIX.1-1988), pax (POSIX.1-2001), GNU tar with its sparse files in all four
forms (https://www.gnu.org/software/tar/manual/html_node/Tar-Internals.html).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.archives.entries import ArchiveError, Contents, Entry, EntryKind
from tfrecords.inputs.rows import ArchiveMember

BLOCK = 512

# Reads that look for something begin small, for it is mostly near.
_LEAST_CHUNK, _CHUNK = 1 << 12, 1 << 20

# Names and extended headers are a few hundred bytes; maps of sparse files may be longer.
_MOST_HEADER_BYTES = 8 << 20
_MOST_SEGMENTS = 1 << 18

# Seconds; a version has 64 bits, in nanoseconds.
_LATEST = 2.0**33

_KINDS = {
    b"1": EntryKind.HARD_LINK,
    b"2": EntryKind.SYMBOLIC_LINK,
    b"3": EntryKind.SPECIAL,
    b"4": EntryKind.SPECIAL,
    b"5": EntryKind.FOLDER,
    b"6": EntryKind.SPECIAL,
    b"D": EntryKind.FOLDER,
}
_LONG_NAME, _LONG_LINK, _SPARSE, _CONTINUED, _LABEL = b"L", b"K", b"S", b"M", b"V"
_EXTENSIONS, _GLOBAL = (b"x", b"X", _LONG_NAME, _LONG_LINK), b"g"

_OCTAL = re.compile(rb"[ \0]*([0-7]*)(?:[ \0]|\Z)")
_DIGITS = re.compile(rb"[0-9]{1,19}\Z")
_PAX_LENGTH = re.compile(rb"([0-9]{1,9}) ")


class _BadHeader(Exception):
    """A header that contradicts itself; the text says where."""


def read_contents(file: BinaryIO, size: int) -> Contents:
    """Returns the entries of a tar of `size` bytes.

    Raises:
      ArchiveError: it does not begin as a tar does.
      OSError: it cannot be read.
    """
    reader = _Reader(file, size)
    entries = tuple(reader.entries())
    return Contents(entries, tuple(reader.notes))


@dataclass(frozen=True, slots=True)
class _Extras:
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


class _Reader:
    """Reads a tar from its begin to its end.

    Args:
      file: the tar.
      size: its bytes.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.notes: list[str] = []
        self._file = file
        self._size = size
        self._global: dict[bytes, bytes] = {}

    def entries(self) -> Iterator[Entry]:
        offset, ended, archives, count = 0, False, 1, 0
        while offset < self._size:
            block = self._at(offset, BLOCK)
            if not block.strip(b"\0"):
                offset, ended = self._after_zeros(offset), True
                continue
            if not _is_header(block):
                if not count and not ended:
                    raise ArchiveError("it does not begin with the header of a tar")
                begin, offset = offset, self._next_header(offset)
                if ended:
                    self.notes.append(
                        f"{offset - begin:,} bytes after its end mark are not a tar: not read"
                    )
                else:
                    yield _damaged(begin, "a header of its tar is damaged")
                continue
            if ended:
                archives, ended, self._global = archives + bool(count), False, {}
            try:
                entry, offset = self._entry(offset)
            except _BadHeader as error:
                begin, offset = offset, self._next_header(offset + BLOCK)
                entry = _damaged(begin, str(error))
            if entry is not None:
                count += 1
                yield entry
        if archives > 1:
            self.notes.append(f"it is {archives} tars in one file: all are read")
        if not ended:
            self.notes.append("it has no end mark: it may have been cut off")

    def _at(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    def _after_zeros(self, offset: int) -> int:
        """Returns where the first block from `offset` on begins that is not all zeros."""
        length = _LEAST_CHUNK
        while chunk := self._at(offset, length):
            rest = chunk.lstrip(b"\0")
            if rest:
                return offset + (len(chunk) - len(rest)) // BLOCK * BLOCK
            offset, length = offset + len(chunk), min(2 * length, _CHUNK)
        return self._size

    def _next_header(self, offset: int) -> int:
        """Returns where the next header begins that has the magic word of one; or the end."""
        length = _LEAST_CHUNK
        while offset < self._size:
            chunk = self._at(offset, length + BLOCK)
            found = chunk.find(b"ustar", 257)
            while found >= 0:
                if _is_header(chunk[found - 257 : found + 255]):
                    return offset + found - 257
                found = chunk.find(b"ustar", found + 1)
            offset, length = offset + length, min(2 * length, _CHUNK)
        return self._size

    def _entry(self, offset: int) -> tuple[Entry | None, int]:
        """Returns the entry whose headers begin at `offset`, and where the next ones begin.

        A label of the volume or the like gives None.
        """
        extras, doubt = _Extras(dict(self._global)), ""
        while True:
            header = self._at(offset, BLOCK)
            if not _is_header(header):
                raise _BadHeader(doubt or "extended headers of its tar stand before no file")
            kind, offset = header[156:157], offset + BLOCK
            if kind == _GLOBAL:
                data, offset = self._extension(header, offset)
                self._global.update(_pax_records(data))
                return None, offset
            if kind == _LABEL:
                return None, offset + _padded(_number(header[124:136]))
            if kind not in _EXTENSIONS:
                entry, offset = self._own(header, offset, extras)
                # Its name or the map of its data may be what could not be read.
                return (_unreadable(entry, doubt) if doubt else entry), offset
            try:
                data, end = self._extension(header, offset)
            except _BadHeader as error:
                doubt, offset = str(error), self._next_header(offset)
                continue
            offset = end
            try:
                extras = _extended(extras, kind, data)
            except _BadHeader as error:
                doubt = str(error)

    def _extension(self, header: bytes, offset: int) -> tuple[bytes, int]:
        length = _number(header[124:136])
        if length > _MOST_HEADER_BYTES or offset + length > self._size:
            raise _BadHeader(f"an extended header of its tar claims {length} bytes")
        return self._at(offset, length), offset + _padded(length)

    def _own(self, header: bytes, offset: int, extras: _Extras) -> tuple[Entry, int]:
        """Returns the entry of a header, whose data (or sparse map) begin at `offset`."""
        name, is_utf8 = _name(header, extras)
        kind = _kind(header[156:157], name)
        entry = Entry(name, is_utf8, kind, 0, _version(header, extras.records))
        try:
            stored = _pax_number(extras.records, b"size")
            stored = _number(header[124:136]) if stored is None else stored
        except _BadHeader as error:
            return _unreadable(entry, str(error)), self._next_header(offset)
        if kind is not EntryKind.FILE:
            # Most writers give a link or a folder no data, whatever size they note.
            if not stored or not self._has_data(offset):
                return replace(entry, target=_target(header, extras)), offset
            if header[156:157] in (b"0", b"\0", b"1"):
                entry = replace(entry, kind=EntryKind.FILE)
        entry = replace(entry, size=stored)
        if offset + stored > self._size:
            return _cut_off(entry), self._next_header(offset)
        end = offset + _padded(stored)
        if header[156:157] == _CONTINUED:
            return _unreadable(entry, "it begins in another volume of its tar"), end
        if header[156:157] == _SPARSE:
            return self._old_sparse(entry, header, offset)
        try:
            return self._with_data(entry, offset, extras), end
        except _BadHeader as error:
            return _unreadable(entry, str(error)), end

    def _with_data(self, entry: Entry, offset: int, extras: _Extras) -> Entry:
        """Returns an entry with the place of its data, which may be sparse."""
        if entry.kind is not EntryKind.FILE:
            return entry
        stored = entry.size
        if not extras.is_sparse:
            return replace(entry, member=ArchiveMember(offset, stored, "tar"))
        size, segments, begin = self._pax_map(extras, offset)
        return _sparse(replace(entry, size=size), segments, begin, stored - (begin - offset))

    def _old_sparse(self, entry: Entry, header: bytes, offset: int) -> tuple[Entry, int]:
        """Returns the entry of GNU's old form, with a map in the header and after it."""
        stored = entry.size
        try:
            size, segments, begin = self._gnu_map(header, offset)
            entry, end = replace(entry, size=size), begin + _padded(stored)
            if begin + stored > self._size:
                return _cut_off(entry), self._next_header(begin)
            return _sparse(entry, segments, begin, stored), end
        except _BadHeader as error:
            return _unreadable(entry, str(error)), self._next_header(offset)

    def _has_data(self, offset: int) -> bool:
        """Returns whether something else than a header or the end follows at `offset`."""
        block = self._at(offset, BLOCK)
        return bool(block.strip(b"\0")) and not _is_header(block)

    def _gnu_map(self, header: bytes, offset: int) -> tuple[int, tuple[tuple[int, int], ...], int]:
        """Returns size, segments and where the data begin, of GNU's old form."""
        segments = list(_pairs(header[386:482]))
        more, size = header[482], _number(header[483:495])
        while more:
            block = self._at(offset, BLOCK)
            if len(block) < BLOCK or len(segments) > _MOST_SEGMENTS:
                raise _BadHeader("the map of its sparse data does not end")
            segments += _pairs(block[:504])
            more, offset = block[504], offset + BLOCK
        return size, tuple(segments), offset

    def _pax_map(
        self, extras: _Extras, offset: int
    ) -> tuple[int, tuple[tuple[int, int], ...], int]:
        """Returns size, segments and where the data begin, of the forms 0.0, 0.1 and 1.0."""
        records = extras.records
        size = _pax_number(records, b"GNU.sparse.realsize")
        if size is None:
            size = _pax_number(records, b"GNU.sparse.size")
        major = records.get(b"GNU.sparse.major", b"0")
        if size is None or major not in (b"0", b"1"):
            raise _BadHeader("its sparse data are in an unknown form")
        if major == b"1":
            return size, *self._map_in_data(offset)
        if b"GNU.sparse.map" in records:
            numbers = [_decimal(text) for text in records[b"GNU.sparse.map"].split(b",")]
            return size, _paired(numbers), offset
        return size, extras.sparse, offset

    def _map_in_data(self, offset: int) -> tuple[tuple[tuple[int, int], ...], int]:
        """Returns the segments that stand before the data, in lines, and where the data begin."""
        data, expected = b"", 1
        while True:
            block = self._at(offset + len(data), BLOCK)
            data += block
            lines = data.split(b"\n")
            if len(lines) > 1:
                expected = 1 + 2 * _decimal(lines[0])
            if len(lines) > expected:
                numbers = [_decimal(line) for line in lines[1:expected]]
                return _paired(numbers), offset + len(data)
            if len(block) < BLOCK or len(data) > _MOST_HEADER_BYTES:
                raise _BadHeader("the map of its sparse data does not end")


def _extended(extras: _Extras, kind: bytes, data: bytes) -> _Extras:
    """Returns what is known of an entry after one more header before its own."""
    if kind == _LONG_NAME:
        return replace(extras, name=data.split(b"\0")[0])
    if kind == _LONG_LINK:
        return replace(extras, target=data.split(b"\0")[0])
    pairs = _pax_records(data)
    sparse = _repeated_map(pairs) or extras.sparse
    return replace(extras, records={**extras.records, **dict(pairs)}, sparse=sparse)


def _kind(typeflag: bytes, name: bytes) -> EntryKind:
    if typeflag in (b"0", b"\0") and name.endswith(b"/"):
        return EntryKind.FOLDER
    return _KINDS.get(typeflag, EntryKind.FILE)


def _target(header: bytes, extras: _Extras) -> bytes:
    target = extras.records.get(b"linkpath") or extras.target or header[157:257]
    return target.split(b"\0")[0]


def _sparse(entry: Entry, segments: tuple[tuple[int, int], ...], begin: int, stored: int) -> Entry:
    """Returns an entry whose data begin at `begin` and are in segments."""
    if not _fits(segments, entry.size, stored):
        raise _BadHeader("the map of its sparse data is damaged")
    used = sum(length for _, length in segments)
    return replace(entry, member=ArchiveMember(begin, used, "tar", segments=segments))


def _is_header(block: bytes) -> bool:
    """Returns whether a block has the checksum of a header."""
    if len(block) < BLOCK:
        return False
    try:
        expected = _number(block[148:156])
    except _BadHeader:
        return False
    fields = block[:148] + block[156:]
    unsigned = sum(fields) + 8 * ord(" ")
    # Some writers summed signed bytes.
    return unsigned == expected or unsigned - 256 * sum(b > 127 for b in fields) == expected


def _number(field_: bytes) -> int:
    """Returns the number in a field: octal digits, or binary where its first bit is set."""
    if field_[0] in (0x80, 0xFF):
        value = int.from_bytes(field_[1:], "big")
        if field_[0] == 0x80:
            return value
        raise _BadHeader("its size in the tar is negative")
    found = _OCTAL.match(field_)
    if found is None:
        raise _BadHeader("a number in its header is damaged")
    return int(found[1] or b"0", 8)


def _padded(length: int) -> int:
    return -(-length // BLOCK) * BLOCK


def _decimal(text: bytes) -> int:
    if not _DIGITS.match(text):
        raise _BadHeader(f"a number in its extended header is damaged: {text[:20]!r}")
    return int(text)


def _pax_number(records: dict[bytes, bytes], key: bytes) -> int | None:
    return _decimal(records[key]) if key in records else None


def _pax_records(data: bytes) -> list[tuple[bytes, bytes]]:
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
            raise _BadHeader("an extended header of its tar is damaged")
        pairs.append((key, value[:-1]))
        position += length
    return pairs


def _repeated_map(pairs: list[tuple[bytes, bytes]]) -> tuple[tuple[int, int], ...]:
    """Returns the segments of form 0.0, which repeats two keys."""
    keys = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
    offsets, lengths = ([_decimal(value) for key, value in pairs if key == own] for own in keys)
    if len(offsets) != len(lengths):
        raise _BadHeader("the map of its sparse data is damaged")
    return tuple(zip(offsets, lengths, strict=True))


def _pairs(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields the (offset, bytes) of a map in GNU's old form, up to the first that is empty."""
    for begin in range(0, len(data) - 23, 24):
        entry = data[begin : begin + 24]
        if not entry.strip(b"\0"):
            return
        yield _number(entry[:12]), _number(entry[12:])


def _paired(numbers: list[int]) -> tuple[tuple[int, int], ...]:
    if len(numbers) % 2 or len(numbers) > 2 * _MOST_SEGMENTS:
        raise _BadHeader("the map of its sparse data is damaged")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _fits(segments: tuple[tuple[int, int], ...], size: int, stored: int) -> bool:
    """Returns whether segments stand one behind the other within the file, and are stored."""
    end = 0
    for offset, length in segments:
        if offset < end:
            return False
        end = offset + length
    return end <= size and sum(length for _, length in segments) <= stored


def _name(header: bytes, extras: _Extras) -> tuple[bytes, bool]:
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


def _version(header: bytes, records: dict[bytes, bytes]) -> int:
    """Returns when an entry was last written, in ns; 0 for a time that is none."""
    try:
        if b"mtime" in records:
            seconds = float(records[b"mtime"])
        else:
            seconds = float(_number(header[136:148]))
    except (ValueError, OverflowError, _BadHeader):
        return 0
    return int(seconds * 1e9) if math.isfinite(seconds) and abs(seconds) < _LATEST else 0


def _damaged(offset: int, detail: str) -> Entry:
    """Returns the row for what stands at `offset`, whose name is not known."""
    name = f"damaged-at-byte-{offset}".encode()
    return _unreadable(Entry(name, True, EntryKind.FILE), detail)


def _unreadable(entry: Entry, detail: str) -> Entry:
    return replace(
        entry, kind=EntryKind.FILE, problem=RejectReason.UNREADABLE, detail=detail, member=None
    )


def _cut_off(entry: Entry) -> Entry:
    return _unreadable(entry, "its tar ends before it does, or its size is wrong")
