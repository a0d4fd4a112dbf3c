"""Splits that got much less than was asked for, and the group that went elsewhere instead.

A group of pictures is never divided, so one that is too large leaves a split short or empty. That
is said with the group and with the flags that mend it; an empty split stops the bake.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from beam_pipelines.choices import SplitBy
from beam_pipelines.config import PrepareConfig
from beam_pipelines.planning import split
from beam_pipelines.planning.named_groups import NamedGroups
from beam_pipelines.planning.stages import Demand, Grouping, Pictures

# A handful of pictures to try the bake with may go without a split: one or two are no evaluation.
MIN_PLANNED = 3

_MAX_NAMED_CLASSES = 3

_PICTURE = {False: "picture", True: "pictures"}


class Cause(enum.Enum):
    """What made the largest group outside a short split, in words; {flags} that name groups."""

    NAMES = "{flags}"
    NEAR_DUPLICATES = "near duplicates"
    BOTH = "{flags} and near duplicates together"
    APPEARANCE = "--split_by=appearance"


@dataclass(frozen=True, slots=True)
class ShortSplit:
    """A split that got less than half of what was asked for.

    Attributes:
      name: of the split.
      asked: pictures that its fraction is.
      got: pictures that went there.
      planned: pictures that it would get if every picture were on its own: its part of each
        class, rounded.
      least: pictures that a class needs to give it one.
    """

    name: str
    asked: float
    got: int
    planned: int
    least: int

    @property
    def by_rounding(self) -> bool:
        """Whether its classes are too small, so that no group has to do with it."""
        return 2 * self.planned < self.asked

    @property
    def fails(self) -> bool:
        """Whether it is empty because of groups; that small classes give it none is no fault."""
        return not self.got and self.planned >= MIN_PLANNED


@dataclass(frozen=True, slots=True)
class LargestGroup:
    """The largest group that went to another split.

    Attributes:
      key: of one of its pictures.
      size: number of its pictures.
      classes: their names.
      split: where it went.
      cause: what made it one.
      flags: those that name groups and have a part in that, as they are typed.
      names_span_classes: whether equal matches of the pattern in two classes are a part of that.
    """

    key: str
    size: int
    classes: tuple[str, ...]
    split: str
    cause: Cause
    flags: tuple[str, ...]
    names_span_classes: bool


@dataclass(frozen=True, slots=True)
class Shortfall:
    """All splits that got less than half of what was asked for.

    Attributes:
      short: the splits.
      largest: the largest group outside of them; None if there is no group of two pictures.
    """

    short: tuple[ShortSplit, ...]
    largest: LargestGroup | None

    def lines(self) -> list[str]:
        """Returns a line for the splits that are short by a group, and one for the others."""
        by_group = [each for each in self.short if self.largest and not each.by_rounding]
        by_rounding = [each for each in self.short if each not in by_group]
        lines = []
        if self.largest and by_group:
            lines.append(
                f"{_counts(by_group)}: {_group_words(self.largest)}; {_mend(self.largest)}"
            )
        if by_rounding:
            least = min(each.least for each in by_rounding)
            lines.append(
                f"{_counts(by_rounding)}: a class needs {least} pictures to give it one; "
                "larger fractions in --splits, or fewer splits, give it more"
            )
        return lines

    def failure(self) -> str | None:
        """Returns why no data set may be written, or None."""
        if not any(each.fails for each in self.short):
            return None
        return "; ".join((*self.lines(), "--allow_empty_splits bakes anyway"))


def find_shortfall(
    pictures: Pictures,
    grouping: Grouping,
    split_index: np.ndarray,
    keys: pa.ChunkedArray,
    classes: Sequence[str],
    config: PrepareConfig,
) -> Shortfall:
    """Returns the splits that got less than half of what was asked for.

    Args:
      pictures, grouping, split_index: of the plan; `grouping.unit` goes to a split as one.
      keys: of all sources.
      classes: names in label order.
      config: of the bake.
    """
    short = tuple(_short_splits(pictures, split_index, config))
    largest = None
    if short:
        largest = _largest_group(short, pictures, grouping, split_index, keys, classes, config)
    return Shortfall(short, largest)


def _short_splits(
    pictures: Pictures, split_index: np.ndarray, config: PrepareConfig
) -> Iterator[ShortSplit]:
    demand = Demand.of(pictures, config)
    # Splits that the input itself gives are as large as they are.
    if len(demand.splits) < 2 or not len(demand.free):
        return
    got = np.bincount(split_index[demand.free], minlength=len(config.splits))
    counts = np.bincount(pictures.label[demand.free])
    planned = split.quota_table(counts, demand.shares).sum(axis=0)
    for column, (index, share) in enumerate(zip(demand.splits, demand.shares, strict=True)):
        asked = share * len(demand.free)
        if 2 * got[index] < asked:
            yield ShortSplit(
                config.split_names[index],
                asked,
                int(got[index]),
                int(planned[column]),
                _least(column, demand.shares),
            )


def _least(column: int, shares: Sequence[float]) -> int:
    return next(n for n in itertools.count(1) if split.quotas(n, shares)[column])


def _largest_group(
    short: Sequence[ShortSplit],
    pictures: Pictures,
    grouping: Grouping,
    split_index: np.ndarray,
    keys: pa.ChunkedArray,
    classes: Sequence[str],
    config: PrepareConfig,
) -> LargestGroup | None:
    short_names = {each.name for each in short}
    is_short = np.array([name in short_names for name in config.split_names])
    # The test folder of the input was never to be divided, so its groups explain nothing.
    is_free = np.isin(np.arange(len(pictures.row)), Demand.of(pictures, config).free)
    sizes = np.bincount(grouping.unit[is_free & ~is_short[split_index]], minlength=1)
    unit = int(sizes.argmax())
    if sizes[unit] < 2:
        return None
    members = np.flatnonzero(grouping.unit == unit)
    label = pictures.label
    named = grouping.named
    pattern = None if named is None else named.pattern
    names = members if pattern is None else pattern.group[members]
    return LargestGroup(
        key=keys[int(pictures.row[unit])].as_py(),
        size=len(members),
        classes=tuple(classes[label] for label in np.unique(label[members])),
        split=config.split_names[split_index[unit]],
        cause=_cause(grouping, members, config),
        flags=() if named is None else _flags(named, members),
        names_span_classes=bool((label[names] != label[members]).any()),
    )


def _cause(grouping: Grouping, members: np.ndarray, config: PrepareConfig) -> Cause:
    if config.split_by is SplitBy.APPEARANCE and not _is_one(grouping.group, members):
        return Cause.APPEARANCE
    if grouping.named is None:
        return Cause.NEAR_DUPLICATES
    if _is_one(grouping.named.group, members):
        return Cause.NAMES
    if grouping.near is not None and _is_one(grouping.near, members):
        return Cause.NEAR_DUPLICATES
    return Cause.BOTH


def _flags(named: NamedGroups, members: np.ndarray) -> tuple[str, ...]:
    """Returns the flag that makes one group of pictures by itself, or all that join some."""
    alone = [part.flag for part in named.parts if _is_one(part.group, members)]
    joining = [p.flag for p in named.parts if len(np.unique(p.group[members])) < len(members)]
    return tuple(alone[:1] or joining)


def _is_one(group: np.ndarray, members: np.ndarray) -> bool:
    return bool((group[members] == group[members[0]]).all())


def _counts(short: Sequence[ShortSplit]) -> str:
    asked = (max(1, round(each.asked)) for each in short)
    return " and ".join(
        f"split {each.name} got {each.got:,} of the {count:,} {_PICTURE[count > 1]} asked for"
        for each, count in zip(short, asked, strict=True)
    )


def _group_words(largest: LargestGroup) -> str:
    noun = "class" if len(largest.classes) == 1 else "classes"
    joined_by = largest.cause.value.format(flags=" and ".join(largest.flags))
    return (
        f"a group is never divided, and the largest, {largest.size:,} pictures of {noun} "
        f"{some_of(largest.classes)} ({largest.key!r} is one) joined by {joined_by}, "
        f"went to {largest.split}"
    )


def some_of(classes: Sequence[str]) -> str:
    """Returns the names of a few classes, and how many more there are."""
    named = ", ".join(classes[:_MAX_NAMED_CLASSES])
    more = len(classes) - _MAX_NAMED_CLASSES
    return f"{named} and {more:,} more" if more > 0 else named


def _mend(largest: LargestGroup) -> str:
    smaller_distance = "a smaller --near_distance (or --near_duplicates=off)"
    pattern = "a pattern that tells more of them apart"
    if largest.names_span_classes:
        pattern = "a pattern with the class in it (or --group_within=class)"
    column = "a --group_column that tells more of them apart"
    ways_of_flags = [column if flag.startswith("--group_column") else pattern
                     for flag in largest.flags]  # fmt: skip
    names = " or ".join(ways_of_flags)
    ways = {
        Cause.NAMES: names,
        Cause.NEAR_DUPLICATES: smaller_distance,
        Cause.BOTH: f"{names}, or {smaller_distance},",
        Cause.APPEARANCE: "--split_by=random",
    }
    return f"{ways[largest.cause]} makes smaller groups"
