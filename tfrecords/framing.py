"""TFRecord framing: length, masked CRC32C, payload, masked CRC32C; and a verifying reader.

Source: tensorflow/core/lib/io/record_writer.h. A record is
`uint64 length | uint32 crc(length) | payload | uint32 crc(payload)`, little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from tfrecords.errors import EvenshardError
from tfrecords.locations import Folder

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8

HEADER_BYTES = _LENGTH.size + _CRC.size
FOOTER_BYTES = _CRC.size
FRAME_BYTES = HEADER_BYTES + FOOTER_BYTES

# A length that passes its CRC but exceeds this is damage, not a picture: refuse it before
# allocating. TensorFlow's protobuf limit is 2 GiB too.
MAX_RECORD_BYTES = 2**31 - 1


class DamagedRecordError(EvenshardError, ValueError):
    """A record that fails its checks.

    Attributes:
      path: the file.
      offset: byte position of the record's first byte.
    """

    def __init__(self, path: str, offset: int, what: str) -> None:
        super().__init__(path, offset, what)
        self.path = path
        self.offset = offset
        self.what = what

    def __str__(self) -> str:
        return f"{self.path}: damaged record at byte {self.offset}: {self.what}"


def masked_crc(data: bytes) -> int:
    """Returns the masked CRC32C of `data`, 32 bits."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def frame(payload: bytes) -> bytes:
    """Returns `payload` with header and footer, ready to be written."""
    length = _LENGTH.pack(len(payload))
    return b"".join(
        (length, _CRC.pack(masked_crc(length)), payload, _CRC.pack(masked_crc(payload)))
    )


def read_frames(file: BinaryIO, path: str) -> Iterator[tuple[int, bytes]]:
    """Yields (offset, payload) of each record, checking both CRCs.

    Args:
      file: open for reading, at a record's first byte.
      path: how errors name the file.

    Raises:
      DamagedRecordError: a CRC differs, or the file ends inside a record.
    """
    offset = file.tell()
    while header := file.read(HEADER_BYTES):
        length = _checked_length(header, path, offset)
        body = file.read(length + FOOTER_BYTES)
        if len(body) < length + FOOTER_BYTES:
            raise DamagedRecordError(
                path, offset, f"{length + FOOTER_BYTES} bytes announced, the file has {len(body)}"
            )
        payload = body[:length]
        if _CRC.unpack(body[length:])[0] != masked_crc(payload):
            raise DamagedRecordError(path, offset, "CRC of the payload differs")
        yield offset, payload
        offset += FRAME_BYTES + length


def read_at(file: BinaryIO, path: str, positions: Collection[int]) -> Iterator[tuple[int, bytes]]:
    """Yields (position, payload) of some records of a file; others are passed over by their length.

    Args:
      file: open for reading at its begin, on a disk.
      path: how errors name the file.
      positions: of the records, from 0; those beyond the end are left out.

    Raises:
      DamagedRecordError: a CRC of what was read differs, or the file ends inside a record.
    """
    last = max(positions, default=-1)
    offset = 0
    for position in range(last + 1):
        file.seek(offset)
        header = file.read(HEADER_BYTES)
        if not header:
            return
        if position in positions:
            file.seek(offset)
            yield position, next(read_frames(file, path))[1]
        offset += FRAME_BYTES + _checked_length(header, path, offset)


def read_records(path: str | Folder) -> Iterator[bytes]:
    """Yields the payloads of a file, checking both CRCs of each.

    Raises:
      DamagedRecordError: names the file and the offset of the damage.
      OSError: the file cannot be read.
    """
    with open(path, "rb") if isinstance(path, (str, Path)) else path.open("rb") as file:
        for _, payload in read_frames(file, str(path)):
            yield payload


def _checked_length(header: bytes, path: str, offset: int) -> int:
    if len(header) < HEADER_BYTES:
        raise DamagedRecordError(
            path, offset, f"a header of {HEADER_BYTES} bytes expected, the file has {len(header)}"
        )
    raw = header[: _LENGTH.size]
    if _CRC.unpack(header[_LENGTH.size :])[0] != masked_crc(raw):
        raise DamagedRecordError(path, offset, "CRC of the length differs")
    (length,) = _LENGTH.unpack(raw)
    if length > MAX_RECORD_BYTES:
        raise DamagedRecordError(path, offset, f"impossible record length {length}")
    return length
