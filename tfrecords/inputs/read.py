"""The bytes of one source: the one place where a listed file is opened and read.

Whatever a file or an archive claims, no more is read or inflated than what was listed, and the
listing has a limit; what turns out longer is noticed by one byte more.
"""

from __future__ import annotations

import bz2
import contextlib
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.files import LOCAL, FileRefused, FileSystem
from tfrecords.inputs.options import DEFAULT_MAX_FILE_MB, MEGABYTE
from tfrecords.inputs.rows import UNKNOWN_SIZE, ArchiveMember, SourceFile

_ZIP_LOCAL_HEADER = b"PK\x03\x04"
_ZIP_LOCAL_HEADER_BYTES = 30

# A zip's LZMA data begin with the version of the SDK, the length of the properties (5) and these.
_LZMA_VERSION_BYTES = 4
_LZMA_HEADER_BYTES = 9

# The least that liblzma takes for a dictionary.
_LEAST_DICTIONARY = 4096

# Of an xz stream: its largest preset, -9, needs 65 MiB.
_XZ_MEMORY = 128 << 20

_CHUNK = 1 << 18


def read_source(source: SourceFile, files: FileSystem = LOCAL) -> bytes:
    """Returns the bytes of a source.

    Raises:
      OSError: it cannot be read; `reason_of` tells why in a word.
    """
    with files.open(source.path) as file:
        if source.member is None:
            _check_unchanged(file, source.bytes, source.version, "the file")
            return _read_file(file, source.bytes)
        if source.member.archive is not None:
            _check_unchanged(file, *source.member.archive, "its archive")
        return read_member(file, source.member, source.bytes)


def reason_of(error: OSError) -> RejectReason:
    """Returns the reason for which a source could not be read."""
    return error.reason if isinstance(error, FileRefused) else RejectReason.UNREADABLE


def read_member(file: BinaryIO, member: ArchiveMember, size: int) -> bytes:
    """Returns the bytes of a member that its archive says to be of `size` bytes.

    Raises:
      OSError: it is damaged, or other than its archive says.
    """
    if member.method == "tar":
        return _read_tar_member(file, member, size)
    file.seek(member.offset)
    header = file.read(_ZIP_LOCAL_HEADER_BYTES)
    if not header.startswith(_ZIP_LOCAL_HEADER) or len(header) < _ZIP_LOCAL_HEADER_BYTES:
        raise OSError("damaged in its archive: no member begins where the directory says")
    # The local header's own name and extra lengths differ from the directory's.
    name, extra = (int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
    file.seek(member.offset + _ZIP_LOCAL_HEADER_BYTES + name + extra)
    data = _inflated(file, member, size)
    if member.crc32 is not None and zlib.crc32(data) != member.crc32:
        raise OSError("damaged in its archive: the CRC differs")
    return data


def _check_unchanged(file: BinaryIO, size: int, version: int, what: str) -> None:
    """Refuses a file of this machine that is not what was listed."""
    try:
        status = os.fstat(file.fileno())
    except (OSError, AttributeError):
        return  # Not of this machine: what is read from it is compared instead.
    if size not in (UNKNOWN_SIZE, status.st_size):
        raise FileRefused(
            RejectReason.CHANGED,
            f"{what} changed since it was listed: it had {size} bytes and has {status.st_size}",
        )
    if version not in (0, status.st_mtime_ns):
        raise FileRefused(
            RejectReason.CHANGED, f"{what} changed since it was listed: it was written to"
        )


def _read_file(file: BinaryIO, size: int) -> bytes:
    """Returns a file that was listed with `size` bytes."""
    limit = DEFAULT_MAX_FILE_MB * MEGABYTE if size == UNKNOWN_SIZE else size
    data = file.read(limit + 1)
    if len(data) > limit or size not in (UNKNOWN_SIZE, len(data)):
        more = "more than that" if len(data) > limit else f"{len(data)}"
        raise FileRefused(
            RejectReason.CHANGED if size != UNKNOWN_SIZE else RejectReason.TOO_MANY_BYTES,
            f"listed with {limit} bytes, read {more}",
        )
    return data


def _read_tar_member(file: BinaryIO, member: ArchiveMember, size: int) -> bytes:
    file.seek(member.offset)
    data = file.read(member.stored)
    if len(data) < member.stored:
        raise OSError(f"damaged in its archive: it ends after {len(data)} of {member.stored} bytes")
    if member.segments is None:
        return data
    whole = bytearray(size)
    begin = 0
    for offset, length in member.segments:
        whole[offset : offset + length] = data[begin : begin + length]
        begin += length
    return bytes(whole)


def _inflated(file: BinaryIO, member: ArchiveMember, size: int) -> bytes:
    """Returns what a zip's member holds; never takes much more than `size` bytes for it."""
    if member.method == "store":
        # What is stored beyond the size is not read: the two differ in a zip that lies.
        inflated = file.read(min(member.stored, size + 1))
    else:
        try:
            inflated = _INFLATERS[member.method](file, member.stored, size)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError) as error:
            raise OSError(f"damaged in its archive: {error}") from error
    if len(inflated) > size:
        raise OSError(f"damaged in its archive: it has more than the {size} bytes listed")
    if len(inflated) < size:
        raise OSError(f"damaged in its archive: it ends after {len(inflated)} of {size} bytes")
    return inflated


