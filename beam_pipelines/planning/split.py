"""Assigns pictures to splits: exact sizes per class, no group divided, stable as data grow.

For each class on its own:

1. The size of each split is rounded by largest remainder (`quotas`).
2. Groups of several pictures are put in the order of a seeded hash, and that order is cut into
   one run for each split: where the hash alone says (at 0.8 and 0.9, say), or as near to it as
   the quotas allow. A group keeps its hash when files are added, so only groups next to a cut
   can move.
3. Single pictures, in the order of their own hash, fill what the groups left, exactly.

If that leaves a split empty, since a few large groups are all that each class has, classes are cut
once more, one after the other, and what one cannot give to a split is asked of the next.

A group that spans classes is ordered with the class that most of its pictures have; the single
pictures of its other classes make up for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tfrecords.schema import TRAIN_INDEX

# A class with a larger part of its rows single or in groups of its own fills its quotas by itself.
_MOST_OWN = 0.9

# 2^(splits - 1) ways to cut the order of groups are compared for every class.
MAX_SPLITS = 12


def quotas(count: int, fractions: Sequence[float]) -> tuple[int, ...]:
    """Returns how many of `count` pictures of a class go to each split, train first.

    Rounded by largest remainder; ties go to the earlier split, and train gets 1 of any class
    that has 1. So with 0.8, 0.1, 0.1 the classes of 1, 2 and 3 pictures go to train whole; 4
    give 3, 1, 0; 5 give 4, 1, 0; 6 give 5, 1, 0; 7, the first in every split, give 5, 1, 1.

    Args:
      count: 0 or more.
      fractions: each 0 or more, adding up to 1. Taken as the decimals they print as: 0.1 is 1/10.

    Raises:
      ValueError: a negative count, or fractions that do not add up to 1.
    """
    if count < 0:
        raise ValueError(f"a class must have 0 or more pictures, not {count}")
    exact = [count * share for share in _exact_shares(fractions)]
    result = [int(part) for part in exact]
    by_remainder = sorted(
        range(len(exact)), key=lambda split: (result[split] - exact[split], split)
    )
    for split in by_remainder[: count - sum(result)]:
        result[split] += 1
    if count and not result[TRAIN_INDEX]:
        donor = max(range(len(result)), key=lambda split: (result[split], split))
        result[donor] -= 1
        result[TRAIN_INDEX] += 1
    return tuple(result)


def assign(
    group: np.ndarray,
    class_ids: np.ndarray,
    order: np.ndarray,
    fractions: Sequence[float],
    fixed: np.ndarray | None = None,
) -> np.ndarray:
    """Returns int8[n], the split index of each row.

    Groups are never divided. The counts of a class are its `quotas` exactly, unless its
    groups of several pictures alone exceed one of them. Every class has a picture in train.

    Args:
      group: int64[n], the smallest row of each row's group, as `duplicates.merge` returns it.
      class_ids: int32[n], 0 or more.
      order: uint64[n], a seeded hash of the key.
      fractions: of the splits, as for `quotas`.
      fixed: int8[n], splits decided elsewhere (by a benchmark's folders, say), -1 where none
        is. Fixed rows never move and count towards the quotas. The rest of their group
        follows them: the majority, or the earlier split in a tie. So a group is divided only
        if the given split divides it (`divided_groups`), and a class is missing in train
        only if all of its rows are bound to other splits.

    Raises:
      ValueError: fractions that do not add up to 1, or a fixed split beyond them.
    """
    _exact_shares(fractions)
    if len(group) == 0:
        return np.zeros(0, np.int8)
    result = follow_fixed(group, fixed, len(fractions))
    quota = quota_table(np.bincount(class_ids), fractions)
    is_free = result < 0
    is_single = np.bincount(group, minlength=len(group))[group] == 1
    groups = _free_groups(group, class_ids, order, is_free & ~is_single, len(quota))
    taken = _count_table(result, class_ids, quota.shape)
    singles = np.bincount(class_ids[is_free & is_single], minlength=len(quota))
    exact = quota.sum(axis=1, keepdims=True) * np.array(fractions, np.float64)
    room, shares = quota - taken, _shares(groups, exact - taken, singles)
    group_split = _assign_groups(groups, room, shares)
    if _leaves_a_split_empty(groups, group_split, taken, quota, singles):
        group_split = _assign_groups(groups, room, shares, carries=True)
    _put_every_class_in_train(groups, group_split, taken, singles)
    split_of_group = np.full(len(group), -1, np.int8)
    split_of_group[groups.ids] = group_split
    result = np.where(is_free, split_of_group[group], result)
    taken = _count_table(result, class_ids, quota.shape)
    parts = _share_singles(singles, quota, taken)
    _assign_singles(result, np.flatnonzero(is_free & is_single), class_ids, order, parts)
    return result


def divided_groups(group: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Returns int64[k], the groups (smallest rows) that have rows in more than one split."""
    # The split of the last row of each group is that of all its rows, unless it is divided.
    one = np.zeros(int(group.max(initial=-1)) + 1, np.int8)
    one[group] = split
    return np.unique(group[one[group] != split])


def _exact_shares(fractions: Sequence[float]) -> list[Fraction]:
    shares = [Fraction(repr(float(fraction))) for fraction in fractions]
    total = sum(shares, start=Fraction())
    if not 1 <= len(shares) <= MAX_SPLITS or min(shares) < 0 or abs(total - 1) > 1e-6:
        raise ValueError(
            f"split fractions must be 1 to {MAX_SPLITS} numbers of 0 or more that add up to 1, "
            f"not {', '.join(map(str, fractions)) or 'none'}"
        )
    return [share / total for share in shares]


def quota_table(counts: np.ndarray, fractions: Sequence[float]) -> np.ndarray:
    """Returns int64[classes, splits]."""
    different, which = np.unique(counts, return_inverse=True)
    return np.array([quotas(int(count), fractions) for count in different], np.int64)[which]


def _count_table(split: np.ndarray, class_ids: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns int64[classes, splits], rows of each; rows of split -1 are not counted."""
    known = split >= 0
    cells = class_ids[known].astype(np.int64) * shape[1] + split[known]
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)


def follow_fixed(group: np.ndarray, fixed: np.ndarray | None, splits: int) -> np.ndarray:
    """Returns int8[n], the fixed split of each row or of its group, or -1.

    Args:
      group, fixed: as for `assign`.
      splits: their number.
    """
    if fixed is None or not len(group):
        return np.full(len(group), -1, np.int8)
    if fixed.min() < -1 or fixed.max() >= splits:
        raise ValueError(
            f"fixed splits must be -1 to {splits - 1}, not {fixed.min()}, {fixed.max()}"
        )
    known = np.flatnonzero(fixed >= 0)
    cells, votes = np.unique(group[known] * splits + fixed[known], return_counts=True)
    # The last write to a group wins: most votes, then the earlier split.
    ascending = np.lexsort((-cells, votes))
    followed = np.full(len(group), -1, np.int8)
    followed[cells[ascending] // splits] = cells[ascending] % splits
    return np.where(fixed >= 0, fixed, followed[group]).astype(np.int8)


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """Groups of several rows that may go to any split, in the order of (home class, hash).

    Attributes:
      ids: int64[k], smallest row.
      home: int64[k], the class that most of its rows have.
      home_count: int64[k], its rows of that class.
      hashes: uint64[k], ascending in each home class.
      part_group, part_class, part_count: int64[p], rows of each (index in `ids`, class).
    """

    ids: np.ndarray
    home: np.ndarray
    home_count: np.ndarray
    hashes: np.ndarray
    part_group: np.ndarray
    part_class: np.ndarray
    part_count: np.ndarray


def _free_groups(
    group: np.ndarray, class_ids: np.ndarray, order: np.ndarray, mask: np.ndarray, classes: int
) -> _Groups:
    rows = np.flatnonzero(mask)
    ids, member_of = np.unique(group[rows], return_inverse=True)
    # The smallest hash changes with probability 1/(size + 1) when a member is added; the
    # smallest key would do so for every file that sorts first.
    hashes = np.full(len(ids), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(hashes, member_of, order[rows])
    cells, part_count = np.unique(member_of * classes + class_ids[rows], return_counts=True)
    part_group, part_class = cells // classes, cells % classes
    # The last write to a group wins: most rows, then the smaller class.
    ascending = np.lexsort((-part_class, part_count))
    home, home_count = np.empty((2, len(ids)), np.int64)
    home[part_group[ascending]] = part_class[ascending]
    home_count[part_group[ascending]] = part_count[ascending]
    by_home = np.lexsort((hashes, home))
    index = np.empty(len(ids), np.int64)
    index[by_home] = np.arange(len(ids))
    return _Groups(
        ids[by_home],
        home[by_home],
        home_count[by_home],
        hashes[by_home],
        index[part_group],
        part_class,
        part_count,
    )


def _shares(groups: _Groups, share: np.ndarray, singles: np.ndarray) -> np.ndarray:
    """Returns float64[classes, splits], the rows that the groups and singles of a class can fill.

    Where much of a class is in groups at home in other classes, those rows go wherever these
    groups go. To count on them would leave the splits that come after train short.

    Args:
      share: float64[classes, splits], quotas before rounding, less the rows assigned so far.
      singles: int64[classes], single rows.
    """
    share = np.maximum(share, 0)
    own = singles + np.bincount(groups.home, groups.home_count, minlength=len(singles))
    part = own / np.maximum(share.sum(axis=1), 1e-9)
    # A stray link between two classes is no reason to cut elsewhere.
    return share * np.where(part < _MOST_OWN, part, 1.0)[:, None]


def _assign_groups(
    groups: _Groups, room: np.ndarray, share: np.ndarray, *, carries: bool = False
) -> np.ndarray:
    """Returns int8[k], the split of each group.

    Args:
      room: int64[classes, splits], quota less the rows assigned so far.
      share: float64[classes, splits], what each split should get.
      carries: whether what a class cannot give to a split is asked of the next ones.
    """
    result = np.empty(len(groups.ids), np.int8)
    homes, starts = np.unique(groups.home, return_index=True)
    ends = np.append(starts, len(groups.ids))[1:]
    owed = np.zeros(room.shape[1])
    for home, start, end in zip(homes, starts, ends, strict=True):
        sizes = groups.home_count[start:end]
        asked, free = share[home], room[home]
        if carries:
            asked, free = np.maximum(asked + owed, 0), np.rint(free + owed).astype(np.int64)
        result[start:end] = _cut(sizes, groups.hashes[start:end], np.maximum(free, 0), asked)
        given = np.bincount(result[start:end], sizes, minlength=len(owed))
        owed += share[home] - given
    return result


def _leaves_a_split_empty(
    groups: _Groups,
    group_split: np.ndarray,
    taken: np.ndarray,
    quota: np.ndarray,
    singles: np.ndarray,
) -> bool:
    """Returns whether a split gets nothing that others could give.

    So it is where each class has five groups of one size: at 80%, 10% and 10% the first four and
    the fifth, in every class alike, and none for the last split.
    """
    total = taken.sum(axis=0) + np.bincount(group_split, groups.home_count, minlength=len(quota[0]))
    return not singles.any() and bool(((total == 0) & (quota.sum(axis=0) > 0)).any())


def _cut(sizes: np.ndarray, hashes: np.ndarray, room: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Cuts the groups of a class into one run for each split.

    Args:
      sizes: int64[k], rows of the groups in the order of their hashes.
      hashes: uint64[k], ascending.
      room: int64[splits], rows that each split can take before it is overfull.
      share: float64[splits], the same before quotas are rounded.

    Returns:
      int8[k], split of each group. Of the cuts just before and just after the ideal ones,
      those that overfill the splits least, then those nearest to the ideal ones.
    """
    ends = np.concatenate([[0], np.cumsum(sizes)])
    ideal = _ideal_cuts(ends, hashes, share)
    before = np.searchsorted(ends, ideal + 1e-9, side="right") - 1
    after = np.minimum(before + 1, len(sizes))
    # Later cuts come first, so that a tie goes to the earlier split.
    options = itertools.product(*zip(after, before, strict=True))
    cuts = np.array([(0, *option, len(sizes)) for option in options], np.int64)
    cuts = cuts[(np.diff(cuts, axis=1) >= 0).all(axis=1)]
    filled = np.diff(ends[cuts], axis=1)
    overfull = np.maximum(filled - room, 0).sum(axis=1)
    ideal_sizes = np.diff(np.concatenate([[0], ideal, ends[-1:]]))
    distance = np.square(filled - ideal_sizes).sum(axis=1).round(6)
    best = cuts[np.lexsort((distance, overfull))[0]]
    return np.repeat(np.arange(len(room), dtype=np.int8), np.diff(best))


def _ideal_cuts(ends: np.ndarray, hashes: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Returns float64[splits - 1], the number of rows before each cut.

    A cut is where the hash alone puts it, which no other file can move, as long as the
    single pictures can make up for what that leaves uneven; else it is at the nearest point
    where they can. Without single pictures there is only one such point: the end of the share.
    """
    part = np.cumsum(share)[:-1] / max(share.sum(), 1e-9)
    by_hash = ends[np.searchsorted(hashes, part * 2.0**64)]
    rest = share.sum() - np.cumsum(share)
    cuts = [0.0]
    for split, cut in enumerate(by_hash):
        lowest, highest = ends[-1] - rest[split], cuts[-1] + share[split]
        cuts.append(float(min(max(cut, lowest, cuts[-1]), highest, ends[-1])))
    return np.array(cuts[1:])


def _put_every_class_in_train(
    groups: _Groups, group_split: np.ndarray, taken: np.ndarray, singles: np.ndarray
) -> None:
    """Moves the smallest group of each class that would be missing in train there, in place."""
    is_train = group_split[groups.part_group] == TRAIN_INDEX
    has_train = (taken[:, TRAIN_INDEX] > 0) | (singles > 0)
    has_train[groups.part_class[is_train]] = True
    has_group = np.zeros(len(has_train), bool)
    has_group[groups.part_class] = True
    total = np.bincount(groups.part_group, groups.part_count, minlength=len(groups.ids))
    for missing in np.flatnonzero(has_group & ~has_train):
        of_class = groups.part_group[groups.part_class == missing]
        if not np.any(group_split[of_class] == TRAIN_INDEX):
            group_split[of_class[np.argmin(total[of_class])]] = TRAIN_INDEX


def _share_singles(singles: np.ndarray, quota: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Returns int64[classes, splits], how many single pictures of a class go to each split.

    Each split gets what it lacks, if no split is overfull; else they share the single pictures
    in proportion to what they lack, by largest remainder. Train gets 1 if it has nothing of
    the class yet.
    """
    missing = np.maximum(quota - taken, 0)
    whole = np.maximum(missing.sum(axis=1, keepdims=True), 1)
    parts, remainder = np.divmod(singles[:, None] * missing, whole)
    by_remainder = np.argsort(-remainder, axis=1, kind="stable")
    position = np.argsort(by_remainder, axis=1, kind="stable")
    parts += position < (singles - parts.sum(axis=1))[:, None]
    short = np.flatnonzero((singles > 0) & (taken[:, TRAIN_INDEX] + parts[:, TRAIN_INDEX] == 0))
    parts[short, parts[short].argmax(axis=1)] -= 1
    parts[short, TRAIN_INDEX] += 1
    return parts


def _assign_singles(
    result: np.ndarray,
    rows: np.ndarray,
    class_ids: np.ndarray,
    order: np.ndarray,
    parts: np.ndarray,
) -> None:
    """Assigns the single pictures `rows` in the order of their hash, in place."""
    ordered = rows[np.lexsort((order[rows], class_ids[rows]))]
    splits = np.tile(np.arange(parts.shape[1], dtype=np.int8), len(parts))
    result[ordered] = np.repeat(splits, parts.ravel())
