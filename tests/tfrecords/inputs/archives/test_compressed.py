"""Compressed tars: made plain once, read from there, and told when they are damaged."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.inputs.archives import END, contents, members, tar_member
from tfrecords.errors import UsageError
from tfrecords.inputs.archives import compressed
from tfrecords.inputs.files import LocalFiles
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.rows import InputPath

A, B = b"one picture", b"another picture" * 99
TAR = tar_member(b"cat/0.jpg", A) + tar_member(b"dog/0.jpg", B) + END


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


COMPRESSED = {
    "in.tar.gz": gzip.compress(TAR),
    "in.tgz": gzip.compress(TAR[:700]) + gzip.compress(TAR[700:]),
    "in.tar.bz2": bz2.compress(TAR),
    "in.tar.xz": lzma.compress(TAR),
    "two.tar.xz": lzma.compress(TAR[:700]) + bytes(8) + lzma.compress(TAR[700:]) + bytes(4),
    "in.tar.zst": zstd(TAR),
    "two.tar.zst": zstd(TAR[:700]) + zstd(TAR[700:]),
    "in.tar": gzip.compress(TAR),  # Called otherwise than it is.
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_compressed_tar_is_made_plain_once(tmp_path: Path, name: str) -> None:
    path, spool = tmp_path / name, tmp_path / "spool"
    path.write_bytes(COMPRESSED[name])
    options, notes = InputOptions(spool_dir=str(spool)), []
    found = members(path, options, notes)
    (plain,) = spool.iterdir()
    assert plain.read_bytes() == TAR
    assert {file.path for file in found} == {str(plain)}
    assert contents(plain) == {"cat/0.jpg": A, "dog/0.jpg": B}
    assert len(notes) == 1 and "was decompressed to" in notes[0]
    assert members(path, options, notes) == found
    assert len(notes) == 1  # It was there already.


def test_a_tar_that_changed_is_made_plain_again(tmp_path: Path) -> None:
    path, options = tmp_path / "in.tar.gz", InputOptions(spool_dir=str(tmp_path / "spool"))
    path.write_bytes(COMPRESSED["in.tar.gz"])
    members(path, options)
    path.write_bytes(gzip.compress(tar_member(b"new.jpg", A) + END))
    assert [file.name for file in members(path, options)] == ["new.jpg"]


@pytest.mark.parametrize("name", ["in.tar.gz", "in.tar.bz2", "in.tar.xz", "in.tar.zst"])
@pytest.mark.parametrize("damage", ["cut", "garbled"])
def test_a_damaged_stream_is_one_line_and_leaves_nothing(
    tmp_path: Path, name: str, damage: str
) -> None:
    data = bytearray(COMPRESSED[name])
    if damage == "cut":
        data = data[: len(data) // 2]
    else:
        middle = len(data) // 2
        data[middle : middle + 8] = b"\x55" * 8
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match="--input_dir=.*damaged or was cut off"):
        members(tmp_path / name, InputOptions(spool_dir=str(tmp_path / "spool")))
    assert not list((tmp_path / "spool").iterdir())


def test_without_a_place_to_write_to_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.tar.gz").write_bytes(COMPRESSED["in.tar.gz"])
    with pytest.raises(UsageError, match="a compressed tar cannot be read from the middle"):
        members(tmp_path / "in.tar.gz")


def test_a_disk_is_not_filled(tmp_path: Path) -> None:
    class SmallDisk(LocalFiles):
        left = [100 << 20, 50 << 20, 5 << 20]

        def free_bytes(self, folder: str) -> int | None:
            return self.left.pop(0)

    path = tmp_path / "in.tar.gz"
    path.write_bytes(gzip.compress(bytes(20 << 20)))
    with pytest.raises(UsageError, match="no room for it at .*make room"):
        compressed.plain_tar(
            InputPath("--input_dir", str(path)), str(tmp_path / "s"), SmallDisk(), [].append
        )
    assert not list((tmp_path / "s").iterdir())


def test_an_xz_stream_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    """65 bytes of it may ask for 4 GiB."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(TAR, filters=filters))
    # The block's header: its size, flags, the filter's id, the size of its properties, and those.
    assert data[12:16] == b"\x02\x00\x21\x01"
    data[16] = 37  # 1.5 GiB.
    data[20:24] = zlib.crc32(data[12:20]).to_bytes(4, "little")
    (tmp_path / "in.tar.xz").write_bytes(data)
    with pytest.raises(UsageError, match="needs more than 256 MiB .* decompress it first"):
        members(tmp_path / "in.tar.xz", InputOptions(spool_dir=str(tmp_path / "spool")))
    assert not list((tmp_path / "spool").iterdir())
