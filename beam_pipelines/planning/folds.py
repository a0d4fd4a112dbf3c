"""Divides the train split into folds, and plans the records that serve the bake of each.

A fold is the validation split of one run and a part of train for all others. What a group keeps
together is in one fold, and each class is spread over the folds as evenly as its groups allow.
A class that would be in one fold alone has its smallest group in no fold: it is trained on in every
run, so that no run lacks the class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from beam_pipelines.balance_policy import BalancePolicy
from beam_pipelines.planning.balance import CopyPlan, arange_within, ranks
from beam_pipelines.planning.stages import Balanced, Pictures, balance_train
from tfrecords.schema import TRAIN_INDEX

# The fold of a picture that every run trains on.
EVERY_TRAIN = -1

# Classes that a note names before it only counts them.
_SHOWN = 8

# Costs of two folds that differ by less are equal.
_DIGITS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Folds:
    """The folds of a plan.

    Attributes:
      count: of the folds.
      fold: int8[k], of each picture; -1 where it is of another split than train, or trained on
        in every run.
      originals: int64[count, classes], pictures of each fold.
      train_originals, train_copies: int64[count, classes], of a bake that holds the fold out.
    """

    count: int
    fold: np.ndarray
    originals: np.ndarray
    train_originals: np.ndarray
    train_copies: np.ndarray

    def failure(self) -> str | None:
        """Returns why no data set may be written, or None."""
        empty = int((self.originals.sum(axis=1) == 0).sum())
        if not empty:
            return None
        return (
            f"{empty} of {self.count} folds got no picture: a group is never divided, and there "
            "are too few groups; give fewer --folds, or a --group_by, --group_column, "
            "--near_distance or --split_by that makes smaller groups; --allow_empty_splits bakes "
            "anyway"
        )


def deal(unit: np.ndarray, class_ids: np.ndarray, order: np.ndarray, folds: int) -> np.ndarray:
    """Returns int8[n], the fold of each row, or -1 where it is trained on in every run.

    No unit is divided. Units of several rows go, largest first, where their classes have fewest;
    single rows then fill the folds of their class up to one level.

    Args:
      unit: int64[n], the smallest row of what each row must stay with.
      class_ids: int32[n], 0 or more.
      order: uint64[n], a seeded hash of the key, which is not that of the ranks: else the
        pictures of lowest rank would all be in one fold.
      folds: 2 or more.
    """
    result = np.full(len(unit), EVERY_TRAIN, np.int8)
    if not len(unit):
        return result
    sizes = np.bincount(unit, minlength=len(unit))
    is_single = sizes[unit] == 1
    counts = np.zeros((int(class_ids.max()) + 1, folds), np.int64)
    _deal_groups(result, counts, np.flatnonzero(~is_single), unit, class_ids, order)
    load = counts.sum(axis=0)
    singles = np.flatnonzero(is_single)
    singles = singles[np.lexsort((order[singles], class_ids[singles]))]
    of_class = np.split(singles, np.cumsum(np.bincount(class_ids[singles], minlength=len(counts))))
    for label, rows in enumerate(of_class[: len(counts)]):
        added = _fill(counts[label], len(rows), load)
        result[rows] = np.repeat(np.arange(folds, dtype=np.int8), added)
        counts[label] += added
        load += added
    _keep_every_class_in_train(result, counts, unit, class_ids, sizes)
    return result


def balance_folds(
    pictures: Pictures,
    split_index: np.ndarray,
    fold: np.ndarray,
    folds: int,
    classes: int,
    policy: BalancePolicy,
) -> tuple[Balanced, Folds]:
    """Plans the records that hold the bake of every fold.

    An original has the copies of the fold that needs most of it. None is left out by a cap, since
    each is a validation picture of some fold.

    Args:
      pictures: of all splits.
      split_index: int8[k].
      fold: int8[k], from `deal`, -1 outside of train.
      folds: their number.
      classes: how many there are.
      policy: gives each class its number of records in the train split of a fold.
    """
    copies = np.zeros(len(fold), np.int64)
    originals, train_originals, train_copies = np.zeros((3, folds, classes), np.int64)
    for number in range(folds):
        held_out = fold == number
        of_fold = np.where(held_out, TRAIN_INDEX + 1, split_index).astype(np.int8)
        plan = balance_train(pictures, of_fold, classes, policy).copies
        copies = np.maximum(copies, np.bincount(plan.row, minlength=len(fold)))
        kept = (of_fold == TRAIN_INDEX) & ~plan.capped
        originals[number] = np.bincount(pictures.label[held_out], minlength=classes)
        train_originals[number] = np.bincount(pictures.label[kept], minlength=classes)
        train_copies[number] = np.bincount(pictures.label[plan.row], minlength=classes)
    rank = ranks(pictures.label, pictures.order, split_index)
    row = np.repeat(np.arange(len(fold)), copies)
    number_of_copy = arange_within(copies) + 1
    of_class = np.bincount(pictures.label[split_index == TRAIN_INDEX], minlength=classes)
    plan = CopyPlan(
        row=row,
        copy=number_of_copy.astype(np.int32),
        rank=number_of_copy * of_class[pictures.label[row]] + rank[row],
        capped=np.zeros(len(fold), bool),
    )
    counted = Folds(folds, fold, originals, train_originals, train_copies)
    return Balanced(rank, plan), counted


def notes(
    folds: Folds, unit: np.ndarray, label: np.ndarray, is_train: np.ndarray, classes: Sequence[str]
) -> Iterator[str]:
    """Yields a line for classes with fewer groups than folds, and one for those in none.

    Args:
      folds: of the plan.
      unit: int64[k], the smallest picture of what each one stays with.
      label: int32[k].
      is_train: bool[k].
      classes: names in label order.
    """
    pairs = np.unique(np.stack([label[is_train], unit[is_train]]), axis=1)
    groups = np.bincount(pairs[0], minlength=len(classes))
    validated = folds.originals.sum(axis=0)
    never = np.flatnonzero((groups > 0) & (validated == 0)).tolist()
    if never:
        yield (
            f"{_named([classes[each] for each in never])}: only one group, so it is trained on in "
            "every fold and never validated"
        )
    absent = np.flatnonzero((folds.originals == 0).any(axis=0) & (validated > 0)).tolist()
    if absent:
        told = [f"{classes[each]} ({groups[each]})" for each in absent]
        yield (
            f"too few groups for {folds.count} folds (how many): {_named(told)}; absent from the "
            "validation of some folds"
        )


def _named(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    listed = ", ".join(names[:_SHOWN])
    return f"{listed} and {more:,} more classes" if more > 0 else listed


def _deal_groups(
    result: np.ndarray,
    counts: np.ndarray,
    rows: np.ndarray,
    unit: np.ndarray,
    class_ids: np.ndarray,
    order: np.ndarray,
) -> None:
    """Assigns the groups that `rows` are of, largest first; updates `result` and `counts`."""
    if not len(rows):
        return
    weight = 1.0 / np.maximum(np.bincount(class_ids, minlength=len(counts)), 1) ** 2
    ids, member = np.unique(unit[rows], return_inverse=True)
    hashes = np.full(len(ids), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(hashes, member, order[rows])
    by_group = np.argsort(member, kind="stable")
    sizes = np.bincount(member)
    starts = np.cumsum(sizes) - sizes
    load = counts.sum(axis=0)
    for group in np.lexsort((hashes, -sizes)).tolist():
        members = rows[by_group[starts[group] : starts[group] + sizes[group]]]
        labels, parts = np.unique(class_ids[members], return_counts=True)
        # How much the sum of squares over all folds grows, each class's share of itself counted.
        grown = parts[:, None] * (2 * counts[labels] + parts[:, None]) * weight[labels, None]
        chosen = int(np.lexsort((load, grown.sum(axis=0).round(_DIGITS)))[0])
        result[members] = chosen
        counts[labels, chosen] += parts
        load[chosen] += len(members)


def _fill(levels: np.ndarray, added: int, load: np.ndarray) -> np.ndarray:
    """Returns int64[folds], how many of `added` rows go to each fold to make the levels even.

    Those that cannot be shared evenly go where `load`, over all classes, is least.
    """
    by_level = np.lexsort((load, levels))
    ordered = levels[by_level]
    count = np.arange(1, len(levels) + 1)
    # What it takes to raise the lowest folds to the level of the next one.
    cost = count * ordered - np.cumsum(ordered)
    raised = int(np.searchsorted(cost, added, side="right"))
    each, rest = divmod(added - int(cost[raised - 1]), raised)
    result = np.zeros(len(levels), np.int64)
    result[by_level[:raised]] = ordered[raised - 1] - ordered[:raised] + each
    least = by_level[:raised][np.argsort(load[by_level[:raised]], kind="stable")]
    result[least[:rest]] += 1
    return result


def _keep_every_class_in_train(
    result: np.ndarray,
    counts: np.ndarray,
    unit: np.ndarray,
    class_ids: np.ndarray,
    sizes: np.ndarray,
) -> None:
    """Takes the smallest unit of each class that is in one fold alone out of it, in place."""
    total = counts.sum(axis=1)
    for label in np.flatnonzero((total > 0) & (counts.max(axis=1) == total)).tolist():
        rows = np.flatnonzero(class_ids == label)
        if (result[rows] == EVERY_TRAIN).any():
            continue  # It was in a unit with another such class.
        smallest = unit[rows[np.argmin(sizes[unit[rows]])]]
        result[unit == smallest] = EVERY_TRAIN
