"""Plans which records each class gets in the train split, before any pixel is touched.

Records of a class are ranked 0, 1, 2 …: originals first, in the order of a seeded hash, then
copies in rounds over the originals. The record of rank r depends on r and the class alone, so
the records with `rank < m` of a larger bake are exactly the bake at m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfrecords.schema import TRAIN_INDEX


def ranks(class_ids: np.ndarray, order: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Returns int64[n], the rank of each original among those of its split and class.

    Args:
      class_ids: int32[n].
      order: uint64[n], a seeded hash of the key; equal hashes rank by row.
      split: int8[n], split index.
    """
    cell = _cells(class_ids, split)
    by_cell = np.lexsort((order, cell))
    sizes = np.bincount(cell)
    starts = np.cumsum(sizes) - sizes
    result = np.empty(len(by_cell), np.int64)
    result[by_cell] = np.arange(len(by_cell)) - starts[cell[by_cell]]
    return result


@dataclass(frozen=True, slots=True, eq=False)
class CopyPlan:
    """How the records of the train split differ from its originals.

    Attributes:
      row: int64[m], the original that each copy is made from.
      copy: int32[m], copy number from 1; with `row` it identifies the copy.
      rank: int64[m], rank of the copy in its class.
      capped: bool[n], originals of the train split that are left out.
    """

    row: np.ndarray
    copy: np.ndarray
    rank: np.ndarray
    capped: np.ndarray


def plan_copies(
    class_ids: np.ndarray, split: np.ndarray, rank: np.ndarray, targets: np.ndarray
) -> CopyPlan:
    """Plans the copies that bring each class of the train split to its target.

    In a class of n originals the record of rank r is copy r // n of the original of rank
    r % n; copy 0 is the original. Splits other than train are never touched.

    Args:
      class_ids: int32[n].
      split: int8[n], split index.
      rank: int64[n], from `ranks`.
      targets: int64[c], from `BalancePolicy.targets`; 0 for a class without originals.

    Raises:
      ValueError: a target of 1 or more for a class without originals in train.
    """
    rows = np.flatnonzero(split == TRAIN_INDEX)
    counts = np.bincount(class_ids[rows], minlength=len(targets))
    impossible = np.flatnonzero((targets > 0) & (counts == 0))
    if len(impossible):
        raise ValueError(f"class {impossible[0]} has no original in train to make copies from")
    by_rank = rows[np.lexsort((rank[rows], class_ids[rows]))]
    starts = np.cumsum(counts) - counts
    extra = np.maximum(np.asarray(targets) - counts, 0)
    label = np.repeat(np.arange(len(targets)), extra)
    copy_rank = counts[label] + arange_within(extra)
    row = by_rank[starts[label] + copy_rank % counts[label]]
    capped = (split == TRAIN_INDEX) & (rank >= np.asarray(targets)[class_ids])
    return CopyPlan(row, (copy_rank // counts[label]).astype(np.int32), copy_rank, capped)


def _cells(class_ids: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Returns int64[n], one number for each (split, class)."""
    classes = int(class_ids.max()) + 1 if len(class_ids) else 1
    return split.astype(np.int64) * classes + class_ids


def arange_within(lengths: np.ndarray) -> np.ndarray:
    """Returns 0 … length-1 for each length, one after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - lengths, lengths)
