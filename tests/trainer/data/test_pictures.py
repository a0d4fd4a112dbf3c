"""Pictures found in shards, with and without the ledger."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support import fakes, ledgers
from tfrecords import example, framing, ledger
from tfrecords.images import canonicalise
from tfrecords.manifest import Manifest
from trainer.data import pictures

WANTED = ("apu/validation001.png", "lisa/validation000.png")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return fakes.write_dataset(tmp_path, shards=3)


@pytest.mark.parametrize("with_ledger", [False, True])
def test_finds_the_pictures_of_ids(tmp_path: Path, manifest: Manifest, with_ledger: bool) -> None:
    if with_ledger:
        ledgers.write(tmp_path, manifest)
    found = pictures.load(tmp_path, manifest, "validation", [*WANTED, "no/such.png"])
    assert set(found) == set(WANTED)
    for info in manifest.split("validation").shards:
        for data in framing.read_records(str(tmp_path / info.filename)):
            record = example.decode(data)
            if record.id in found:
                expected = canonicalise.decode_record(record.image, manifest.image)
                np.testing.assert_array_equal(np.asarray(found[record.id]), expected)


def test_the_ledger_spares_reading_other_shards(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {row["key"]: row for row in ledgers.write(tmp_path, manifest)}
    opened: list[str] = []
    original = builtins.open

    def spy(file, *args, **kwargs):  # type: ignore[no-untyped-def]
        opened.append(Path(file).name if isinstance(file, (str, Path)) else str(file))
        return original(file, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", spy)
    list(pictures.records(tmp_path, manifest, "validation", WANTED[:1]))
    assert [name for name in opened if "tfrecord" in name] == [rows[WANTED[0]]["shard"]]


def test_a_ledger_of_another_bake_does_not_mislead(tmp_path: Path, manifest: Manifest) -> None:
    rows = ledgers.write(tmp_path, manifest)
    for row in rows:
        row["position"] = 0
    pq.write_table(pa.Table.from_pylist(rows, schema=ledger.SCHEMA), tmp_path / "sources.parquet")
    found = list(pictures.records(tmp_path, manifest, "validation", WANTED))
    assert {record.id for record in found} == set(WANTED)


def test_names_a_damaged_shard(tmp_path: Path, manifest: Manifest) -> None:
    shard = tmp_path / manifest.split("validation").shards[0].filename
    data = bytearray(shard.read_bytes())
    data[40] ^= 1
    shard.write_bytes(data)
    with pytest.raises(framing.DamagedRecordError, match=shard.name):
        pictures.load(tmp_path, manifest, "validation", ["nowhere"])


def test_nothing_is_read_for_nothing(tmp_path: Path, manifest: Manifest) -> None:
    for shard in manifest.split("validation").shards:
        (tmp_path / shard.filename).unlink()
    assert pictures.load(tmp_path, manifest, "validation", []) == {}
