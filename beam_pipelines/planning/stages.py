"""The four stages of a plan: deduplicate, group, assign splits, balance.

Each takes what the stage before returned and returns a value of its own. Pure functions of the
facts: no Beam, no pixels. Rows are in key order throughout, so "the smallest row" of several
is the one whose key sorts first.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from beam_pipelines.balance_policy import BalancePolicy
from beam_pipelines.cache import facts_table
from beam_pipelines.cache.thumbnails import LoadThumbnails
from beam_pipelines.choices import DROP_DISTANCE, MAX_DISTANCE, NearDuplicates
from beam_pipelines.config import PrepareConfig
from beam_pipelines.planning import balance, named_groups, split
from beam_pipelines.planning.balance import CopyPlan
from beam_pipelines.planning.classes import in_order
from beam_pipelines.planning.named_groups import NamedGroups
from beam_pipelines.similarity import appearance, duplicates, partitioned
from beam_pipelines.similarity.duplicates import ExactDuplicates, NearGroups
from beam_pipelines.similarity.partitioned import JoinedDuplicates
from tfrecords.images import fingerprints
from tfrecords.schema import TRAIN_INDEX


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """The pictures among the sources, as arrays of one length.

    Attributes:
      row: int32[k], row of each in the facts.
      label: int32[k].
      order: uint64[k], a seeded hash of the key.
      fixed: int8[k], index of the split that the input gives it, or -1.
    """

    row: np.ndarray
    label: np.ndarray
    order: np.ndarray
    fixed: np.ndarray

    @classmethod
    def of(cls, facts: pa.Table, config: PrepareConfig) -> tuple[tuple[str, ...], Pictures]:
        """Returns the classes that have a picture, in label order, and the pictures."""
        row = np.flatnonzero(facts["reason"].is_null().to_numpy())
        names = facts_table.column(facts, "class_name").take(pa.array(row))
        classes, label = _labels(names, config.class_order)
        return classes, cls(
            row=row.astype(np.int32),
            label=label,
            order=facts_table.key_hashes(("order", config.seed), facts, row),
            fixed=_index_of_names(facts_table.column(facts, "split"), config.split_names)[row],
        )

    def take(self, indices: np.ndarray) -> Pictures:
        """Returns the pictures at int64[m] indices."""
        columns = (self.row, self.label, self.order, self.fixed)
        return Pictures(*(values[indices] for values in columns))


# 1. Deduplicate.


class Exclusion(enum.IntEnum):
    """Why the plan excludes a picture; NONE where it does not."""

    NONE = 0
    LABEL_CONFLICT = 1
    EXACT_DUPLICATE = 2
    EXACT_DUPLICATE_OF_ANOTHER_CLASS = 3
    NEAR_DUPLICATE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Excluded:
    """Pictures that go to no split.

    Attributes:
      row: int32[m], row of each in the facts.
      reason: uint8[m], `Exclusion`.
      original: int32[m], the row kept in its place, -1 where none is.
    """

    row: np.ndarray
    reason: np.ndarray
    original: np.ndarray

    def kept(self, rows: int) -> np.ndarray:
        """Returns int64[rows], of each row of the facts the one kept in its place, or -1.

        Of a row that is not excluded, itself.
        """
        one = np.append(np.arange(rows), -1)  # The last element is that of -1.
        one[self.row] = self.original
        # An equal file may have been kept first, and dropped as a near duplicate then.
        return one[one][:rows]


@dataclass(frozen=True, slots=True, eq=False)
class Deduplicated:
    """What `deduplicate` returns.

    Attributes:
      pictures: those that stay.
      excluded: the others.
      conflicts: number of files that are equal to a file of another class.
      tightened: number of classes whose near duplicates needed a smaller distance.
    """

    pictures: Pictures
    excluded: Excluded
    conflicts: int
    tightened: int = 0


def deduplicate(
    pictures: Pictures,
    facts: pa.Table,
    config: PrepareConfig,
    joined: JoinedDuplicates | None = None,
) -> Deduplicated:
    """Excludes exact duplicates, and near duplicates if the configuration drops them.

    Args:
      pictures: of `facts`.
      facts: of `facts_table.FACTS`, in key order.
      config: of the bake.
      joined: near duplicates, if workers have found them already.
    """
    digests = facts_table.binary(facts_table.column(facts, "sha256"))[pictures.row]
    exact = duplicates.exact(digests, pictures.label, config.label_conflicts)
    excluded = _exact_duplicates(pictures, exact)
    conflicts = int(exact.conflict.sum())
    pictures = pictures.take(_first_of_each(exact.keeper))
    if config.near_duplicates is not NearDuplicates.DROP:
        return Deduplicated(pictures, excluded, conflicts)
    near = _near_groups(pictures, facts, config, joined)
    excluded = _concatenated(excluded, _near_duplicates(pictures, near.group))
    kept = pictures.take(_first_of_each(near.group))
    return Deduplicated(kept, excluded, conflicts, len(near.tightened))


def near_distance(config: PrepareConfig) -> int:
    """Returns the number of bits that near duplicates may differ in.

    When grouping, a false match is harmless; when dropping, it loses a picture.
    """
    if config.near_distance is not None:
        return config.near_distance
    drop = config.near_duplicates is NearDuplicates.DROP
    return DROP_DISTANCE if drop else MAX_DISTANCE


def _first_of_each(keeper: np.ndarray) -> np.ndarray:
    return np.flatnonzero(keeper == np.arange(len(keeper)))


def _exact_duplicates(pictures: Pictures, exact: ExactDuplicates) -> Excluded:
    index = np.flatnonzero(exact.keeper != np.arange(len(pictures.row)))
    keeper = exact.keeper[index]
    same_class = pictures.label[index] == pictures.label[keeper]
    reason = np.where(
        same_class, Exclusion.EXACT_DUPLICATE, Exclusion.EXACT_DUPLICATE_OF_ANOTHER_CLASS
    )
    reason[keeper < 0] = Exclusion.LABEL_CONFLICT
    original = np.where(keeper < 0, -1, pictures.row[keeper])
    return Excluded(pictures.row[index], reason.astype(np.uint8), original)


def _near_duplicates(pictures: Pictures, group: np.ndarray) -> Excluded:
    index = np.flatnonzero(group != np.arange(len(group)))
    reason = np.full(len(index), Exclusion.NEAR_DUPLICATE, np.uint8)
    return Excluded(pictures.row[index], reason, pictures.row[group[index]])


def _concatenated(one: Excluded, other: Excluded) -> Excluded:
    pairs = ((one.row, other.row), (one.reason, other.reason), (one.original, other.original))
    return Excluded(*map(np.concatenate, pairs))


def _near_groups(
    pictures: Pictures,
    facts: pa.Table,
    config: PrepareConfig,
    joined: JoinedDuplicates | None,
    named: np.ndarray | None = None,
) -> NearGroups:
    max_distance = near_distance(config)
    if joined is None:
        fingerprint = facts_table.binary(facts_table.column(facts, "fingerprint"))[pictures.row]
        words = fingerprints.columns(fingerprint)
        return duplicates.near_groups(words, pictures.label, max_distance, named=named)
    rows = pa.array(pictures.row)
    ids = partitioned.picture_ids(
        facts_table.column(facts, "pack").take(rows),
        facts_table.column(facts, "index").take(rows).to_numpy(),
    )
    return joined.near_groups(ids, pictures.label, max_distance, named)


# 2. Group.


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Which pictures must stay in one split.

    Attributes:
      group: int64[k], the smallest picture of each one's group of near duplicates or names.
      unit: int64[k], the smallest picture of what is assigned to a split as one: the group,
        or the cluster of a split by appearance.
      tightened: number of classes whose near duplicates needed a smaller distance.
      named: groups by path or table, if the configuration asks for them.
      near: int64[k], groups of near duplicates, if there are both; `group` joins the two.
    """

    group: np.ndarray
    unit: np.ndarray
    tightened: int = 0
    named: NamedGroups | None = None
    near: np.ndarray | None = None


