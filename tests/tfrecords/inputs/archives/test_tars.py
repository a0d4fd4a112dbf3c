"""Tars as programs write them, and as nobody should: each member is one row."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.inputs.archives import (
    BLOCK,
    END,
    contents,
    members,
    padded,
    pax_header,
    tar_header,
    tar_member,
)
from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.archives import tars
from tfrecords.inputs.archives.entries import ArchiveError

A, B, C = b"one picture", b"another picture" * 99, b"a third"


def write(tmp_path: Path, *parts: bytes) -> Path:
    path = tmp_path / "in.tar"
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_python_writes(tmp_path: Path, format: int) -> None:
    names = {
        "cat/0.jpg": A,
        "cat/" + "long" * 40 + ".jpg": B,
        "猫/é.jpg": C,
        "deep/" * 30 + "0.jpg": b"",
    }
    with tarfile.open(tmp_path / "in.tar", "w", format=format) as archive:
        for name, data in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            try:
                archive.addfile(info, io.BytesIO(data))
            except ValueError:  # Longer than a ustar can say.
                assert format == tarfile.USTAR_FORMAT
    expected = {name: data for name, data in names.items() if name in names}
    if format == tarfile.USTAR_FORMAT:
        del expected["cat/" + "long" * 40 + ".jpg"]
    notes: list[str] = []
    assert contents(tmp_path / "in.tar", notes) == expected
    assert notes == []


def test_several_tars_one_behind_the_other_are_read_and_said(tmp_path: Path) -> None:
    one = tar_member(b"cat/0.jpg", A) + END
    path = write(tmp_path, one, bytes(9 * BLOCK), tar_member(b"dog/0.jpg", B), END)
    notes: list[str] = []
    assert contents(path, notes) == {"cat/0.jpg": A, "dog/0.jpg": B}
    assert any("it is 2 tars in one file: all are read" in note for note in notes)


def test_links_are_what_they_stand_for(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        tar_member(b"cat/0.jpg", A),
        tar_header(b"dog/hard.jpg", kind=b"1", target=b"cat/0.jpg"),
        tar_header(b"dog/soft.jpg", kind=b"2", target=b"../cat/0.jpg"),
        tar_header(b"dog/twice.jpg", kind=b"2", target=b"soft.jpg"),
        tar_header(b"dog/later.jpg", kind=b"2", target=b"1.jpg"),
        tar_member(b"dog/1.jpg", B),
        tar_header(b"bird", kind=b"2", target=b"dog"),
        tar_header(b"owl/through.jpg", kind=b"2", target=b"../bird/1.jpg"),
        tar_header(b"gone/a.jpg", kind=b"1", target=b"nowhere.jpg"),
        tar_header(b"gone/b.jpg", kind=b"2", target=b"nowhere.jpg"),
        tar_header(b"gone/c.jpg", kind=b"2", target=b"../../../../etc/passwd"),
        tar_header(b"gone/d.jpg", kind=b"2", target=b"/etc/passwd"),
        tar_header(b"gone/e", kind=b"2", target=b"."),
        tar_header(b"gone/f", kind=b"2", target=b"g"),
        tar_header(b"gone/g", kind=b"2", target=b"f"),
        END,
    )
    found = contents(path)
    assert {
        name: found.pop(name) for name in list(found) if name.startswith("gone")
    } == dict.fromkeys(
        [f"gone/{name}" for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e", "f", "g")],
        "unreadable",
    )
    assert found == {
        "cat/0.jpg": A,
        "dog/hard.jpg": A,
        "dog/soft.jpg": A,
        "dog/twice.jpg": A,
        "dog/later.jpg": B,
        "dog/1.jpg": B,
        "bird/1.jpg": B,
        "bird/hard.jpg": A,
        "owl/through.jpg": B,
    }


def test_a_hard_link_stands_for_the_member_before_it(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        tar_member(b"a.jpg", A),
        tar_header(b"link.jpg", kind=b"1", target=b"./a.jpg"),
        tar_member(b"a.jpg", B),
        END,
    )
    assert [(file.name, file.bytes) for file in members(path)] == [
        ("a.jpg", len(B)),  # The last of a name comes first: it is what unpacking leaves.
        ("link.jpg", len(A)),
        ("a.jpg", len(A)),
    ]


def test_links_with_data_of_their_own(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        tar_member(b"a.jpg", A),
        tar_member(b"own.jpg", B, kind=b"1", target=b"a.jpg"),
        tar_header(b"none.jpg", len(A), kind=b"1", target=b"a.jpg"),
        tar_member(b"last.jpg", C),
        END,
    )
    expected = {"a.jpg": A, "own.jpg": B, "none.jpg": A, "last.jpg": C}
    assert contents(path) == expected


SPARSE = b"head" + bytes(1000) + b"middle" + bytes(490)


def sparse_old(name: bytes, data: bytes = b"headmiddle") -> bytes:
    pairs = b"".join(b"%011o\0%011o\0" % pair for pair in ((0, 4), (1004, 6), (1500, 0)))
    fields = {386: pairs, 483: b"%011o\0" % 1500}
    return tar_header(name, len(data), kind=b"S", fields=fields) + padded(data)


def sparse_pax(name: bytes, version: str) -> bytes:
    segments = [(0, 4), (1004, 6), (1500, 0)]
    data = b"headmiddle"
    if version == "0.0":
        records = [("GNU.sparse.size", "1500"), ("GNU.sparse.numblocks", "3")]
        for offset, length in segments:
            records += [("GNU.sparse.offset", str(offset)), ("GNU.sparse.numbytes", str(length))]
        return pax_header(records) + tar_member(name, data)
    named = [("GNU.sparse.name", name.decode())]
    if version == "0.1":
        text = ",".join(f"{offset},{length}" for offset, length in segments)
        records = [*named, ("GNU.sparse.size", "1500"), ("GNU.sparse.map", text)]
        return pax_header(records) + tar_member(b"GNUSparseFile.0/x", data)
    lines = [len(segments), *(number for pair in segments for number in pair)]
    in_data = padded("".join(f"{line}\n" for line in lines).encode())
    records = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        *named,
        ("GNU.sparse.realsize", "1500"),
    ]
    return pax_header(records) + tar_member(b"GNUSparseFile.0/x", in_data + data)


@pytest.mark.parametrize("version", ["old", "0.0", "0.1", "1.0"])
def test_sparse_members_have_the_bytes_of_the_file(tmp_path: Path, version: str) -> None:
    name = b"cat/0.bmp"
    sparse = sparse_old(name) if version == "old" else sparse_pax(name, version)
    path = write(tmp_path, sparse, tar_member(b"cat/1.bmp", A), END)
    assert contents(path) == {"cat/0.bmp": SPARSE, "cat/1.bmp": A}
    with tarfile.open(path) as archive:  # The same as the standard library reads.
        assert archive.extractfile(archive.next()).read() == SPARSE  # type: ignore[union-attr,arg-type]


@pytest.mark.parametrize("version", ["gnu", "posix"])
def test_sparse_members_of_gnu_tar(tmp_path: Path, version: str) -> None:
    holes = tmp_path / "cat"
    holes.mkdir()
    with open(holes / "0.bmp", "wb") as file:
        for place in range(0, 3 << 20, 1 << 17):  # More segments than a header has room for.
            file.seek(place)
            file.write(b"x" * 4096)
        file.truncate(4 << 20)
    command = ["tar", "-C", str(tmp_path), "-S", f"--format={version}", "-cf"]
    done = subprocess.run([*command, str(tmp_path / "in.tar"), "cat"], capture_output=True)
    if done.returncode:
        pytest.skip("GNU tar is needed")
    assert contents(tmp_path / "in.tar") == {"cat/0.bmp": (holes / "0.bmp").read_bytes()}


def test_a_sparse_map_that_lies_is_one_row(tmp_path: Path) -> None:
    bad = [
        [("GNU.sparse.map", "0,4,2,6"), ("GNU.sparse.size", "1500")],  # Overlaps.
        [("GNU.sparse.map", "0,4,1499,6"), ("GNU.sparse.size", "1500")],  # Beyond the end.
        [("GNU.sparse.map", "0,9999"), ("GNU.sparse.size", "15000")],  # More than is stored.
        [("GNU.sparse.map", "0"), ("GNU.sparse.size", "1500")],
        [("GNU.sparse.map", "0,x"), ("GNU.sparse.size", "1500")],
        [("GNU.sparse.major", "2"), ("GNU.sparse.size", "1500")],
        [("GNU.sparse.map", "0,4")],
    ]
    for records in bad:
        path = write(
            tmp_path, pax_header(records), tar_member(b"0.bmp", A), tar_member(b"1.bmp", B)
        )
        found = contents(path)
        assert len(found) == 2 and found["1.bmp"] == B
        assert [value for name, value in found.items() if name != "1.bmp"] == ["unreadable"]


def test_a_sparse_file_says_its_real_size(tmp_path: Path) -> None:
    records = [("GNU.sparse.map", "0,4"), ("GNU.sparse.size", str(1 << 40))]
    path = write(tmp_path, pax_header(records), tar_member(b"0.bmp", b"head"), END)
    assert [file.bytes for file in members(path)] == [1 << 40]


@pytest.mark.parametrize(
    ("mtime", "version"),
    [("inf", 0), ("nan", 0), ("-inf", 0), ("1e300", 0), ("soon", 0), ("-5", -5 * 10**9),
     ("1.5", 15 * 10**8)],
)  # fmt: skip
def test_odd_times_are_no_reason_to_stop(tmp_path: Path, mtime: str, version: int) -> None:
    path = write(tmp_path, pax_header({"mtime": mtime}), tar_member(b"0.jpg", A), END)
    assert [file.version for file in members(path)] == [version]
    assert contents(path) == {"0.jpg": A}


def test_an_odd_time_in_the_header_itself(tmp_path: Path) -> None:
    for field in (b"\xff" * 12, b"\x80" + b"\xff" * 11, b"99999999999\0"):
        path = write(tmp_path, tar_member(b"0.jpg", A, fields={136: field}), END)
        assert contents(path) == {"0.jpg": A}


def test_names_stay_below_the_root(tmp_path: Path) -> None:
    names = {
        b"/data/pets/cat/0.jpg": "data/pets/cat/0.jpg",
        b"../../etc/1.jpg": "etc/1.jpg",
        b"a/../b/2.jpg": "b/2.jpg",
        b"./c//3.jpg": "c/3.jpg",
        b"C:\\data\\4.jpg": "data/4.jpg",
        b"..": "nameless",
    }
    notes: list[str] = []
    path = write(tmp_path, *(tar_member(name, A) for name in names), END)
    assert contents(path, notes) == dict.fromkeys(names.values(), A)
    assert any("1 name at the root of a disk" in note for note in notes)


def test_a_folder_around_all_members_hides_none_of_them(tmp_path: Path) -> None:
    names = (
        b"/home/.data/in/cat/0.jpg",
        b"/home/.data/in/cat/.hidden",
        b"/home/.data/in/dog/0.jpg",
    )
    path = write(tmp_path, *(tar_member(name, A) for name in names), END)
    assert list(contents(path).values()) == [A, "hidden", A]
    path = write(tmp_path, *(tar_member(name, A) for name in names), tar_member(b"a.jpg", A), END)
    assert list(contents(path).values()) == ["hidden"] * 3 + [A]


def test_special_members_are_rows(tmp_path: Path) -> None:
    kinds = {b"3": b"char", b"4": b"block", b"6": b"pipe"}
    path = write(tmp_path, *(tar_header(name, kind=kind) for kind, name in kinds.items()), END)
    assert {(file.name, file.problem) for file in members(path)} == {
        (name.decode(), RejectReason.NOT_A_FILE) for name in kinds.values()
    }


def test_a_kind_that_nobody_knows_is_a_file(tmp_path: Path) -> None:
    path = write(
        tmp_path, *(tar_member(b"%d.jpg" % n, A, kind=b"%c" % (65 + n)) for n in (1, 25)), END
    )
    assert len(members(path)) == 2


@pytest.mark.parametrize("place", [0, 3])
def test_a_damaged_header_costs_one_row(tmp_path: Path, place: int) -> None:
    parts = [tar_member(b"%d.jpg" % number, B) for number in range(6)]
    parts[3] = bytes([parts[3][0] ^ 0xFF]) + parts[3][1:]
    path = write(tmp_path, *parts, END)
    found = contents(path)
    damaged = f"damaged-at-byte-{3 * len(parts[0])}"
    assert found == {
        **{f"{number}.jpg": B for number in (0, 1, 2, 4, 5)},
        damaged: "unreadable",
    }


def test_a_size_beyond_the_end_hides_nothing(tmp_path: Path) -> None:
    for size in (10**9, b"\x80" + b"\x7f" * 11, b"77777777777\0"):
        path = write(
            tmp_path, tar_header(b"lie.jpg", size), padded(A), tar_member(b"0.jpg", B), END
        )
        assert contents(path) == {"lie.jpg": "unreadable", "0.jpg": B}


def test_a_tar_that_was_cut_off(tmp_path: Path) -> None:
    whole = tar_member(b"0.jpg", A) + tar_member(b"1.jpg", B)
    notes: list[str] = []
    assert contents(write(tmp_path, whole[:-700]), notes) == {"0.jpg": A, "1.jpg": "unreadable"}
    assert any("no end mark" in note for note in notes)
    notes.clear()
    contents(write(tmp_path, whole), notes)
    assert any("no end mark" in note for note in notes)


def test_what_follows_the_end_mark_is_noticed(tmp_path: Path) -> None:
    notes: list[str] = []
    path = write(tmp_path, tar_member(b"0.jpg", A), END, b"something else" * 99)
    assert contents(path, notes) == {"0.jpg": A}
    assert any("1,386 bytes after its end mark are not a tar: not read" in note for note in notes)


@pytest.mark.parametrize("data", [b"no tar", b"x" * 5000, b"\0" * 100 + b"x" * 900])
def test_what_is_no_tar(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UsageError, match="is not a readable tar"):
        members(write(tmp_path, data))


def test_an_extended_header_that_claims_gigabytes(tmp_path: Path) -> None:
    for kind in (b"x", b"g", b"L", b"K"):
        lie = tar_header(b"x", 7 << 30, kind=kind)
        path = write(tmp_path, lie, tar_member(b"0.jpg", A), tar_member(b"1.jpg", B), END)
        found = contents(path)
        # A global one is a row of its own; another leaves a member whose name is in doubt.
        damaged = {"damaged-at-byte-0": "unreadable", "0.jpg": A}
        assert found == {**(damaged if kind == b"g" else {"0.jpg": "unreadable"}), "1.jpg": B}


def test_names_in_pax_headers_are_utf8_and_global_ones_are_for_all(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        pax_header({"comment": "x"}, kind=b"g"),
        pax_header({"path": "猫/0.jpg", "size": str(len(A))}),
        tar_member(b"short", A),
        tar_member(b"1.jpg", B),
        END,
    )
    assert contents(path) == {"猫/0.jpg": A, "1.jpg": B}


MEMBERS = st.lists(
    st.tuples(
        st.sampled_from([b"a.jpg", b"b/c.jpg", b"d/../e", b"/f", b"\xff", b""]),
        st.sampled_from([b"0", b"\0", b"1", b"2", b"5", b"S", b"x", b"g", b"L", b"K", b"V", b"M"]),
        st.binary(max_size=600),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=200, deadline=None)
@given(
    MEMBERS,
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6),
    st.integers(0, 3000),
)
def test_whatever_the_bytes_are_there_are_rows_or_one_error(
    wanted: list[tuple[bytes, bytes, bytes]], damage: list[tuple[int, int]], cut: int
) -> None:
    parts = [tar_member(name, data, kind=kind, target=b"a.jpg") for name, kind, data in wanted]
    data = bytearray(b"".join(parts) + END)
    for place, value in damage:
        data[place % len(data)] = value
    data = data[: len(data) - min(cut, len(data) - 1)]
    try:
        found = tars.read_contents(io.BytesIO(data), len(data))
    except ArchiveError:
        return
    for entry in found.entries:
        if entry.member is not None:
            assert 0 <= entry.member.offset
            assert entry.member.offset + entry.member.stored <= len(data)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.binary(max_size=1500), min_size=2, max_size=8), st.data())
def test_one_damaged_header_costs_at_most_its_own_member(
    tmp_path: Path, bodies: list[bytes], data: st.DataObject
) -> None:
    parts = [tar_member(b"%d.jpg" % number, body) for number, body in enumerate(bodies)]
    hurt = data.draw(st.integers(1, len(parts) - 1))
    place = data.draw(st.integers(0, 99))
    header = bytearray(parts[hurt])
    header[place] ^= 0x55
    parts[hurt] = bytes(header)
    found = contents(write(tmp_path, *parts, END))
    expected = {f"{n}.jpg": body for n, body in enumerate(bodies) if n != hurt}
    assert expected.items() <= found.items()
    assert len(found) == len(bodies)
