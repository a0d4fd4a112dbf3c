"""Members of archives, and those that no archive should have."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.archives.members import list_members
from tfrecords.inputs.files import LOCAL
from tfrecords.inputs.layout import unlabelled
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import InputPath, ListedFile

BODY = b"a picture, " * 99
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
COMPRESSED = METHODS[1:]


def write_zip(path: Path, method: int) -> zipfile.ZipInfo:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("apu/0.jpg", BODY)
        return archive.infolist()[0]


def only_member(path: Path) -> ListedFile:
    (member,) = list_members(
        InputPath("--input", str(path)), LOCAL, InputOptions(), lambda note: None
    )
    return member


def patch_directory(path: Path, field: int, layout: str, value: int) -> None:
    """Overwrites a field of the only entry in a zip's central directory."""
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, data.rindex(b"PK\x01\x02") + field, value)
    path.write_bytes(data)


@pytest.mark.parametrize("method", METHODS)
def test_members_are_read_without_the_directory(tmp_path: Path, method: int) -> None:
    write_zip(tmp_path / "in.zip", method)
    assert read_source(unlabelled(only_member(tmp_path / "in.zip"))) == BODY


@pytest.mark.parametrize("method", METHODS)
def test_damage_is_an_oserror(tmp_path: Path, method: int) -> None:
    path = tmp_path / "in.zip"
    info = write_zip(path, method)
    data = bytearray(path.read_bytes())
    # The last bytes of a member are data in every method; LZMA begins with its header.
    end = 30 + len(info.filename) + info.compress_size
    for position in range(end - 20, end):
        data[position] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(OSError, match="damaged in its archive"):
        read_source(unlabelled(only_member(path)))


@pytest.mark.parametrize("method", COMPRESSED)
@pytest.mark.parametrize("size", [0, 10, len(BODY) - 1, len(BODY) + 1])
def test_a_member_of_another_size_than_listed_is_damaged(
    tmp_path: Path, method: int, size: int
) -> None:
    path = tmp_path / "in.zip"
    write_zip(path, method)
    patch_directory(path, 24, "<I", size)
    with pytest.raises(OSError, match="damaged in its archive: it (has more|ends after)"):
        read_source(unlabelled(only_member(path)))


@pytest.mark.parametrize("cut", range(0, 12, 3))
def test_an_lzma_header_that_is_damaged(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "in.zip"
    write_zip(path, zipfile.ZIP_LZMA)
    patch_directory(path, 20, "<I", cut)
    with pytest.raises(OSError, match="damaged in its archive"):
        read_source(unlabelled(only_member(path)))


def test_what_cannot_be_read_is_a_row_that_says_why(tmp_path: Path) -> None:
    path = tmp_path / "in.zip"
    write_zip(path, zipfile.ZIP_DEFLATED)
    patch_directory(path, 8, "<H", 1)
    member = only_member(path)
    assert member.problem is RejectReason.UNREADABLE
    assert "encrypted" in (member.detail or "")
    write_zip(path, zipfile.ZIP_DEFLATED)
    patch_directory(path, 10, "<H", 97)
    member = only_member(path)
    assert member.problem is RejectReason.UNREADABLE
    assert "method 97" in (member.detail or "")
