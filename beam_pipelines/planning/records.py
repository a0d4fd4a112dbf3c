"""The records of each split: which shard each is in, and where."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.cache import facts_table
from beam_pipelines.planning import sharding
from beam_pipelines.planning.folds import EVERY_TRAIN, Folds
from beam_pipelines.planning.stages import Balanced, Pictures
from tfrecords.schema import TRAIN_INDEX


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """The records of one split, in the order of their shards.

    Attributes:
      row: int32[m], row of the source in the facts.
      copy: int32[m], 0 for an original.
      rank: int32[m].
      shard, position: int32[m].
      num_shards: of the split.
    """

    row: np.ndarray
    copy: np.ndarray
    rank: np.ndarray
    shard: np.ndarray
    position: np.ndarray
    num_shards: int

    def of_shard(self, shard: int) -> slice:
        """Returns where the records of a shard are."""
        # Of the column's own type, or each search would first convert the whole column.
        ends = np.array([shard, shard + 1], self.shard.dtype)
        return slice(*np.searchsorted(self.shard, ends).tolist())


def records_of_split(
    index: int,
    facts: pa.Table,
    pictures: Pictures,
    split_index: np.ndarray,
    balanced: Balanced,
    num_shards: int | None = None,
) -> Records:
    """Assigns the records of a split to its shards.

    Args:
      index: of the split.
      facts: of `facts_table.FACTS`, in key order.
      pictures: of all splits.
      split_index: int8[k], split of each picture.
      balanced: their ranks, and the copies of the train split.
      num_shards: at most as many as there are records; None for a number from their bytes.
    """
    copies = balanced.copies
    originals = np.flatnonzero((split_index == index) & ~copies.capped)
    row = pictures.row[originals]
    rank = balanced.rank[originals].astype(np.int32)
    copy = np.zeros(len(originals), np.int32)
    hashes = facts_table.key_hashes(("position",), facts, row)
    if index == TRAIN_INDEX:
        of_copies = pictures.row[copies.row]
        copy_hashes = facts_table.record_hashes(("position",), facts, of_copies, copies.copy)
        hashes = np.concatenate((hashes, copy_hashes))
        row = np.concatenate((row, of_copies))
        copy = np.concatenate((copy, copies.copy))
        rank = np.concatenate((rank, copies.rank.astype(np.int32)))
    if num_shards is None:
        total_bytes = pc.sum(facts["encoded_bytes"].take(pa.array(row))).as_py() or 0
        num_shards = sharding.count_shards(total_bytes, len(row))
    num_shards = max(1, min(num_shards, len(row)))
    order, shard, position = sharding.assign(hashes, num_shards)
    return Records(row[order], copy[order], rank[order], shard, position, num_shards)


def records_of_folds(
    facts: pa.Table,
    pictures: Pictures,
    split_index: np.ndarray,
    folds: Folds,
    balanced: Balanced,
    num_shards: int | None = None,
) -> tuple[Records, tuple[int, ...]]:
    """Assigns the records of the train split to its shards, none of which holds two folds.

    Args:
      facts: of `facts_table.FACTS`, in key order.
      pictures: of all splits.
      split_index: int8[k], split of each picture.
      folds: into which train is divided.
      balanced: their ranks, and the copies.
      num_shards: about as many in all; None for a number from their bytes.

    Returns:
      The records, fold after fold, those that every run trains on last; and the number of shards
      of each fold.
    """
    parts = list(range(folds.count))
    is_train = split_index == TRAIN_INDEX
    if (is_train & (folds.fold == EVERY_TRAIN)).any():
        parts.append(EVERY_TRAIN)
    of_each = None if num_shards is None else -(-num_shards // len(parts))
    found = []
    for part in parts:
        here = is_train & (folds.fold == part)
        copies = balanced.copies
        mine = here[copies.row]
        some = dataclasses.replace(
            copies, row=copies.row[mine], copy=copies.copy[mine], rank=copies.rank[mine]
        )
        index = np.where(here, TRAIN_INDEX, TRAIN_INDEX + 1)
        part_balanced = dataclasses.replace(balanced, copies=some)
        found.append(records_of_split(TRAIN_INDEX, facts, pictures, index, part_balanced, of_each))
    counts = tuple(each.num_shards for each in found)
    first = [sum(counts[:number]) for number in range(len(counts))]
    names = ("row", "copy", "rank", "position")
    joined = {name: np.concatenate([getattr(each, name) for each in found]) for name in names}
    shard = np.concatenate([each.shard + start for each, start in zip(found, first, strict=True)])
    records = Records(
        joined["row"], joined["copy"], joined["rank"], shard.astype(np.int32), joined["position"],
        sum(counts),
    )  # fmt: skip
    return records, counts[: folds.count]
