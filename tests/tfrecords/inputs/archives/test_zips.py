"""Zips as programs write them, and as nobody should: each entry is one row."""

from __future__ import annotations

import io
import stat
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.inputs.archives import (
    contents,
    entries_of,
    members,
    patch,
    zip_bytes,
    zip_with_raw_names,
)
from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.archives import zips
from tfrecords.inputs.archives.entries import ArchiveError
from tfrecords.inputs.options import InputOptions

A, B, C = b"one picture", b"another picture" * 99, b"a third"
FILES = {"cat/0.jpg": A, "cat/1.jpg": B, "dog/0.jpg": C}

# Offsets of fields in an entry of the directory.
VERSION, FLAGS, METHOD, STORED, SIZE, DISK, ATTRIBUTES, OFFSET = 6, 8, 10, 20, 24, 34, 38, 42


def write(tmp_path: Path, data: bytes | bytearray) -> Path:
    path = tmp_path / "in.zip"
    path.write_bytes(data)
    return path


def with_patch(field: int, layout: str, value: int) -> bytearray:
    """Returns the zip of `FILES` with a field of its second entry overwritten."""
    data = zip_bytes(FILES)
    patch(data, entries_of(data)[1], field, layout, value)
    return data


@pytest.mark.parametrize(
    ("field", "layout", "value"),
    [
        (FLAGS, "<H", 1),
        (FLAGS, "<H", 1 << 5),
        (METHOD, "<H", 9),
        (METHOD, "<H", 77),
        (METHOD, "<H", 99),
        (STORED, "<I", 0xFFFFFFFE),
        (STORED, "<I", 0xFFFFFFFF),
        (STORED, "<I", 5),
        (SIZE, "<I", 0xFFFFFFFE),
        (SIZE, "<I", 0),
        (SIZE, "<I", 7),
        (OFFSET, "<I", 0xFFFFFFFE),
        (OFFSET, "<I", 5),
        (DISK, "<H", 3),
    ],
)
def test_an_entry_that_lies_costs_one_row(
    tmp_path: Path, field: int, layout: str, value: int
) -> None:
    found = contents(write(tmp_path, with_patch(field, layout, value)))
    assert found.pop("cat/1.jpg") not in (A, B, C)
    if field != OFFSET or value != 5:  # There the first entry reaches into the second.
        assert found == {"cat/0.jpg": A, "dog/0.jpg": C}
    assert found["dog/0.jpg"] == C


def test_an_entry_that_needs_a_newer_program_is_read_if_it_can_be(tmp_path: Path) -> None:
    assert contents(write(tmp_path, with_patch(VERSION, "<H", 99))) == FILES


