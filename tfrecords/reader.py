"""Records of a data set, found without reading all of it: by id, by position, or as samples.

Originals are looked up in the ledger, which has their shard and position. Copies are not in it
and are found by reading shards of their split, each of which is a random sample of all classes.
"""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from tfrecords import example, framing, ledger, locations
from tfrecords.images import canonicalise
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from tfrecords.schema import TRAIN, ImageRecord, source_key

# Read while looking for copies: under a second, and 20 copies of each of 121 classes at 224
# pixels if one record in five is a copy.
MAX_SCAN_BYTES = 128 * 2**20

# Columns of the ledger that `read_samples` looks at.
COLUMNS = ("status", "split", "rank", "shard", "position")

_LENGTH = struct.Struct("<Q")

OpenShard = Callable[[str], BinaryIO]


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record, and where it was read.

    Attributes:
      shard: file name of the shard.
      position: index of the record within it.
      offset: byte of the shard where it begins.
      record: what is there.
    """

    shard: str
    position: int
    offset: int
    record: ImageRecord


@dataclass(frozen=True, slots=True)
class Samples:
    """Records of one class.

    Attributes:
      originals: by rank, from rank 0.
      copies: by rank; those of the originals shown first, then others.
    """

    originals: tuple[ImageRecord, ...] = ()
    copies: tuple[ImageRecord, ...] = ()


def opener(data_dir: str | Folder) -> OpenShard:
    """Returns a function that opens a shard of a data set by its file name."""
    folder = locations.of(data_dir)
    return lambda name: (folder / name).open("rb")


def find(
    data_dir: str | Folder, manifest: Manifest, split: str, ids: Collection[str]
) -> Iterator[StoredRecord]:
    """Yields the records of a split that are called `ids`; those that it lacks are left out.

    The ledger says where originals are. For copies, and where the ledger is absent or of another
    bake, the split's shards are searched in order.

    Raises:
      DamagedRecordError: names the shard and the offset.
      ManifestError: no such split.
      OSError: a shard cannot be read.
    """
    open_shard, left = opener(data_dir), set(ids)
    for stored in _at_ledger_positions(data_dir, open_shard, left):
        if stored.record.id in left:
            left.remove(stored.record.id)
            yield stored
    for shard in manifest.split(split).shards:
        if not left:
            return
        for stored in _every(open_shard, shard.filename):
            if stored.record.id in left:
                left.remove(stored.record.id)
                yield stored


def find_images(
    data_dir: str | Folder, manifest: Manifest, split: str, ids: Collection[str]
) -> dict[str, Image.Image]:
    """Returns id → picture of the records that `find` finds; raises as it does."""
    return {
        stored.record.id: Image.fromarray(
            canonicalise.decode_record(stored.record.image, manifest.image)
        )
        for stored in find(data_dir, manifest, split, ids)
    }


def read_samples(
    manifest: Manifest,
    sources: pa.Table,
    open_shard: OpenShard,
    split: str,
    per_class: int,
    copies: int = 0,
) -> list[Samples]:
    """Returns samples of each class, in label order; the choice depends on ranks alone.

    Args:
      manifest: of the data set.
      sources: `COLUMNS` of the ledger.
      open_shard: opens a shard by its file name.
      split: where from.
      per_class: at most so many originals of a class.
      copies: at most so many copies of a class; train alone has any.

    Raises:
      DamagedRecordError: a record that was read.
      OSError: a shard cannot be read.
    """
    originals = _originals(sources, open_shard, split, per_class)
    by_label: dict[int, list[ImageRecord]] = defaultdict(list)
    if copies and split == TRAIN and any(manifest.split(TRAIN).copies):
        for record in _first_copies(manifest, open_shard):
            by_label[record.label].append(record)
    return [
        Samples(tuple(originals[label]), _of_these(originals[label], by_label[label], copies))
        for label in range(len(manifest.classes))
    ]


def read_positions(
    positions: Mapping[str, Collection[int]], open_shard: OpenShard
) -> Iterator[StoredRecord]:
    """Yields the records at `positions`, by shard, in order of shards and positions.

    Raises:
      DamagedRecordError: a record asked for, or a shard ends before one.
      OSError: a shard cannot be read.
    """
    for shard in sorted(positions):
        with open_shard(shard) as file:
            yield from read_at(file, shard, positions[shard])


def read_at(file: BinaryIO, name: str, positions: Collection[int]) -> Iterator[StoredRecord]:
    """Yields some records of an open shard in its order; others are skipped unread.

    Raises:
      DamagedRecordError: a record asked for, or the file ends before one.
    """
    requested = frozenset(positions)
    for position in range(max(requested, default=-1) + 1):
        if position in requested:
            yield _read_one(file, name, position)
        else:
            _skip_one(file, name, position)


def _at_ledger_positions(
    data_dir: str | Folder, open_shard: OpenShard, ids: Collection[str]
) -> Iterator[StoredRecord]:
    """Yields the records at the positions that the ledger has for `ids`, whatever is there."""
    if not ids:
        return
    listed = pc.field("key").isin(sorted(ids)) & pc.field("shard").is_valid()
    try:
        table = ledger.select(data_dir, ("shard", "position"), listed)
    except ledger.LedgerError:
        return
    for shard, positions in sorted(_by_shard(table).items()):
        try:
            yield from read_positions({shard: positions}, open_shard)
        except (FileNotFoundError, framing.DamagedRecordError):
            # The ledger may be of another bake. If the shard itself is damaged, the search that
            # follows comes across it.
            continue


def _every(open_shard: OpenShard, name: str) -> Iterator[StoredRecord]:
    with open_shard(name) as file:
        for position, (offset, payload) in enumerate(framing.read_frames(file, name)):
            yield StoredRecord(name, position, offset, example.decode(payload))


def _read_one(file: BinaryIO, name: str, position: int) -> StoredRecord:
    for offset, payload in framing.read_frames(file, name):
        return StoredRecord(name, position, offset, example.decode(payload))
    raise _too_short(file, name, position)


def _skip_one(file: BinaryIO, name: str, position: int) -> None:
    header = file.read(framing.HEADER_BYTES)
    if len(header) < framing.HEADER_BYTES:
        raise _too_short(file, name, position)
    (length,) = _LENGTH.unpack_from(header)
    file.seek(length + framing.FOOTER_BYTES, os.SEEK_CUR)


def _too_short(file: BinaryIO, name: str, position: int) -> framing.DamagedRecordError:
    return framing.DamagedRecordError(name, file.tell(), f"the file ends before record {position}")


def _originals(
    sources: pa.Table, open_shard: OpenShard, split: str, per_class: int
) -> dict[int, list[ImageRecord]]:
    kept = (
        (pc.field("status") == ledger.KEPT)
        & (pc.field("split") == split)
        & (pc.field("rank") < per_class)
    )
    of_class: dict[int, list[ImageRecord]] = defaultdict(list)
    positions = _by_shard(sources.select(COLUMNS).filter(kept))
    for stored in read_positions(positions, open_shard):
        of_class[stored.record.label].append(stored.record)
    for records in of_class.values():
        records.sort(key=lambda record: record.rank)
    return of_class


def _by_shard(rows: pa.Table) -> dict[str, list[int]]:
    """Returns shard → positions of rows of the ledger."""
    positions: dict[str, list[int]] = defaultdict(list)
    for row in rows.select(("shard", "position")).to_pylist():
        positions[row["shard"]].append(row["position"])
    return positions


def _first_copies(manifest: Manifest, open_shard: OpenShard) -> Iterator[ImageRecord]:
    budget = MAX_SCAN_BYTES
    for shard in manifest.split(TRAIN).shards:
        with open_shard(shard.filename) as file:
            for _, payload in framing.read_frames(file, shard.filename):
                budget -= len(payload)
                if budget < 0:
                    return
                record = example.decode(payload)
                if record.copy:
                    yield record


def _of_these(
    originals: Sequence[ImageRecord], copies: Sequence[ImageRecord], limit: int
) -> tuple[ImageRecord, ...]:
    keys = {_key(record) for record in originals}
    ordered = sorted(copies, key=lambda copy: (_key(copy) not in keys, copy.rank))
    return tuple(ordered[:limit])


def _key(record: ImageRecord) -> str:
    return source_key(record.id, record.copy)
