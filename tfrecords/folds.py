"""Ranks within a fold, of a data set whose train split is divided into folds.

Such a data set stores each record once, with its rank among the originals of all folds: the
original of rank r in a class of n has copies of ranks n + r, 2n + r, …. A bake of one fold alone
would number its train pictures 0, 1, 2… without those of the fold, and its copies after them. The
order is the same, so that rank is the stored one less the pictures of the fold that come before.
Which those are is in `sources.parquet`: class, rank and shard of each original.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrecords import ledger, locations
from tfrecords.ledger import LedgerError
from tfrecords.locations import Folder
from tfrecords.manifest import SOURCES, SplitInfo
from tfrecords.schema import TRAIN, VALIDATION

_COLUMNS = ("class", "split", "rank", "shard")


@dataclass(frozen=True, slots=True, eq=False)
class FoldRanks:
    """Turns the stored ranks of records into those within one fold.

    Attributes:
      validation: whether ranks are those in the fold itself, or else in its train part.
      totals: int64[labels], originals of all folds.
      starts: int64[labels + 1], where the originals of a label begin in `held_out`.
      held_out: int64[m], ascending: label times `stride` plus stored rank of the fold's originals.
      stride: above every rank of an original.
    """

    validation: bool
    totals: np.ndarray
    starts: np.ndarray
    held_out: np.ndarray
    stride: int

    @classmethod
    def of(
        cls,
        label: np.ndarray,
        rank: np.ndarray,
        in_fold: np.ndarray,
        *,
        validation: bool,
        labels: int = 0,
    ) -> FoldRanks:
        """Returns the ranks of a fold.

        Args:
          label, rank: int[n], of all originals of train, in any order; ranks as stored.
          in_fold: bool[n], whether each is of the fold.
          validation: whether ranks are those in the fold itself.
          labels: how many there are at least, though the last ones may have no original.

        Raises:
          ValueError: the ranks of a label are not 0, 1, 2… once each.
        """
        totals = np.bincount(label, minlength=labels).astype(np.int64)
        stride = int(totals.max(initial=0)) + 1
        starts = np.cumsum(totals) - totals
        expected = np.arange(len(label)) - np.repeat(starts, totals)
        order = np.lexsort((rank, label))
        if not np.array_equal(rank[order], expected):
            raise ValueError("the ranks of a class's originals are not 0, 1, 2… once each")
        held_out = label[in_fold].astype(np.int64) * stride + rank[in_fold]
        held_out.sort()
        edges = np.arange(len(totals) + 1, dtype=np.int64) * stride
        return cls(validation, totals, np.searchsorted(held_out, edges), held_out, stride)

    @property
    def of_fold(self) -> np.ndarray:
        """int64[labels], the number of originals that the fold holds."""
        return np.diff(self.starts)

    def ranks(self, label: np.ndarray, rank: np.ndarray, copy: np.ndarray) -> np.ndarray:
        """Returns int64[n], the rank of each record within the fold.

        Args:
          label, rank, copy: int[n], as stored, of records of the part that is asked for: the
            fold's own originals, or originals and copies of all other folds.
        """
        of_original = rank - copy * self.totals[label]
        before = np.searchsorted(self.held_out, label * self.stride + of_original)
        before = before - self.starts[label]
        if self.validation:
            return before
        in_train = (self.totals - self.of_fold)[label]
        return copy * in_train + of_original - before


def load(data_dir: str | Folder, split: SplitInfo, labels: Mapping[str, int]) -> FoldRanks:
    """Returns the ranks of a split that `Manifest.of_fold` gave, from the ledger.

    Args:
      data_dir: of the data set.
      split: its train or validation split.
      labels: class → label, of those that matter.

    Raises:
      LedgerError: sources.parquet is absent or damaged, or of another data set.
    """
    names = pa.array(labels, pa.string())
    numbers = np.fromiter(labels.values(), np.int64, len(labels))
    shards = pa.array([shard.filename for shard in split.shards], pa.string())
    parts: list[tuple[np.ndarray, ...]] = []
    for batch in ledger.stream(data_dir, _COLUMNS):
        rows = pa.Table.from_batches([batch])
        kept = pc.and_(pc.equal(rows["split"], TRAIN), pc.is_valid(rows["shard"]))
        rows = rows.filter(pc.fill_null(pc.and_(kept, pc.is_in(rows["class"], names)), False))
        which = pc.index_in(rows["class"], names).to_numpy()
        listed = pc.is_in(rows["shard"], shards).to_numpy()
        parts.append((numbers[which], rows["rank"].to_numpy().astype(np.int64), listed))
    label, rank, listed = (
        np.concatenate([part[column] for part in parts] or [np.zeros(0, np.int64)])
        for column in range(3)
    )
    validation, listed = split.name == VALIDATION, listed.astype(bool)
    in_fold = listed if validation else ~listed
    path = locations.of(data_dir) / SOURCES
    try:
        result = FoldRanks.of(
            label, rank, in_fold, validation=validation, labels=int(numbers.max(initial=-1)) + 1
        )
    except ValueError as error:
        raise LedgerError(path, f"{error}: bake again, or restore the file") from error
    here = result.of_fold if validation else result.totals - result.of_fold
    for name, of_class in labels.items():
        found = int(here[of_class])
        # Only the train part of a class without copies may be capped below what is there.
        said = split.originals[of_class]
        is_whole = validation or split.copies[of_class] > 0
        if found < said or (is_whole and found != said):
            raise LedgerError(
                path,
                f"class {name!r} has {found:,} pictures in the {split.name} split of fold "
                f"{split.fold}, the manifest says {said:,}: bake again, or restore the file",
            )
    return result