def test_what_an_entry_inflates_to_is_bounded_by_its_listed_size(tmp_path: Path) -> None:
    data = zip_bytes({"0.jpg": bytes(64 << 20), "1.jpg": A})
    patch(data, entries_of(data)[0], SIZE, "<I", 1000)
    path = write(tmp_path, data)
    tracemalloc.start()
    try:
        found = contents(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == {
        "0.jpg": "damaged in its archive: it has more than the 1000 bytes listed",
        "1.jpg": A,
    }
    assert peak < 4 << 20


def test_an_entry_of_more_bytes_than_allowed_is_not_inflated(tmp_path: Path) -> None:
    from tfrecords.inputs import listing
    from tfrecords.inputs.rows import InputPath

    path = write(tmp_path, zip_bytes({"cat/0.jpg": bytes(3_000_001), "dog/1.jpg": A}))
    rows = listing.list_labelled(
        InputPath("--input_dir", str(path)), options=InputOptions(max_bytes=3_000_000)
    ).rows
    assert [(row.key, row.problem) for row in rows] == [
        ("cat/0.jpg", RejectReason.TOO_MANY_BYTES),
        ("dog/1.jpg", None),
    ]
    assert rows[0].detail == "3,000,001 bytes, --max_file_mb=3 allows 3,000,000"


def test_a_size_is_one_that_a_column_can_hold(tmp_path: Path) -> None:
    data = zip_bytes({"0.jpg": A})
    (entry,) = entries_of(data)
    field = struct.pack("<HHQ", 1, 8, 2**64 - 1)
    patch(data, entry, SIZE, "<I", 0xFFFFFFFF)
    patch(data, entry, 30, "<H", len(field))
    name_end = entry + 46 + len("0.jpg")
    data[name_end:name_end] = field
    end = data.rindex(b"PK\x05\x06")
    patch(data, end, 12, "<I", end - entry)
    assert [file.bytes for file in members(write(tmp_path, data))] == [2**63 - 1]


def test_entries_that_overlap_are_told(tmp_path: Path) -> None:
    data = zip_bytes(FILES)
    first, second, _ = entries_of(data)
    # As in a bomb of overlapping entries: the second begins inside the first one's data.
    patch(data, first, STORED, "<I", 60)
    found = contents(write(tmp_path, data))
    assert "overlap" in str(members(tmp_path / "in.zip")[0].detail)
    assert found == {"cat/0.jpg": "unreadable", "cat/1.jpg": B, "dog/0.jpg": C}
    data = zip_bytes(FILES)
    patch(data, second, OFFSET, "<I", 0)
    assert contents(write(tmp_path, data))["cat/1.jpg"] == "unreadable"


def test_zip64(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for name, data in FILES.items():
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(data)
    assert contents(tmp_path / "in.zip") == FILES


def with_zip64_end(data: bytearray) -> bytearray:
    """Returns a zip with the end records that one of more than 65,535 entries has."""
    end = data.rindex(b"PK\x05\x06")
    _, _, _, _, count, length, offset, _ = struct.unpack_from("<4s4H2LH", data, end)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    return bytearray(data[:end] + end64 + locator + tail)


def test_a_zip64_end_record(tmp_path: Path) -> None:
    data = with_zip64_end(zip_bytes(FILES))
    assert contents(write(tmp_path, data)) == FILES
    assert contents(write(tmp_path, b"#!/bin/sh\n" + data)) == FILES
    data[data.index(b"PK\x06\x06")] = 0
    with pytest.raises(UsageError, match="zip64 end record is missing"):
        members(write(tmp_path, data))


def test_bytes_before_and_after_a_zip_are_noticed(tmp_path: Path) -> None:
    notes: list[str] = []
    data = b"#!/bin/sh\nexec unzip\n" + zip_bytes(FILES) + b"rest"
    assert contents(write(tmp_path, data), notes) == FILES
    assert any("21 bytes before it are not read" in note for note in notes)
    assert any("4 bytes after its end are not read" in note for note in notes)


def test_a_comment_may_hold_anything(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.comment = b"PK\x05\x06 is how an end begins" * 9
        for name, data in FILES.items():
            archive.writestr(name, data)
    assert contents(tmp_path / "in.zip") == FILES


@pytest.mark.parametrize("count", [0, 2, 4, 65535])
def test_a_directory_of_another_length_than_it_says_stops(tmp_path: Path, count: int) -> None:
    data = zip_bytes(FILES)
    end = data.rindex(b"PK\x05\x06")
    patch(data, end, 8, "<H", count)
    patch(data, end, 10, "<H", count)
    with pytest.raises(UsageError, match=f"directory says {count:,} entries and has 3"):
        members(write(tmp_path, data))


def test_a_part_of_a_zip_in_parts_is_told(tmp_path: Path) -> None:
    data = zip_bytes(FILES)
    patch(data, data.rindex(b"PK\x05\x06"), 4, "<H", 2)
    with pytest.raises(UsageError, match="zip in several parts .*zip -s 0"):
        members(write(tmp_path, data))
    for name in ("in.z01", "in.zip.001", "in.tar.002"):
        with pytest.raises(UsageError, match="one part of an archive: join the parts first"):
            members(tmp_path / name)
    for name in ("in.7z", "in.rar", "in.tar.lz4"):
        with pytest.raises(UsageError, match="of a kind that is not read: unpack it"):
            members(tmp_path / name)


def test_a_zip_that_was_cut_off(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a readable zip: the directory at its end is missing"):
        members(write(tmp_path, zip_bytes(FILES)[:-30]))
    with pytest.raises(UsageError, match="it is empty"):
        members(write(tmp_path, b""))


def test_backslashes_are_separators(tmp_path: Path) -> None:
    data = zip_with_raw_names({b"pets\\cat\\0.jpg": A, b"pets\\dog\\1.jpg": B, b"pets\\owl\\": b""})
    assert contents(write(tmp_path, data)) == {"pets/cat/0.jpg": A, "pets/dog/1.jpg": B}


def test_names_stay_below_the_root(tmp_path: Path) -> None:
    data = zip_with_raw_names({b"/abs/0.jpg": A, b"../../up/1.jpg": B, b"C:\\win\\2.jpg": C})
    notes: list[str] = []
    found = contents(write(tmp_path, data), notes)
    assert found == {"abs/0.jpg": A, "up/1.jpg": B, "win/2.jpg": C}
    assert len(notes) == 2


def test_links_are_what_they_stand_for(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("cat/0.jpg", A)
        for name, target in (("dog/0.jpg", "../cat/0.jpg"), ("owl", "cat"), ("gone.jpg", "x")):
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    assert contents(tmp_path / "in.zip") == {
        "cat/0.jpg": A,
        "dog/0.jpg": A,
        "owl/0.jpg": A,
        "gone.jpg": "unreadable",
    }


def test_special_entries_are_rows(tmp_path: Path) -> None:
    data = zip_bytes({"pipe.jpg": b"", "0.jpg": A})
    patch(data, entries_of(data)[0], ATTRIBUTES, "<I", stat.S_IFIFO << 16)
    assert contents(write(tmp_path, data)) == {"pipe.jpg": "not_a_file", "0.jpg": A}


@pytest.mark.parametrize(("method", "codec"), [(93, "zstd"), (95, "xz")])
def test_newer_methods(tmp_path: Path, method: int, codec: str) -> None:
    if codec == "zstd":
        packed = pa.compress(B, codec="zstd", asbytes=True)
    else:
        import lzma

        packed = lzma.compress(B)
    data = zip_bytes({"0.jpg": packed}, zipfile.ZIP_STORED)
    entry = entries_of(data)[0]
    patch(data, entry, METHOD, "<H", method)
    patch(data, entry, SIZE, "<I", len(B))
    patch(data, entry, 16, "<I", zlib.crc32(B))
    assert contents(write(tmp_path, data)) == {"0.jpg": B}
    patch(data, entry, SIZE, "<I", 10)
    assert "more than the 10 bytes" in str(contents(write(tmp_path, data))["0.jpg"])


def test_an_lzma_dictionary_is_no_larger_than_the_file(tmp_path: Path) -> None:
    data = zip_bytes({"0.jpg": B}, zipfile.ZIP_LZMA)
    # The dictionary's size stands after the local header, the name and 5 bytes of properties.
    struct.pack_into("<I", data, 30 + len("0.jpg") + 5, 0xFFFFFFF0)
    assert contents(write(tmp_path, data)) == {"0.jpg": B}


def test_of_two_entries_with_one_name_the_last_counts(tmp_path: Path) -> None:
    data = zip_with_raw_names({b"a/0.jpg": A, b"a/1.jpg": B})
    data = data.replace(b"a/1.jpg", b"a/0.jpg")
    found = members(write(tmp_path, data))
    assert [(file.name, file.bytes) for file in found] == [("a/0.jpg", len(B)), ("a/0.jpg", len(A))]


@pytest.mark.parametrize("name", ["in.tar", "in.zip"])
def test_the_bytes_say_what_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(zip_bytes(FILES))
    assert contents(tmp_path / name) == FILES


DAMAGE = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8)


@settings(max_examples=300, deadline=None)
@given(
    DAMAGE,
    st.integers(0, 200),
    st.sampled_from([zip_bytes(FILES), with_zip64_end(zip_bytes(FILES))]),
)
def test_whatever_the_bytes_are_there_are_rows_or_one_error(
    damage: list[tuple[int, int]], cut: int, whole: bytearray
) -> None:
    data = bytearray(whole)
    for place, value in damage:
        data[-1 - place % len(data)] = value
    data = data[: len(data) - cut]
    try:
        found = zips.read_contents(io.BytesIO(data), len(data))
    except ArchiveError:
        return
    assert len(found.entries) % 65536 in (0, 3) or damage
    for entry in found.entries:
        if entry.problem is None and entry.member is not None:
            assert entry.member.offset + entry.member.stored <= len(data)
