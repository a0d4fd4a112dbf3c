"""The entries of a zip, in whatever state it is.

The standard library's reader refuses a whole zip for one entry that it does not understand. This
one reads the directory alone (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT): an
entry that cannot be read is known before it is opened, and costs itself alone.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import read
from tfrecords.inputs.archives.entries import ArchiveError, Contents, Entry, EntryKind
from tfrecords.inputs.rows import ArchiveMember

METHODS = {0: "store", 8: "deflate", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}
_OTHER_METHODS = {
    9: "Deflate64, as Windows does with large files",
    97: "WavPack",
    98: "PPMd",
    99: "AES encryption",
}

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s4B4H3L5H2L")
_LOCAL_BYTES = 30

_MOST_COMMENT = 0xFFFF
_ALL_ONES_16, _ALL_ONES_32 = 0xFFFF, 0xFFFFFFFF

# Bits of an entry's flags.
_ENCRYPTED, _PATCH, _UTF8, _MASKED = 1 << 0, 1 << 5, 1 << 11, 1 << 13
_UNIX = 3

# Fields of `extra`.
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075

# Longer than any path that a system takes.
_MOST_TARGET = 4096


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where the directory of a zip is.

    Attributes:
      offset, bytes: of the directory.
      count: entries that it says to have.
      shift: bytes before the zip's own first one, as a program that unpacks itself has.
    """

    offset: int
    bytes: int
    count: int
    shift: int


def read_contents(file: BinaryIO, size: int) -> Contents:
    """Returns the entries of a zip of `size` bytes.

    Raises:
      ArchiveError: it has no directory, or one that cannot be read to its end.
      OSError: it cannot be read.
    """
    directory, notes = _find_directory(file, size)
    entries = [_links(entry, file) for entry in list(_entries(file, directory))]
    # Writers that know no zip64 count modulo 65,536.
    if len(entries) % (_ALL_ONES_16 + 1) != directory.count % (_ALL_ONES_16 + 1):
        raise ArchiveError(
            f"its directory says {directory.count:,} entries and has {len(entries):,}: it is "
            "damaged"
        )
    return Contents(tuple(_without_overlap(entries)), tuple(notes))


def _find_directory(file: BinaryIO, size: int) -> tuple[_Directory, list[str]]:
    begin = max(0, size - _END.size - _MOST_COMMENT)
    file.seek(begin)
    tail = file.read(size - begin)
    position = _find_end(tail)
    if position is None:
        cut = "it was cut off, or is not a zip" if size else "it is empty"
        raise ArchiveError(f"the directory at its end is missing: {cut}")
    _, disk, first, here, count, length, offset, comment = _END.unpack_from(tail, position)
    notes = []
    left = len(tail) - position - _END.size - comment
    if left:
        notes.append(f"{left:,} bytes after its end are not read")
    end = begin + position
    found = _find_end64(file, end)
    if found is not None:
        end, disk, first, here, count, length, offset = found
    if (disk, first) != (0, 0) or here != count:
        raise ArchiveError(
            "it is the last part of a zip in several parts (.z01, .z02, …): join them first, as in "
            "`zip -s 0 in.zip --out whole.zip`"
        )
    shift = end - length - offset
    if length > size or shift < 0:
        raise ArchiveError("the directory at its end is damaged: it points before the file")
    if shift and count:
        notes.append(f"{shift:,} bytes before it are not read")
    return _Directory(offset + shift, length, count, shift), notes


def _find_end(tail: bytes) -> int | None:
    """Returns where the end record begins: the last whose comment fits into the file."""
    position = tail.rfind(b"PK\x05\x06")
    while position >= 0:
        if position + _END.size <= len(tail):
            comment = _END.unpack_from(tail, position)[-1]
            if position + _END.size + comment <= len(tail):
                return position
        position = tail.rfind(b"PK\x05\x06", 0, position)
    return None


def _find_end64(file: BinaryIO, end: int) -> tuple[int, int, int, int, int, int, int] | None:
    """Returns where a zip64's end record begins and what it says, or None if there is none."""
    if end < _END64_LOCATOR.size + _END64.size:
        return None
    file.seek(end - _END64_LOCATOR.size)
    signature, _, offset, disks = _END64_LOCATOR.unpack(file.read(_END64_LOCATOR.size))
    if signature != b"PK\x06\x07":
        return None
    if disks > 1:
        return end, disks - 1, 0, 0, 0, 0, 0
    # Where it should be, or right before the locator where something precedes the zip.
    for position in (offset, end - _END64_LOCATOR.size - _END64.size):
        if position <= end - _END64_LOCATOR.size - _END64.size:
            file.seek(position)
            fields = _END64.unpack(file.read(_END64.size))
            if fields[0] == b"PK\x06\x06":
                _, _, _, _, disk, first, here, count, length, begin = fields
                return position, disk, first, here, count, length, begin
    raise ArchiveError("its zip64 end record is missing: it is damaged")


