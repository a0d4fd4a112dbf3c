"""Archives as programs do not write them: headers by hand, and zips that were tampered with."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tfrecords.inputs.archives.members import list_members
from tfrecords.inputs.files import LOCAL
from tfrecords.inputs.layout import unlabelled
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import InputPath, ListedFile

BLOCK = 512
END = bytes(2 * BLOCK)


def padded(data: bytes) -> bytes:
    """Returns data filled up to whole blocks."""
    return data + bytes(-len(data) % BLOCK)


def tar_header(
    name: bytes,
    size: int | bytes = 0,
    kind: bytes = b"0",
    target: bytes = b"",
    fields: Mapping[int, bytes] | None = None,
) -> bytes:
    """Returns one header of a tar.

    Args:
      size: a number, or the bytes of its field.
      fields: offset → bytes that overwrite the header before its checksum is made.
    """
    header = bytearray(BLOCK)
    numbers = {100: b"0000644\0", 108: b"0000000\0", 116: b"0000000\0", 136: b"00000000000\0"}
    size_field = size if isinstance(size, bytes) else b"%011o\0" % size
    parts = {0: name, **numbers, 124: size_field, 156: kind, 157: target, 257: b"ustar\x0000"}
    for offset, data in {**parts, **(fields or {})}.items():
        header[offset : offset + len(data)] = data
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def tar_member(name: bytes, data: bytes = b"", **header: object) -> bytes:
    """Returns a header and its data; arguments as of `tar_header`."""
    return tar_header(name, len(data), **header) + padded(data)  # type: ignore[arg-type]  # Values of a table.


def pax_header(records: Mapping[str, str] | list[tuple[str, str]], kind: bytes = b"x") -> bytes:
    """Returns an extended header."""
    pairs = records.items() if isinstance(records, Mapping) else records
    data = b"".join(_pax_record(key, value) for key, value in pairs)
    return tar_member(b"PaxHeaders/x", data, kind=kind)


def _pax_record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def zip_bytes(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    """Returns a zip of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return bytearray(buffer.getvalue())


def zip_with_raw_names(files: Mapping[bytes, bytes], flags: int = 0) -> bytearray:
    """Returns a zip whose names are bytes, with these flags in both headers."""
    stand_ins = {str(number).ljust(len(name), "~"): name for number, name in enumerate(files)}
    data = zip_bytes(dict(zip(stand_ins, files.values(), strict=True)), zipfile.ZIP_STORED)
    for stand_in, name in stand_ins.items():
        data = data.replace(stand_in.encode(), name)
    for entry in entries_of(data):
        patch(data, entry, 8, "<H", flags)
    return data


def entries_of(data: bytes | bytearray) -> list[int]:
    """Returns where each entry of a zip's directory begins."""
    found, position = [], data.find(b"PK\x01\x02")
    while position >= 0:
        found.append(position)
        position = data.find(b"PK\x01\x02", position + 4)
    return found


def patch(data: bytearray, entry: int, field: int, layout: str, value: int) -> None:
    """Overwrites a field, by its offset, of an entry (or of the end record)."""
    struct.pack_into(layout, data, entry + field, value)


def members(
    path: Path, options: InputOptions | None = None, notes: list[str] | None = None
) -> list[ListedFile]:
    """Returns what an archive lists."""
    say = [] if notes is None else notes
    source = InputPath("--input_dir", str(path))
    return list_members(source, LOCAL, options or InputOptions(), say.append)


def contents(path: Path, notes: list[str] | None = None) -> dict[str, bytes | str]:
    """Returns name → bytes of the files that an archive lists, or why there are none."""
    result: dict[str, bytes | str] = {}
    for member in members(path, notes=notes):
        if member.is_folder:
            continue
        assert member.name not in result
        if member.problem is not None:
            result[member.name] = member.problem.value
            continue
        try:
            result[member.name] = read_source(unlabelled(member))
        except OSError as error:
            result[member.name] = str(error)
    return result
