"""TFRecord framing: golden bytes, parity with TensorFlow and Beam both ways, every damage."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrecords import framing
from tfrecords.framing import FRAME_BYTES, DamagedRecordError

# What tf.io.TFRecordWriter of TensorFlow 2.21 writes for the payloads b"" and b"evenshard".
GOLDEN_PAYLOADS = [b"", b"evenshard"]
GOLDEN = bytes.fromhex(
    "000000000000000029039807d8ea82a2090000000000000037f971396576656e736861726492a7f11c"
)
PAYLOADS = st.lists(st.binary(max_size=200), max_size=8)


def framed(payloads: Sequence[bytes]) -> bytes:
    return b"".join(map(framing.frame, payloads))


def read(data: bytes) -> list[tuple[int, bytes]]:
    return list(framing.read_frames(io.BytesIO(data), "shard"))


def read_until_damage(data: bytes) -> tuple[list[bytes], DamagedRecordError | None]:
    """Returns the payloads before the damage, and the error that names it."""
    got = []
    try:
        for _, payload in framing.read_frames(io.BytesIO(data), "some/shard"):
            got.append(payload)
    except DamagedRecordError as error:
        return got, error
    return got, None


def test_golden_bytes() -> None:
    assert framed(GOLDEN_PAYLOADS) == GOLDEN
    assert read(GOLDEN) == [(0, b""), (16, b"evenshard")]


def test_crc_of_the_standard() -> None:
    # RFC 3720, B.4: the CRC32C of 32 zero bytes is 0x8a9136aa; then the mask of record_writer.h.
    crc = 0x8A9136AA
    expected = (((crc >> 15) | (crc << 17) & 0xFFFFFFFF) + 0xA282EAD8) % 2**32
    assert framing.masked_crc(bytes(32)) == expected


@given(PAYLOADS)
def test_reading_inverts_framing(payloads: list[bytes]) -> None:
    found = read(framed(payloads))
    assert [payload for _, payload in found] == payloads
    offsets = [sum(len(p) + FRAME_BYTES for p in payloads[:i]) for i in range(len(payloads))]
    assert [offset for offset, _ in found] == offsets


def test_reading_starts_where_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    path.write_bytes(GOLDEN)
    with open(path, "rb") as file:
        file.seek(16)
        assert list(framing.read_frames(file, "shard")) == [(16, b"evenshard")]
    assert list(framing.read_records(str(path))) == GOLDEN_PAYLOADS


class TestTensorFlow:
    @given(payloads=PAYLOADS)
    @settings(max_examples=20, deadline=None)
    def test_writes_the_same_bytes(
        self, payloads: list[bytes], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        tf = pytest.importorskip("tensorflow")
        path = tmp_path_factory.mktemp("tf") / "shard"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for payload in payloads:
                writer.write(payload)
        assert path.read_bytes() == framed(payloads)

    @given(payloads=PAYLOADS)
    @settings(max_examples=20, deadline=None)
    def test_reads_ours(
        self, payloads: list[bytes], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        tf = pytest.importorskip("tensorflow")
        path = tmp_path_factory.mktemp("ours") / "shard"
        path.write_bytes(framed(payloads))
        got = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
        assert got == payloads

    def test_finds_our_bytes_damaged_where_we_do(self, tmp_path: Path) -> None:
        tf = pytest.importorskip("tensorflow")
        path = tmp_path / "shard"
        for position in range(0, len(GOLDEN), 5):
            path.write_bytes(flipped(GOLDEN, position))
            with pytest.raises(tf.errors.DataLossError):
                list(tf.data.TFRecordDataset(str(path)))


class TestBeam:
    PAYLOADS = (b"", b"one", bytes(range(256)) * 40)

    def test_writes_the_same_bytes_and_reads_ours(self) -> None:
        tfrecordio = pytest.importorskip("apache_beam.io.tfrecordio")
        theirs = io.BytesIO()
        for payload in self.PAYLOADS:
            tfrecordio._TFRecordUtil.write_record(theirs, payload)
        assert theirs.getvalue() == framed(self.PAYLOADS)

        ours = io.BytesIO(framed(self.PAYLOADS))
        got = [tfrecordio._TFRecordUtil.read_record(ours) for _ in self.PAYLOADS]
        assert got == list(self.PAYLOADS)

    def test_a_pipeline_reads_ours_and_we_read_its_file(self, tmp_path: Path) -> None:
        beam: Any = pytest.importorskip("apache_beam")
        (tmp_path / "ours").write_bytes(framed(self.PAYLOADS))
        with beam.Pipeline(runner="FnApiRunner") as root:
            _ = (
                root
                | beam.io.ReadFromTFRecord(str(tmp_path / "ours"))
                | beam.io.WriteToTFRecord(str(tmp_path / "theirs"), num_shards=1)
            )
        (path,) = tmp_path.glob("theirs-*")
        assert sorted(framing.read_records(str(path))) == sorted(self.PAYLOADS)


def flipped(data: bytes, position: int, bits: int = 0xFF) -> bytes:
    return data[:position] + bytes([data[position] ^ bits]) + data[position + 1 :]


class TestDamage:
    DATA = framed([b"first", b"", b"the third", bytes(40)])
    STARTS = (0, 21, 37, 62, 118)

    def record_of(self, position: int) -> int:
        return next(i for i, end in enumerate(self.STARTS[1:]) if position < end)

    def test_the_offsets_of_this_class_are_right(self) -> None:
        assert [offset for offset, _ in read(self.DATA)] == list(self.STARTS[:-1])
        assert len(self.DATA) == self.STARTS[-1]

    @pytest.mark.parametrize("bits", [0x01, 0x80, 0xFF])
    def test_a_wrong_byte_anywhere_names_file_and_record(self, bits: int) -> None:
        sound = [payload for _, payload in read(self.DATA)]
        for position in range(len(self.DATA)):
            got, error = read_until_damage(flipped(self.DATA, position, bits))
            record = self.record_of(position)
            assert error is not None, position
            assert (error.path, error.offset) == ("some/shard", self.STARTS[record])
            assert str(error).startswith(f"some/shard: damaged record at byte {error.offset}: ")
            assert got == sound[:record]

    def test_an_end_anywhere_inside_a_record_names_file_and_record(self) -> None:
        sound = [payload for _, payload in read(self.DATA)]
        for length in range(len(self.DATA)):
            got, error = read_until_damage(self.DATA[:length])
            if length in self.STARTS:
                # A file cut between records is whole to its reader: the manifest knows better.
                assert error is None and got == sound[: self.STARTS.index(length)]
                continue
            record = self.record_of(length)
            assert error is not None and error.offset == self.STARTS[record]
            assert got == sound[:record]
            missing = (
                "a header of 12 bytes expected"
                if length < self.STARTS[record] + 12
                else ("bytes announced, the file has")
            )
            assert missing in error.what

    @given(st.data())
    def test_a_byte_lost_or_added_is_found(self, data: st.DataObject) -> None:
        position = data.draw(st.integers(0, len(self.DATA) - 1))
        lost = self.DATA[:position] + self.DATA[position + 1 :]
        added = (
            self.DATA[:position] + bytes([data.draw(st.integers(0, 255))]) + self.DATA[position:]
        )
        for damaged in (lost, added):
            assert read_until_damage(damaged)[1] is not None

    def test_an_impossible_length_is_refused_before_it_is_read(self) -> None:
        length = (2**40).to_bytes(8, "little")
        header = length + framing.masked_crc(length).to_bytes(4, "little")
        _, error = read_until_damage(header + bytes(100))
        assert error is not None and error.what == f"impossible record length {2**40}"

    def test_a_missing_file_is_an_os_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            list(framing.read_records(str(tmp_path / "absent")))


@given(st.lists(st.binary(max_size=40), max_size=8), st.sets(st.integers(0, 10)))
def test_some_records_are_read_by_their_positions(payloads: list[bytes], some: set[int]) -> None:
    file = io.BytesIO(b"".join(map(framing.frame, payloads)))
    found = list(framing.read_at(file, "f", some))
    assert found == [(i, payload) for i, payload in enumerate(payloads) if i in some]
