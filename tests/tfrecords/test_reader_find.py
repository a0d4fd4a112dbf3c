"""Records found by their ids, with and without the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.datasets import fakes, ledgers
from tfrecords import example, framing, ledger, reader
from tfrecords.images import canonicalise
from tfrecords.manifest import Manifest

WANTED = ("apu/validation001.png", "lisa/validation000.png")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return fakes.write_dataset(tmp_path, shards=3)


@pytest.mark.parametrize("with_ledger", [False, True])
def test_finds_the_pictures_of_ids(tmp_path: Path, manifest: Manifest, with_ledger: bool) -> None:
    if with_ledger:
        ledgers.write(tmp_path, manifest)
    found = reader.find_images(tmp_path, manifest, "validation", [*WANTED, "no/such.png"])
    assert set(found) == set(WANTED)
    for info in manifest.split("validation").shards:
        for data in framing.read_records(str(tmp_path / info.filename)):
            record = example.decode(data)
            if record.id in found:
                expected = canonicalise.decode_record(record.image, manifest.image)
                np.testing.assert_array_equal(np.asarray(found[record.id]), expected)


class WatchedFolder:
    """A folder that remembers which of its files were opened."""

    def __init__(self, path: Path, opened: list[str]) -> None:
        self._path, self._opened = path, opened

    def __truediv__(self, name: str) -> WatchedFolder:
        return WatchedFolder(self._path / name, self._opened)

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        self._opened.append(self._path.name)
        return self._path.open(mode)


def test_the_ledger_spares_reading_other_shards(tmp_path: Path, manifest: Manifest) -> None:
    rows = {row["key"]: row for row in ledgers.write(tmp_path, manifest)}
    opened: list[str] = []
    (found,) = reader.find(WatchedFolder(tmp_path, opened), manifest, "validation", WANTED[:1])
    assert found.record.id == WANTED[0]
    assert [name for name in opened if "tfrecord" in name] == [rows[WANTED[0]]["shard"]]


def test_a_ledger_of_another_bake_does_not_mislead(tmp_path: Path, manifest: Manifest) -> None:
    rows = ledgers.write(tmp_path, manifest)
    for row in rows:
        row["position"] = 0
    pq.write_table(pa.Table.from_pylist(rows, schema=ledger.SCHEMA), tmp_path / "sources.parquet")
    found = list(reader.find(tmp_path, manifest, "validation", WANTED))
    assert {item.record.id for item in found} == set(WANTED)


def test_names_a_damaged_shard(tmp_path: Path, manifest: Manifest) -> None:
    shard = tmp_path / manifest.split("validation").shards[0].filename
    data = bytearray(shard.read_bytes())
    data[40] ^= 1
    shard.write_bytes(data)
    with pytest.raises(framing.DamagedRecordError, match=shard.name):
        reader.find_images(tmp_path, manifest, "validation", ["nowhere"])


def test_nothing_is_read_for_nothing(tmp_path: Path, manifest: Manifest) -> None:
    for shard in manifest.split("validation").shards:
        (tmp_path / shard.filename).unlink()
    assert reader.find_images(tmp_path, manifest, "validation", []) == {}


@pytest.mark.parametrize("with_ledger", [False, True])
def test_says_where_records_lie_copies_too(tmp_path: Path, with_ledger: bool) -> None:
    manifest = fakes.write_dataset(tmp_path, copies=4, shards=3)
    if with_ledger:
        ledgers.write(tmp_path, manifest)
    ids = {"lisa/train001.png", "lisa/train001.png#1", "apu/train000.png"}
    found = {item.record.id: item for item in reader.find(tmp_path, manifest, "train", ids)}
    assert set(found) == ids
    for id_, item in found.items():
        with open(tmp_path / item.shard, "rb") as file:
            frames = list(framing.read_frames(file, item.shard))
        offset, payload = frames[item.position]
        assert (offset, example.decode(payload).id) == (item.offset, id_)


def test_a_ledger_that_names_places_beyond_the_shards(tmp_path: Path, manifest: Manifest) -> None:
    rows = ledgers.write(tmp_path, manifest)
    for row in rows:
        row["position"] += 1000
    rows[0]["shard"] = "gone.tfrecord"
    pq.write_table(pa.Table.from_pylist(rows, schema=ledger.SCHEMA), tmp_path / "sources.parquet")
    found = list(reader.find(tmp_path, manifest, "validation", WANTED))
    assert {item.record.id for item in found} == set(WANTED)
