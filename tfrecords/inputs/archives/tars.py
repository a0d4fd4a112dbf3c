"""The entries of a tar, in whatever state it is.

The standard library's reader ends in silence at the first header that it does not understand and
at the end mark of the first of several archives. This one says what it skipped, and an entry that
is damaged costs itself alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.archives.entries import ArchiveError, Contents, Entry, EntryKind
from tfrecords.inputs.archives.tar_headers import (
    BLOCK,
    LONG_LINK,
    LONG_NAME,
    MOST_SEGMENTS,
    BadHeaderError,
    Extras,
    decimal,
    extended,
    fits,
    gnu_pairs,
    is_header,
    kind_of,
    name_of,
    number,
    padded,
    paired,
    pax_number,
    pax_records,
    size_of,
    stored_bytes,
    target_of,
    version_of,
)
from tfrecords.inputs.rows import ArchiveMember

# Reads that look for something begin small, for it is mostly near.
_LEAST_CHUNK, _CHUNK = 1 << 12, 1 << 20

# Names and extended headers are a few hundred bytes; maps of sparse files may be longer.
_MOST_HEADER_BYTES = 8 << 20

# Kinds of headers.
_EXTENSIONS, _GLOBAL = (b"x", b"X", LONG_NAME, LONG_LINK), b"g"
_SPARSE, _CONTINUED, _LABEL = b"S", b"M", b"V"


def read_contents(file: BinaryIO, size: int) -> Contents:
    """Returns the entries of a tar of `size` bytes.

    Raises:
      ArchiveError: it does not begin as a tar does.
      OSError: it cannot be read.
    """
    reader = _Reader(file, size)
    entries = tuple(reader.entries())
    return Contents(entries, tuple(reader.notes))


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
        """Yields the entries in order; what else is to be said of the tar is then in `notes`."""
        offset, ended, archives, count = 0, False, 1, 0
        while offset < self._size:
            block = self._at(offset, BLOCK)
            if not block.strip(b"\0"):
                offset, ended = self._after_zeros(offset), True
                continue
            if not is_header(block):
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
            entry, offset = self._entry_or_damage(offset)
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
                if is_header(chunk[found - 257 : found + 255]):
                    return offset + found - 257
                found = chunk.find(b"ustar", found + 1)
            offset, length = offset + length, min(2 * length, _CHUNK)
        return self._size

    def _entry_or_damage(self, offset: int) -> tuple[Entry | None, int]:
        """Returns what `_entry` does; of a header that contradicts itself a row that says so."""
        try:
            return self._entry(offset)
        except BadHeaderError as error:
            return _damaged(offset, str(error)), self._next_header(offset + BLOCK)

    def _entry(self, offset: int) -> tuple[Entry | None, int]:
        """Returns the entry whose headers begin at `offset`, and where the next ones begin.

        A label of the volume or the like gives None.
        """
        extras, doubt = Extras(dict(self._global)), ""
        while True:
            header = self._at(offset, BLOCK)
            if not is_header(header):
                raise BadHeaderError(doubt or "extended headers of its tar stand before no file")
            kind, offset = header[156:157], offset + BLOCK
            if kind == _GLOBAL:
                data, offset = self._extension(header, offset)
                self._global.update(pax_records(data))
                return None, offset
            if kind == _LABEL:
                return None, offset + padded(size_of(header))
            if kind not in _EXTENSIONS:
                entry, offset = self._own(header, offset, extras)
                # Its name or the map of its data may be what could not be read.
                return (_unreadable(entry, doubt) if doubt else entry), offset
            try:
                data, end = self._extension(header, offset)
            except BadHeaderError as error:
                doubt, offset = str(error), self._next_header(offset)
                continue
            offset = end
            try:
                extras = extended(extras, kind, data)
            except BadHeaderError as error:
                doubt = str(error)

    def _extension(self, header: bytes, offset: int) -> tuple[bytes, int]:
        length = size_of(header)
        if length > _MOST_HEADER_BYTES or offset + length > self._size:
            raise BadHeaderError(f"an extended header of its tar claims {length} bytes")
        return self._at(offset, length), offset + padded(length)

    def _own(self, header: bytes, offset: int, extras: Extras) -> tuple[Entry, int]:
        """Returns the entry of a header, whose data (or sparse map) begin at `offset`."""
        name, is_utf8 = name_of(header, extras)
        kind = kind_of(header[156:157], name)
        entry = Entry(name, is_utf8, kind, 0, version_of(header, extras.records))
        try:
            stored = stored_bytes(header, extras.records)
        except BadHeaderError as error:
            return _unreadable(entry, str(error)), self._next_header(offset)
        if kind is not EntryKind.FILE:
            # Most writers give a link or a folder no data, whatever size they note.
            if not stored or not self._has_data(offset):
                return replace(entry, target=target_of(header, extras)), offset
            if header[156:157] in (b"0", b"\0", b"1"):
                entry = replace(entry, kind=EntryKind.FILE)
        entry = replace(entry, size=stored)
        if offset + stored > self._size:
            return _cut_off(entry), self._next_header(offset)
        end = offset + padded(stored)
        if header[156:157] == _CONTINUED:
            return _unreadable(entry, "it begins in another volume of its tar"), end
        if header[156:157] == _SPARSE:
            return self._old_sparse(entry, header, offset)
        try:
            return self._with_data(entry, offset, extras), end
        except BadHeaderError as error:
            return _unreadable(entry, str(error)), end

    def _with_data(self, entry: Entry, offset: int, extras: Extras) -> Entry:
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
            entry, end = replace(entry, size=size), begin + padded(stored)
            if begin + stored > self._size:
                return _cut_off(entry), self._next_header(begin)
            return _sparse(entry, segments, begin, stored), end
        except BadHeaderError as error:
            return _unreadable(entry, str(error)), self._next_header(offset)

    def _has_data(self, offset: int) -> bool:
        """Returns whether something else than a header or the end follows at `offset`."""
        block = self._at(offset, BLOCK)
        return bool(block.strip(b"\0")) and not is_header(block)

    def _gnu_map(self, header: bytes, offset: int) -> tuple[int, tuple[tuple[int, int], ...], int]:
        """Returns size, segments and where the data begin, of GNU's old form."""
        segments = list(gnu_pairs(header[386:482]))
        more, size = header[482], number(header[483:495])
        while more:
            block = self._at(offset, BLOCK)
            if len(block) < BLOCK or len(segments) > MOST_SEGMENTS:
                raise BadHeaderError("the map of its sparse data does not end")
            segments += gnu_pairs(block[:504])
            more, offset = block[504], offset + BLOCK
        return size, tuple(segments), offset

    def _pax_map(self, extras: Extras, offset: int) -> tuple[int, tuple[tuple[int, int], ...], int]:
        """Returns size, segments and where the data begin, of the forms 0.0, 0.1 and 1.0."""
        records = extras.records
        size = pax_number(records, b"GNU.sparse.realsize")
        if size is None:
            size = pax_number(records, b"GNU.sparse.size")
        major = records.get(b"GNU.sparse.major", b"0")
        if size is None or major not in (b"0", b"1"):
            raise BadHeaderError("its sparse data are in an unknown form")
        if major == b"1":
            return size, *self._map_in_data(offset)
        if b"GNU.sparse.map" in records:
            numbers = [decimal(text) for text in records[b"GNU.sparse.map"].split(b",")]
            return size, paired(numbers), offset
        return size, extras.sparse, offset

    def _map_in_data(self, offset: int) -> tuple[tuple[tuple[int, int], ...], int]:
        """Returns the segments that stand before the data, in lines, and where the data begin."""
        data, expected = b"", 1
        while True:
            block = self._at(offset + len(data), BLOCK)
            data += block
            lines = data.split(b"\n")
            if len(lines) > 1:
                expected = 1 + 2 * decimal(lines[0])
            if len(lines) > expected:
                numbers = [decimal(line) for line in lines[1:expected]]
                return paired(numbers), offset + len(data)
            if len(block) < BLOCK or len(data) > _MOST_HEADER_BYTES:
                raise BadHeaderError("the map of its sparse data does not end")


def _sparse(entry: Entry, segments: tuple[tuple[int, int], ...], begin: int, stored: int) -> Entry:
    """Returns an entry whose data begin at `begin` and are in segments."""
    if not fits(segments, entry.size, stored):
        raise BadHeaderError("the map of its sparse data is damaged")
    used = sum(length for _, length in segments)
    return replace(entry, member=ArchiveMember(begin, used, "tar", segments=segments))


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