def group_pictures(
    deduplicated: Deduplicated,
    facts: pa.Table,
    config: PrepareConfig,
    joined: JoinedDuplicates | None = None,
) -> Grouping:
    """Groups near duplicates, paths that match and pictures of one value in a table.

    Args:
      deduplicated: the pictures to group, and what was dropped for them.
      facts: of `facts_table.FACTS`, in key order.
      config: of the bake.
      joined: near duplicates, if workers have found them already.
    """
    pictures, near, tightened = deduplicated.pictures, None, 0
    kept = deduplicated.excluded.kept(len(facts))
    named = named_groups.group_by_names(facts, pictures.row, pictures.label, kept, config)
    group = np.arange(len(pictures.row)) if named is None else named.group
    if config.near_duplicates is NearDuplicates.GROUP:
        found = _near_groups(pictures, facts, config, joined, None if named is None else group)
        tightened = len(found.tightened)
        # A single grouping is labelled by its smallest members already.
        near = None if named is None else found.group
        group = found.group if near is None else duplicates.merge(near, group)
    return Grouping(group, group, tightened, named, near)


# 3. Assign splits.


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """The pictures that are to be divided, and into which splits.

    Attributes:
      free: int64[m], the pictures, as indices of `Pictures`.
      splits: indices of the splits, train first.
      shares: what each of them should get; adds up to 1.
    """

    free: np.ndarray
    splits: np.ndarray
    shares: tuple[float, ...]

    @classmethod
    def of(cls, pictures: Pictures, config: PrepareConfig) -> Demand:
        """Returns what a configuration asks for.

        If the input gives some splits and not others (a test folder and no validation folder,
        say), the missing ones are taken from the given train split.
        """
        fractions = np.array([fraction for _, fraction in config.splits])
        given = np.isin(np.arange(len(fractions)), pictures.fixed)
        if not given.any():
            free, splits = np.arange(len(pictures.row)), np.arange(len(fractions))
        else:
            free = np.flatnonzero(np.isin(pictures.fixed, (-1, TRAIN_INDEX)))
            splits = np.flatnonzero(~given | (np.arange(len(fractions)) == TRAIN_INDEX))
            fractions = fractions[splits] / fractions[splits].sum()
        return cls(free, splits, tuple(fractions.tolist()))


