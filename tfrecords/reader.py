"""Sample records of each class, found without reading a whole data set.

Originals are looked up in the ledger, which has their shard and position. Copies are not in
it; they are met by reading the first shards of train, each a fair sample of all classes.
"""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from tfrecords import example, framing, ledger
from tfrecords.manifest import Manifest
from tfrecords.schema import TRAIN, ImageRecord

# Read while looking for copies: under a second, and 20 copies of each of 121 classes at 224
# pixels if one record in five is a copy.
MAX_SCAN_BYTES = 128 * 2**20

# Columns of the ledger that `read_samples` looks at.
COLUMNS = ("status", "split", "rank", "shard", "position")

_LENGTH = struct.Struct("<Q")

OpenShard = Callable[[str], BinaryIO]


@dataclass(frozen=True, slots=True)
class Samples:
    """Records of one class.

    Attributes:
      originals: by rank, from rank 0.
      copies: by rank; those of the originals shown first, then others.
    """

    originals: tuple[ImageRecord, ...] = ()
    copies: tuple[ImageRecord, ...] = ()


def opener(data_dir: str | Path) -> OpenShard:
    """Returns a function that opens a shard of a local data set by its file name."""
    return lambda name: open(os.path.join(data_dir, name), "rb")


def read_samples(
    found: Manifest,
    sources: pa.Table,
    open_shard: OpenShard,
    split: str,
    per_class: int,
    copies: int = 0,
) -> list[Samples]:
    """Returns samples of each class, in label order; the choice depends on ranks alone.

    Args:
      found: the manifest.
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
    if copies and split == TRAIN and any(found.split(TRAIN).copies):
        for record in _first_copies(found, open_shard):
            by_label[record.label].append(record)
    return [
        Samples(tuple(originals[label]), _of_these(originals[label], by_label[label], copies))
        for label in range(len(found.classes))
    ]


def read_places(
    places: Mapping[str, Collection[int]], open_shard: OpenShard
) -> Iterator[tuple[str, int, ImageRecord]]:
    """Yields (shard, position, record) of the records at `places`, shard → positions.

    Raises:
      DamagedRecordError: a record asked for, or a shard ends before one.
      OSError: a shard cannot be read.
    """
    for shard in sorted(places):
        with open_shard(shard) as file:
            for position, record in read_at(file, shard, places[shard]):
                yield shard, position, record


def read_at(
    file: BinaryIO, name: str, positions: Collection[int]
) -> Iterator[tuple[int, ImageRecord]]:
    """Yields (position, record) of some records of an open shard; others are skipped unread.

    Raises:
      DamagedRecordError: a record asked for, or the file ends before one.
    """
    wanted = frozenset(positions)
    for position in range(max(wanted, default=-1) + 1):
        if position in wanted:
            yield position, _read_one(file, name, position)
        else:
            _skip_one(file, name, position)


def _read_one(file: BinaryIO, name: str, position: int) -> ImageRecord:
    for _, payload in framing.read_frames(file, name):
        return example.decode(payload)
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
    places: dict[str, list[int]] = defaultdict(list)
    for row in sources.select(COLUMNS).filter(kept).to_pylist():
        places[row["shard"]].append(row["position"])
    chosen: dict[int, list[ImageRecord]] = defaultdict(list)
    for _, _, record in read_places(places, open_shard):
        chosen[record.label].append(record)
    for records in chosen.values():
        records.sort(key=lambda record: record.rank)
    return chosen


def _first_copies(found: Manifest, open_shard: OpenShard) -> Iterator[ImageRecord]:
    budget = MAX_SCAN_BYTES
    for shard in found.split(TRAIN).shards:
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
    keys = {record.id for record in originals}
    ordered = sorted(copies, key=lambda copy: (copy.id.rpartition("#")[0] not in keys, copy.rank))
    return tuple(ordered[:limit])