def _entries(file: BinaryIO, directory: _Directory) -> Iterator[Entry]:
    """Yields the entries of a directory, as far as it can be read."""
    file.seek(directory.offset)
    left = directory.bytes
    while left >= _ENTRY.size:
        head = file.read(_ENTRY.size)
        if len(head) < _ENTRY.size or not head.startswith(b"PK\x01\x02"):
            return
        fields = _ENTRY.unpack(head)
        name_bytes, extra_bytes, comment_bytes = fields[12:15]
        length = name_bytes + extra_bytes + comment_bytes
        names = file.read(length)
        left -= _ENTRY.size + length
        if left < 0 or len(names) < length:
            return
        extra = names[name_bytes : name_bytes + extra_bytes]
        yield _entry(fields, names[:name_bytes], extra, directory)


def _entry(fields: tuple[int, ...], name: bytes, extra: bytes, directory: _Directory) -> Entry:
    _, _, system, _, _, flags, method, _, _, crc, stored, size, *_ = fields
    disk, _, attributes, offset = fields[15:19]
    extras = dict(_extra_fields(extra))
    stored, size, offset, disk = _zip64(extras.get(_ZIP64, b""), stored, size, offset, disk)
    unicode_name = _unicode_path(extras.get(_UNICODE_PATH, b""), name)
    offset += directory.shift
    mode = attributes >> 16 if system == _UNIX else 0
    kind = _kind(name, size, mode)
    entry = Entry(
        name if unicode_name is None else unicode_name,
        unicode_name is not None or bool(flags & _UTF8),
        kind,
        size,
        crc,
        ArchiveMember(offset, stored, METHODS.get(method, ""), crc),
    )
    detail = _refusal(flags, method)
    if detail is None and disk:
        detail = f"it lies in part {disk + 1} of its zip, and only the last part is here"
    if detail is None and offset + _LOCAL_BYTES + stored > directory.offset:
        detail = "its zip says that it lies where there is no room for it: the zip is damaged"
    if kind is not EntryKind.FOLDER and detail is not None:
        return _unreadable(entry, detail)
    return entry


def _kind(name: bytes, size: int, mode: int) -> EntryKind:
    if name.endswith((b"/", b"\\")) and not size:
        return EntryKind.FOLDER
    if stat.S_ISLNK(mode):
        return EntryKind.SYMBOLIC_LINK
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return EntryKind.SPECIAL
    return EntryKind.FILE


def _refusal(flags: int, method: int) -> str | None:
    """Returns why an entry with these flags and method cannot be read."""
    if flags & (_ENCRYPTED | _MASKED) or method == 99:
        return "it is encrypted: unpack the zip with its password, and give the folder"
    if flags & _PATCH:
        return "it is a patch of another file, not a file"
    if method not in METHODS:
        named = f" ({_OTHER_METHODS[method]})" if method in _OTHER_METHODS else ""
        return (
            f"its zip compresses it by method {method}{named}, which is not read: unpack the zip, "
            "and give the folder"
        )
    return None


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        yield kind, extra[position + 4 : position + 4 + length]
        position += 4 + length


def _zip64(
    extra: bytes, stored: int, size: int, offset: int, disk: int
) -> tuple[int, int, int, int]:
    """Returns the four with those that are all ones taken from the zip64 field, in its order."""
    values = {"size": size, "stored": stored, "offset": offset}
    position = 0
    for name, value in values.items():
        if value == _ALL_ONES_32 and position + 8 <= len(extra):
            (values[name],) = struct.unpack_from("<Q", extra, position)
            position += 8
    if disk == _ALL_ONES_16 and position + 4 <= len(extra):
        (disk,) = struct.unpack_from("<L", extra, position)
    return values["stored"], values["size"], values["offset"], disk


def _unicode_path(extra: bytes, name: bytes) -> bytes | None:
    """Returns the UTF-8 name of Info-ZIP's field, if it is of this very name."""
    if len(extra) <= 5 or extra[0] != 1:
        return None
    is_of_name = int.from_bytes(extra[1:5], "little") == zlib.crc32(name)
    return extra[5:] if is_of_name else None


def _links(entry: Entry, file: BinaryIO) -> Entry:
    """Returns an entry with its target read, if it is a link: that is what the file holds."""
    if entry.kind is not EntryKind.SYMBOLIC_LINK or entry.problem or entry.member is None:
        return entry
    if entry.size > _MOST_TARGET:
        return _unreadable(entry, f"it is a link of {entry.size} bytes: its zip is damaged")
    try:
        target = read.read_member(file, entry.member, entry.size)
    except OSError as error:
        return _unreadable(entry, f"a link, {error}")
    return replace(entry, target=target)


def _without_overlap(entries: list[Entry]) -> Iterator[Entry]:
    """Yields entries, with a problem those whose data reach into the next one's.

    A zip bomb of overlapping members says one file many times over.
    """
    offsets = sorted({entry.member.offset for entry in entries if entry.member is not None})
    limits = dict(zip(offsets, offsets[1:], strict=False))
    seen: set[int] = set()
    for entry in entries:
        member = entry.member
        if member is None or entry.kind is EntryKind.FOLDER:
            yield entry
            continue
        limit = limits.get(member.offset, member.offset + _LOCAL_BYTES + member.stored)
        overlaps = member.offset + _LOCAL_BYTES + member.stored > limit
        if (overlaps or member.offset in seen) and entry.problem is None:
            entry = _unreadable(entry, "its data overlap another member's: the zip is damaged")
        seen.add(member.offset)
        yield entry


def _unreadable(entry: Entry, detail: str) -> Entry:
    return replace(entry, kind=EntryKind.FILE, problem=RejectReason.UNREADABLE, detail=detail)
