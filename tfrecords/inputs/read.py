"""The bytes of one source: the one place where a listed file is opened and read."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import BinaryIO, Protocol

from tfrecords.inputs.files import LOCAL, FileSystem
from tfrecords.inputs.rows import ArchiveMember, SourceFile

_ZIP_LOCAL_HEADER_BYTES = 30

# A zip's LZMA data begin with the version of the SDK, the length of the properties (5) and these.
_LZMA_VERSION_BYTES = 4
_LZMA_HEADER_BYTES = 9


def read_source(source: SourceFile, files: FileSystem = LOCAL) -> bytes:
    """Returns the bytes of a source.

    Raises:
      OSError: it cannot be read.
    """
    with files.open(source.path) as file:
        if source.member is None:
            return file.read()
        return _read_member(file, source.member, source.bytes)


def _read_member(file: BinaryIO, member: ArchiveMember, size: int) -> bytes:
    """Returns the bytes of a member that its archive says to be of `size` bytes."""
    file.seek(member.offset)
    if member.method == "tar":
        return file.read(member.stored)
    # The local header's own name and extra lengths differ from the directory's.
    header = file.read(_ZIP_LOCAL_HEADER_BYTES)
    name, extra = (int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
    file.seek(member.offset + _ZIP_LOCAL_HEADER_BYTES + name + extra)
    data = file.read(member.stored)
    if member.method != "store":
        data = _inflate(data, member.method, size)
    if member.crc32 is not None and zlib.crc32(data) != member.crc32:
        raise OSError("damaged in its archive: the CRC differs")
    return data


class _Decompressor(Protocol):
    """What the decompressors of zlib, bz2 and lzma have in common."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Returns at most `max_length` bytes of what `data` holds."""


def _inflate(data: bytes, method: str, size: int) -> bytes:
    """Returns what a member holds, for which never much more than `size` bytes are taken."""
    try:
        decompressor, data = _decompressor(data, method)
        # One byte more than there should be shows that there are more.
        inflated = decompressor.decompress(data, size + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise OSError(f"damaged in its archive: {error}") from error
    if len(inflated) > size:
        raise OSError(f"damaged in its archive: it has more than the {size} bytes listed")
    if len(inflated) < size:
        raise OSError(f"damaged in its archive: it ends after {len(inflated)} of {size} bytes")
    return inflated


def _decompressor(data: bytes, method: str) -> tuple[_Decompressor, bytes]:
    """Returns a decompressor, and the data without the header that a zip puts before them."""
    if method == "deflate":
        return zlib.decompressobj(-zlib.MAX_WBITS), data
    if method == "bzip2":
        return bz2.BZ2Decompressor(), data
    if method == "lzma":
        properties = data[_LZMA_VERSION_BYTES:_LZMA_HEADER_BYTES]
        return _lzma_decompressor(properties), data[_LZMA_HEADER_BYTES:]
    raise OSError(f"method {method!r} is not read")


def _lzma_decompressor(properties: bytes) -> lzma.LZMADecompressor:
    """Returns the decompressor that the 5 bytes of properties describe (LZMA SDK, lzma.txt)."""
    if len(properties) != _LZMA_HEADER_BYTES - _LZMA_VERSION_BYTES:
        raise OSError("its LZMA header ends early")
    position_bits, rest = divmod(properties[0], 45)
    literal_position_bits, literal_context_bits = divmod(rest, 9)
    try:
        return lzma.LZMADecompressor(
            lzma.FORMAT_RAW,
            filters=[
                {
                    "id": lzma.FILTER_LZMA1,
                    "pb": position_bits,
                    "lp": literal_position_bits,
                    "lc": literal_context_bits,
                    "dict_size": int.from_bytes(properties[1:], "little"),
                }
            ],
        )
    except ValueError as error:
        raise OSError(f"its LZMA header is damaged: {error}") from error