def cluster_groups(
    pictures: Pictures, group: np.ndarray, thumbnails: LoadThumbnails | None, config: PrepareConfig
) -> np.ndarray:
    """Returns int64[k], the smallest picture of each one's cluster; no group is divided.

    Where a given split is divided, only its pictures are clustered: those of a given test split
    would make clusters larger, and what is to be divided would be cut finer.

    Args:
      pictures: to cluster.
      group: int64[k], the smallest picture of each one's group.
      thumbnails: loads those of some rows of the facts.
      config: of the bake.

    Raises:
      ValueError: there are no thumbnails.
    """
    if thumbnails is None:
        raise ValueError("a split by appearance needs thumbnails")
    load, demand = thumbnails, Demand.of(pictures, config)
    some = demand.free if len(demand.splits) > 1 else np.arange(len(pictures.row))
    rest = np.setdiff1d(np.arange(len(pictures.row)), some)
    result = np.empty(len(pictures.row), np.int64)
    result[rest] = rest[duplicates.merge(group[rest])]
    clusters = appearance.cluster(
        lambda index: load(pictures.row[some[index]]), pictures.label[some]
    )
    result[some] = some[appearance.keep_whole(clusters, duplicates.merge(group[some]))]
    return result


def follow_given(pictures: Pictures, grouping: Grouping, config: PrepareConfig) -> Pictures:
    """Returns pictures of which those of one group follow the splits that the input gives some.

    A picture without a given split gets that of the others of its group: the majority, or the
    earlier split in a tie. With --group_column that of its value comes first, then that of
    the group that duplicates make of several values. Only the input itself divides a group then.
    """
    if not (pictures.fixed >= 0).any():
        return pictures
    column = None if grouping.named is None else grouping.named.column
    by_value = () if column is None else (column.of_values(), column.group)
    fixed = pictures.fixed
    for group in (*by_value, grouping.group):
        fixed = split.follow_fixed(group, fixed, len(config.splits))
    return replace(pictures, fixed=fixed)


def assign_splits(pictures: Pictures, unit: np.ndarray, config: PrepareConfig) -> np.ndarray:
    """Returns int8[k], the split index of each picture; no unit is divided."""
    demand = Demand.of(pictures, config)
    is_given = (pictures.fixed >= 0).any()
    if not is_given or len(demand.splits) == 1:
        fractions = [fraction for _, fraction in config.splits]
        return split.assign(unit, pictures.label, pictures.order, fractions, pictures.fixed)
    free = demand.free
    _, first, member = np.unique(unit[free], return_index=True, return_inverse=True)
    assigned = split.assign(
        first[member], pictures.label[free], pictures.order[free], demand.shares
    )
    result = pictures.fixed.copy()
    result[free] = demand.splits[assigned]
    return result


def fold_order(pictures: Pictures, facts: pa.Table, config: PrepareConfig) -> np.ndarray:
    """Returns uint64[k], the seeded hash that folds are dealt by; not that of the ranks."""
    return facts_table.key_hashes(("fold", config.seed), facts, pictures.row)


# 4. Balance.


@dataclass(frozen=True, slots=True, eq=False)
class Balanced:
    """The records of each class.

    Attributes:
      rank: int64[k], rank of each picture among those of its split and class.
      copies: how the train split differs from its originals.
    """

    rank: np.ndarray
    copies: CopyPlan


def balance_train(
    pictures: Pictures, split_index: np.ndarray, classes: int, policy: BalancePolicy
) -> Balanced:
    """Ranks the pictures and plans the copies and the cap of each class of the train split.

    Args:
      pictures: of all splits.
      split_index: int8[k].
      classes: how many there are.
      policy: gives each class its number of records.
    """
    rank = balance.ranks(pictures.label, pictures.order, split_index)
    counts = np.bincount(pictures.label[split_index == TRAIN_INDEX], minlength=classes)
    targets = policy.targets(counts)
    return Balanced(rank, balance.plan_copies(pictures.label, split_index, rank, targets))


def _labels(
    names: pa.DictionaryArray, order: str | Sequence[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the distinct names in order and int32[n], the index of each row's among them."""
    indices = names.indices.to_numpy()
    used = np.flatnonzero(np.bincount(indices, minlength=len(names.dictionary)))
    used_names = names.dictionary.take(pa.array(used)).to_pylist()
    classes = in_order(set(used_names), order)
    label_of_name = {name: label for label, name in enumerate(classes)}
    labels = np.zeros(len(names.dictionary), np.int32)
    labels[used] = [label_of_name[name] for name in used_names]
    return classes, labels[indices]


def _index_of_names(names: pa.DictionaryArray, order: Sequence[str]) -> np.ndarray:
    """Returns int8[n], the index of each name in `order`, -1 for null and for any other."""
    known = {name: index for index, name in enumerate(order)}
    # The last element is that of null, whose index is -1.
    numbers = [*(known.get(name, -1) for name in names.dictionary.to_pylist()), -1]
    return np.array(numbers, np.int8)[names.indices.fill_null(-1).to_numpy()]
