"""Sample records of each class, found without reading a whole data set.

Originals are looked up in the ledger, which has their shard and position. Copies are not in
it; they are met by reading the first shards of train, each a fair sample of all classes.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from tfrecords import example, framing, ledger
from tfrecords.manifest import Manifest
from tfrecords.schema import TRAIN, ImageRecord

# Read while looking for copies: under a second, and 20 copies of each of 121 classes at 224
# pixels if one record in five is a copy.
MAX_SCAN_BYTES = 128 * 2**20

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Samples:
    """Records of one class.

    Attributes:
      originals: by rank, from rank 0.
      copies: by rank; of the originals shown if there are any of these, else of others.
    """

    originals: tuple[ImageRecord, ...] = ()
    copies: tuple[ImageRecord, ...] = ()


def read_samples(
    data_dir: str | Path, found: Manifest, split: str, per_class: int, copies: int = 0
) -> list[Samples]:
    """Returns samples of each class, in label order; the choice depends on ranks alone.

    Args:
      data_dir: the data set.
      found: its manifest.
      split: where from.
      per_class: at most so many originals of a class.
      copies: at most so many copies of a class; train alone has any.

    Raises:
      LedgerError: no ledger tells where the originals are.
      DamagedRecordError: a record that was read.
      OSError: a shard cannot be read.
    """
    root = Path(data_dir)
    originals = _originals(root, found, split, per_class)
    by_label: dict[int, list[ImageRecord]] = defaultdict(list)
    if copies and split == TRAIN:
        for record in _first_copies(root, found):
            by_label[record.label].append(record)
    return [
        Samples(tuple(originals[label]), _of_these(originals[label], by_label[label], copies))
        for label in range(len(found.classes))
    ]


def read_at(path: str | Path, positions: Collection[int]) -> dict[int, ImageRecord]:
    """Returns position → record for some records of a shard; the others are skipped unread.

    Raises:
      DamagedRecordError: a record asked for, or the file ends before one.
    """
    records = {}
    with open(path, "rb") as file:
        for position in range(max(positions, default=-1) + 1):
            offset = file.tell()
            if position in positions:
                _, payload = next(framing.read_frames(file, str(path)), (0, b""))
                records[position] = example.decode(payload)
                continue
            header = file.read(framing.HEADER_BYTES)
            if len(header) < framing.HEADER_BYTES:
                raise framing.DamagedRecordError(
                    str(path), offset, f"the file ends before record {position}"
                )
            (length,) = _LENGTH.unpack_from(header)
            file.seek(length + framing.FOOTER_BYTES, 1)
    return records


def _originals(
    root: Path, found: Manifest, split: str, per_class: int
) -> dict[int, list[ImageRecord]]:
    table = ledger.select(
        root,
        ["shard", "position"],
        (pc.field("status") == ledger.KEPT)
        & (pc.field("split") == split)
        & (pc.field("rank") < per_class),
    )
    wanted: dict[str, list[int]] = defaultdict(list)
    for row in table.to_pylist():
        wanted[row["shard"]].append(row["position"])
    chosen: dict[int, list[ImageRecord]] = defaultdict(list)
    for shard in sorted(wanted):
        for record in read_at(root / shard, frozenset(wanted[shard])).values():
            chosen[record.label].append(record)
    for records in chosen.values():
        records.sort(key=_rank)
    return chosen


def _first_copies(root: Path, found: Manifest) -> Iterable[ImageRecord]:
    budget = MAX_SCAN_BYTES
    for shard in found.split(TRAIN).shards:
        if not any(found.split(TRAIN).copies):
            return
        for payload in framing.read_records(str(root / shard.filename)):
            budget -= len(payload)
            if budget < 0:
                return
            record = example.decode(payload)
            if record.copy:
                yield record


def _of_these(
    originals: Iterable[ImageRecord], copies: Iterable[ImageRecord], limit: int
) -> tuple[ImageRecord, ...]:
    keys = {record.id for record in originals}
    ordered = sorted(copies, key=lambda copy: (copy.id.rpartition("#")[0] not in keys, copy.rank))
    return tuple(ordered[:limit])


def _rank(record: ImageRecord) -> int:
    return record.rank
