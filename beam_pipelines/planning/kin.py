"""Whether pictures are kin, as far as thumbnails show: decides `--split_by=auto`."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from beam_pipelines.cache import facts_table
from beam_pipelines.cache.thumbnails import LoadThumbnails
from beam_pipelines.choices import SplitBy
from beam_pipelines.config import PrepareConfig
from beam_pipelines.planning import telling_names
from beam_pipelines.planning.stages import Demand, Pictures
from beam_pipelines.planning.telling_names import TellingNames
from beam_pipelines.similarity import duplicates, leakage
from beam_pipelines.similarity.leak_meter import BAD
from tfrecords.schema import TRAIN_INDEX
from tfrecords.sharding import stable_hash

# Of more pictures, only some packs are looked at: their thumbnails are 77 MB.
MAX_PICTURES = 100_000

# What is measured before the split: of more pictures, only some classes, each as a whole.
_MAX_MEASURED = 20_000

# Fewer pictures are too few for clusters, and for a number that decides.
MIN_PICTURES = 200

# Names tell what belongs together if with whole groups so much of the expected reading is left.
# Groups that have nothing to do with looks, each a fifth of a class at most, leave 0.8 or more.
_TELLING = 0.5

# Rows of the facts, label, group and train's share → `leakage.expected_share` of these pictures.
ExpectShare = Callable[[np.ndarray, np.ndarray, np.ndarray, float], float]


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """How pictures are split.

    Attributes:
      split_by: `RANDOM` or `APPEARANCE`.
      share: of the pictures, how many would have a near one in train; None if not measured.
      names: the names that tell what belongs together, if they do; `split_by` is then `RANDOM`.
      named_share: the same as `share`, with these groups whole.
    """

    split_by: SplitBy
    share: float | None = None
    names: TellingNames | None = None
    named_share: float = 0.0

    def note(self) -> str | None:
        """Returns what a person should know of a decision, or None if nothing was changed."""
        if self.share is None or not (self.names or self.split_by is SplitBy.APPEARANCE):
            return None
        why = (
            f"in a random split, {self.share:.0%} of the pictures would have a similar one of "
            "their class in train, like frames of one video, and scores would be too high"
        )
        if self.names is None:
            return (
                f"--split_by=auto chose appearance: {why}; --split_by=random splits at random "
                "anyway, and --group_column is better if a table tells what belongs together, "
                "--group_by if names do"
            )
        return (
            f"--split_by=auto chose names: {why}; it is {self.named_share:.0%} where pictures "
            f"whose paths share {self.names.shared}, such as {self.names.example!r}, stay in one "
            f"split, as with --group_by={shlex.quote(self.names.pattern)}; --split_by=random "
            "splits at random anyway"
        )

    def config(self, config: PrepareConfig) -> PrepareConfig:
        """Returns the configuration that says what was decided."""
        changed = dataclasses.replace(config, split_by=self.split_by)
        if self.names is None:
            return changed
        return dataclasses.replace(changed, group_by=self.names.pattern)


def decide(
    pictures: Pictures,
    group: np.ndarray,
    facts: pa.Table,
    config: PrepareConfig,
    thumbnails: LoadThumbnails | None,
    expect: ExpectShare | None = None,
) -> Decided:
    """Decides how to split; measures only for `--split_by=auto`, and only where that matters.

    Where pictures are kin, names that tell which of them keep those together; without such names,
    clusters of what looks alike do, more or less. Groups that were asked for are what the user
    knows of the pictures, and stand. Without thumbnails, as in a preview, nothing can be measured
    and groups are dealt at random.

    Args:
      pictures: to split.
      group: int64[k], the smallest picture of each one's group.
      facts: of `facts_table.FACTS`, in key order.
      config: of the bake.
      thumbnails: loads those of some rows of `facts`.
      expect: has workers measure; None to measure here.
    """
    if config.split_by is not SplitBy.AUTO:
        return Decided(config.split_by)
    demand = Demand.of(pictures, config)
    free = demand.free
    is_told = config.group_by is not None or bool(config.group_column) or len(demand.splits) < 2
    if thumbnails is None or is_told or len(free) < MIN_PICTURES:
        return Decided(SplitBy.RANDOM)
    some = _whole_classes(pictures, free[whole_packs_mask(facts, pictures.row[free])], facts)
    rows, load = pictures.row[some], thumbnails
    if expect is None:

        def expect(rows: np.ndarray, label: np.ndarray, own: np.ndarray, train: float) -> float:
            return leakage.expected_share(lambda index: load(rows[index]), label, own, train)

    labels, train = pictures.label[some], demand.shares[TRAIN_INDEX]
    share = expect(rows, labels, group[some], train)
    if share < BAD:
        return Decided(SplitBy.RANDOM, share)
    found: list[tuple[float, TellingNames]] = []
    for names in telling_names.candidates(facts, pictures.row, pictures.label):
        whole = duplicates.merge(group, names.group)
        found.append((expect(rows, labels, whole[some], train), names))
    # Of equal ones the first, as listed.
    named_share, best = min(found, key=lambda one: one[0], default=(share, None))
    if named_share > _TELLING * share:
        return Decided(SplitBy.APPEARANCE, share)
    return Decided(SplitBy.RANDOM, share, best, named_share)


def whole_packs(facts: pa.Table, rows: np.ndarray) -> np.ndarray:
    """Returns those of int64[k] rows in as many packs as make up `MAX_PICTURES`, or all."""
    return rows[whole_packs_mask(facts, rows)]


def whole_packs_mask(facts: pa.Table, rows: np.ndarray) -> np.ndarray:
    """Returns bool[k], which rows are of `whole_packs`."""
    if len(rows) <= MAX_PICTURES:
        return np.ones(len(rows), bool)
    packs = facts["pack"].combine_chunks()
    # By the dictionary: as strings the names of a million rows would take 30 MB. It may name
    # packs of other rows, which count 0, and, where blocks were joined, a pack twice.
    _, number = np.unique(packs.dictionary.to_pylist(), return_inverse=True)
    of_row = number[packs.indices.take(pa.array(rows)).to_numpy()]
    sizes = np.bincount(of_row)
    count = int(np.searchsorted(np.cumsum(sizes[sizes > 0]), MAX_PICTURES, side="right"))
    last = np.flatnonzero(sizes)[max(count, 1) - 1]
    return of_row <= last


def _whole_classes(pictures: Pictures, index: np.ndarray, facts: pa.Table) -> np.ndarray:
    """Returns those of some pictures whose classes, in a random order, make up `_MAX_MEASURED`.

    A class is taken whole: kin in a part of it would be missing.
    """
    if len(index) <= _MAX_MEASURED:
        return index
    labels, first, sizes = np.unique(pictures.label[index], return_index=True, return_counts=True)
    names = facts_table.column(facts, "class_name").take(pa.array(pictures.row[index[first]]))
    hashes = [stable_hash("kin", name) for name in names.to_pylist()]
    order = np.argsort(np.array(hashes, np.uint64), kind="stable")
    fitting = int(np.searchsorted(np.cumsum(sizes[order]), _MAX_MEASURED, side="right"))
    return index[np.isin(pictures.label[index], labels[order[: max(fitting, 1)]])]
