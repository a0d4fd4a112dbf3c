from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tfrecords import example, framing, ledger, manifest, reader
from tfrecords.framing import DamagedRecordError
from tfrecords.reader import Samples, opener, read_at, read_positions
from tfrecords.schema import ImageRecord

SHARD = "fake-train.tfrecord-00001-of-00002"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("samples") / "data"
    fakes.write_dataset(path, copies=9)
    return path


def read_samples(data_dir: Path, split: str, per_class: int, copies: int = 0) -> list[Samples]:
    found, table = manifest.load(data_dir), ledger.read(data_dir)
    return reader.read_samples(found, table, opener(data_dir), split, per_class, copies)


def records_at(path: Path, positions: Sequence[int]) -> dict[int, ImageRecord]:
    with open(path, "rb") as file:
        return {found.position: found.record for found in read_at(file, path.name, positions)}


@pytest.mark.parametrize("positions", [(), (0,), (3, 1), range(26)])
def test_read_at_gives_what_a_full_read_gives(data_dir: Path, positions: tuple[int, ...]) -> None:
    path = data_dir / SHARD
    every = [example.decode(data) for data in framing.read_records(str(path))]
    assert len(every) >= 21
    wanted = [position for position in positions if position < len(every)]
    assert records_at(path, wanted) == {position: every[position] for position in wanted}


def test_read_at_names_the_end_of_a_short_file(data_dir: Path) -> None:
    with pytest.raises(DamagedRecordError, match="the file ends before record"):
        records_at(data_dir / SHARD, [1000])


def test_read_at_checks_what_it_reads(tmp_path: Path, data_dir: Path) -> None:
    data = bytearray((data_dir / SHARD).read_bytes())
    data[-1] ^= 1
    path = tmp_path / SHARD
    path.write_bytes(data)
    last = sum(1 for _ in framing.read_records(str(data_dir / SHARD))) - 1
    assert list(records_at(path, [0])) == [0]
    with pytest.raises(DamagedRecordError, match="CRC of the payload differs"):
        records_at(path, [last])


def test_originals_come_by_rank_and_copies_belong_to_them(data_dir: Path) -> None:
    chosen = read_samples(data_dir, "train", per_class=2, copies=4)
    for label, of_class in enumerate(chosen):
        assert [record.rank for record in of_class.originals] == [0, 1]
        assert {record.label for record in (*of_class.originals, *of_class.copies)} == {label}
        keys = {record.id for record in of_class.originals}
        related = [record for record in of_class.copies if record.id.partition("#")[0] in keys]
        # 9 copies over 8, 5 or 3 originals: the two first have 3, 4 or 6 of them.
        assert len(related) == min(4, (3, 4, 6)[label])
        assert len(of_class.copies) == 4


def test_other_splits_have_no_copies(data_dir: Path) -> None:
    chosen = read_samples(data_dir, "test", per_class=9, copies=9)
    assert [len(of_class.originals) for of_class in chosen] == [2, 2, 2]
    assert all(not of_class.copies for of_class in chosen)


def test_the_search_for_copies_is_bounded(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_SCAN_BYTES", 1)
    chosen = read_samples(data_dir, "train", per_class=1, copies=9)
    assert all(len(of_class.originals) == 1 and not of_class.copies for of_class in chosen)


def test_read_positions_spans_shards(data_dir: Path) -> None:
    rows = ledger.read(data_dir).to_pylist()
    places: dict[str, list[int]] = {}
    for row in rows:
        places.setdefault(row["shard"], []).append(row["position"])
    keys = {(row["shard"], row["position"]): row["key"] for row in rows}
    found = list(read_positions(places, opener(data_dir)))
    read = {(item.shard, item.position): item.record.id for item in found}
    assert read == keys