class _Decompressor(Protocol):
    """What the decompressors of bz2 and lzma have in common."""

    @property
    def needs_input(self) -> bool:
        """Whether it has given all that earlier data hold."""

    @property
    def eof(self) -> bool:
        """Whether the end mark was reached."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Returns at most `max_length` bytes of what `data` and earlier data hold."""


def _chunks(file: BinaryIO, stored: int) -> Iterator[bytes]:
    while stored > 0 and (chunk := file.read(min(stored, _CHUNK))):
        stored -= len(chunk)
        yield chunk


def _deflate(file: BinaryIO, stored: int, size: int) -> bytes:
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    parts, left = [], size + 1
    for chunk in _chunks(file, stored):
        data = chunk
        while data and left:
            part = decompressor.decompress(data, left)
            data = decompressor.unconsumed_tail
            parts.append(part)
            left -= len(part)
            if not part and decompressor.eof:
                return b"".join(parts)
        if not left or decompressor.eof:
            break
    return b"".join(parts)


def _bzip2(file: BinaryIO, stored: int, size: int) -> bytes:
    return _run(bz2.BZ2Decompressor(), _chunks(file, stored), size)


def _xz(file: BinaryIO, stored: int, size: int) -> bytes:
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    return _run(decompressor, _chunks(file, stored), size)


def _lzma(file: BinaryIO, stored: int, size: int) -> bytes:
    header = file.read(min(stored, _LZMA_HEADER_BYTES))
    decompressor = _lzma_decompressor(header[_LZMA_VERSION_BYTES:], size)
    return _run(decompressor, _chunks(file, stored - len(header)), size)


def _zstd(file: BinaryIO, stored: int, size: int) -> bytes:
    # Few zips need it, and importing it takes a worker a tenth of a second.
    import pyarrow as pa

    compressed = file.read(min(stored, size + (size >> 4) + _CHUNK))
    with contextlib.closing(pa.CompressedInputStream(io.BytesIO(compressed), "zstd")) as stream:
        data: bytes = stream.read(size + 1)
    return data


def _run(decompressor: _Decompressor, chunks: Iterator[bytes], size: int) -> bytes:
    """Returns at most one byte more than `size` of what the chunks hold."""
    parts, left = [], size + 1
    while left and not decompressor.eof:
        data = next(chunks, b"") if decompressor.needs_input else b""
        if decompressor.needs_input and not data:
            break
        part = decompressor.decompress(data, left)
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


_Inflater = Callable[[BinaryIO, int, int], bytes]

# One byte more than there should be shows that there are more.
_INFLATERS: dict[str, _Inflater] = {
    "deflate": _deflate,
    "bzip2": _bzip2,
    "lzma": _lzma,
    "xz": _xz,
    "zstd": _zstd,
}


def _lzma_decompressor(properties: bytes, size: int) -> lzma.LZMADecompressor:
    """Returns the decompressor that the 5 bytes of properties describe (LZMA SDK, lzma.txt)."""
    if len(properties) != _LZMA_HEADER_BYTES - _LZMA_VERSION_BYTES:
        raise OSError("its LZMA header ends early")
    position_bits, rest = divmod(properties[0], 45)
    literal_position_bits, literal_context_bits = divmod(rest, 9)
    # No distance is longer than the file, whatever dictionary the header asks memory for.
    dictionary = min(int.from_bytes(properties[1:], "little"), max(size, _LEAST_DICTIONARY))
    try:
        return lzma.LZMADecompressor(
            lzma.FORMAT_RAW,
            filters=[
                {
                    "id": lzma.FILTER_LZMA1,
                    "pb": position_bits,
                    "lp": literal_position_bits,
                    "lc": literal_context_bits,
                    "dict_size": dictionary,
                }
            ],
        )
    except ValueError as error:
        raise OSError(f"its LZMA header is damaged: {error}") from error
