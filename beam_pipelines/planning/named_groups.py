"""Groups that a person names: by a pattern of paths or a column of a table, as of one patient."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from beam_pipelines.cache import facts_table
from beam_pipelines.choices import GroupWithin
from beam_pipelines.config import PrepareConfig
from beam_pipelines.inputs.sources import group_name
from beam_pipelines.planning import split
from beam_pipelines.similarity import duplicates
from tfrecords.inputs.say import counted, many

# Groups that a line shows.
_EXAMPLES = 3


@dataclass(frozen=True, slots=True, eq=False)
class GroupsOfFlag:
    """Pictures grouped by what one flag names.

    Attributes:
      flag: as it is typed.
      group: int64[k], the smallest picture of each one's group.
      matched: number of pictures that have a name; the others are on their own.
      value: [k], what the table's column has for each picture, or null; None of a pattern.
    """

    flag: str
    group: np.ndarray
    matched: int
    value: pa.DictionaryArray | None = None

    def of_values(self) -> np.ndarray:
        """Returns int64[k], the first picture of each one's own value; itself where it has none.

        `group` ties values too that a dropped duplicate shares.
        """
        if self.value is None:
            return self.group
        number = _numbers(self.value)
        result = np.arange(len(number))
        named = np.flatnonzero(number >= 0)
        _, first, member = np.unique(number[named], return_index=True, return_inverse=True)
        result[named] = named[first[member]]
        return result


@dataclass(frozen=True, slots=True, eq=False)
class NamedGroups:
    """Pictures grouped by all that a configuration names.

    Attributes:
      group: int64[k], the smallest picture of each one's group.
      parts: of each flag; `group` joins them.
    """

    group: np.ndarray
    parts: tuple[GroupsOfFlag, ...]

    @property
    def pattern(self) -> GroupsOfFlag | None:
        """The groups of --group_by."""
        return next((part for part in self.parts if part.value is None), None)

    @property
    def column(self) -> GroupsOfFlag | None:
        """The groups of --group_column."""
        return next((part for part in self.parts if part.value is not None), None)


def group_by_names(
    facts: pa.Table, row: np.ndarray, label: np.ndarray, kept: np.ndarray, config: PrepareConfig
) -> NamedGroups | None:
    """Groups pictures by what a configuration names; returns None where it names nothing.

    Args:
      facts: of `facts_table.FACTS`.
      row: int32[k], row of each picture in the facts, ascending.
      label: int32[k].
      kept: as for `group_by_column`.
      config: of the bake.
    """
    parts = []
    if config.group_by is not None:
        parts.append(group_by_name(facts, row, label, config.group_by, config.group_within))
    if config.group_column:
        parts.append(group_by_column(facts, row, kept, config.group_column))
    if not parts:
        return None
    # A single grouping is labelled by its smallest members already.
    one = parts[0].group
    group = one if len(parts) == 1 else duplicates.merge(*(part.group for part in parts))
    return NamedGroups(group, tuple(parts))


def group_by_name(
    facts: pa.Table, row: np.ndarray, label: np.ndarray, pattern: str, within: GroupWithin
) -> GroupsOfFlag:
    """Groups pictures by the first capture of a pattern in their keys, or by the whole match.

    Args:
      facts: of `facts_table.FACTS`.
      row: int32[k], row of each picture in the facts, ascending.
      label: int32[k].
      pattern: a regular expression.
      within: whether equal matches in two classes are one group.
    """
    compiled = re.compile(pattern)
    first: dict[tuple[str, int], int] = {}
    group = np.arange(len(row))
    of_class = label.tolist() if within is GroupWithin.CLASS else [0] * len(row)
    matched = 0
    for index, key in enumerate(facts_table.keys(facts, row)):
        name = group_name(compiled, key)
        if name is not None:
            group[index] = first.setdefault((name, of_class[index]), index)
            matched += 1
    return GroupsOfFlag("--group_by", group, matched)


def group_by_column(
    facts: pa.Table, row: np.ndarray, kept: np.ndarray, column: str
) -> GroupsOfFlag:
    """Groups pictures by the values that the table has in a column; a picture without one is alone.

    A duplicate that was dropped brings its group to the picture kept in its place: that is a
    picture of both.

    Args:
      facts: of `facts_table.FACTS`.
      row: int32[k], row of each picture in the facts, ascending.
      kept: int32[n], of each row of the facts, the row kept in its place; itself if it is kept,
        -1 where none is.
      column: as a person named it.
    """
    values = facts_table.column(facts, "group_value")
    number = _numbers(values)
    picture = np.full(len(kept) + 1, -1)
    picture[row] = np.arange(len(row))
    picture = picture[kept]
    is_named = (number >= 0) & (picture >= 0)
    number, picture = number[is_named], picture[is_named]
    first = np.full(len(values.dictionary), len(row))
    np.minimum.at(first, number, picture)
    group = duplicates.components(len(row), first[number], picture)
    matched = len(np.unique(picture))
    of_pictures = values.take(pa.array(row))
    return GroupsOfFlag(f"--group_column={shlex.quote(column)}", group, matched, of_pictures)


def _numbers(values: pa.DictionaryArray) -> np.ndarray:
    """Returns int64[n], equal numbers for equal values and -1 for null."""
    # Where blocks were joined, the dictionary may hold a value twice; its last element is null's.
    numbers = np.append(values.dictionary.dictionary_encode().indices.to_numpy(), -1)
    return numbers[values.indices.fill_null(-1).to_numpy()]


def notes(
    named: NamedGroups,
    keys: pa.ChunkedArray,
    label: np.ndarray,
    classes: Sequence[str],
    split_index: np.ndarray,
    splits: Sequence[str],
) -> Iterator[str]:
    """Yields what a person should know about named groups.

    Args:
      named: the groups.
      keys: of the pictures.
      label: int32[k].
      classes: names in label order.
      split_index: int8[k].
      splits: their names.
    """
    for part in named.parts:
        if part.value is None:
            yield from _unmatched(part)
        else:
            yield from _of_column(part)
            yield from _whole_classes(part, keys, label, classes, split_index, splits)
        yield from _large(part, keys, label, classes)
        yield from _divided(part, keys, split_index, splits)


def _unmatched(part: GroupsOfFlag) -> Iterator[str]:
    total = len(part.group)
    if part.matched < total:
        yield (
            f"{part.flag} matches {part.matched:,} of {total:,} pictures; "
            f"each of the others is a group of its own"
        )


def _of_column(part: GroupsOfFlag) -> Iterator[str]:
    total = len(part.group)
    empty = total - part.matched
    # Each picture without a value is one of the groups.
    sizes = np.bincount(part.group, minlength=1)
    groups = int((sizes > 0).sum()) - empty
    yield (
        f"{part.flag} puts {counted(part.matched, 'picture')} into {counted(groups, 'group')}, the "
        f"largest of {int(sizes.max()):,}"
    )
    if empty:
        yield (
            f"{part.flag} is empty for {empty:,} of {total:,} pictures; each of them is a group of "
            "its own"
        )


def _whole_classes(
    part: GroupsOfFlag,
    keys: pa.ChunkedArray,
    label: np.ndarray,
    classes: Sequence[str],
    split_index: np.ndarray,
    splits: Sequence[str],
) -> Iterator[str]:
    """Yields a line for classes that are in one split alone, since one group has all of them."""
    told = []
    for of_class, first in _owners(part, label, len(classes)):
        members = label == of_class
        if len(found := np.unique(split_index[members])) == 1:
            told.append(
                f"{classes[of_class]} ({_name(part, keys, first)}, all "
                f"{int(members.sum()):,} in {splits[found[0]]})"
            )
    if told:
        yield (
            f"one group of {part.flag} has all pictures of a class, so that no other split has "
            f"any: {many(told)}"
        )


def _owners(part: GroupsOfFlag, label: np.ndarray, classes: int) -> Iterator[tuple[int, int]]:
    """Yields (class, group) of the classes of several pictures that are all in one group."""
    cells = np.unique(label.astype(np.int64) * len(part.group) + part.group)
    of_class, group = np.divmod(cells, max(len(part.group), 1))
    groups = np.bincount(of_class, minlength=classes)
    pictures = np.bincount(label, minlength=classes)
    is_owned = (groups[of_class] == 1) & (pictures[of_class] > 1)
    yield from zip(of_class[is_owned].tolist(), group[is_owned].tolist(), strict=True)


def _large(
    part: GroupsOfFlag, keys: pa.ChunkedArray, label: np.ndarray, classes: Sequence[str]
) -> Iterator[str]:
    counts = np.bincount(label, minlength=len(classes))
    large = [
        (size, -of_class, first)
        for (first, of_class), size in duplicates.crowded(part.group, label, counts).items()
        if size >= duplicates.MIN_GUARDED_GROUP
        # Those of a column that have a whole class are said already.
        and (part.value is None or size < counts[of_class])
    ]
    if large:
        size, of_class, first = max(large)
        others = len({of for _, of, _ in large}) - 1
        yield (
            f"{part.flag} makes one group of {size:,} of the {counts[-of_class]:,} pictures of "
            f"{classes[-of_class]!r}, {keys[first].as_py()!r} among them: it goes to one split as "
            f"a whole" + (f"; so it is in {others} more classes" if others else "")
        )


def _divided(
    part: GroupsOfFlag, keys: pa.ChunkedArray, split_index: np.ndarray, splits: Sequence[str]
) -> Iterator[str]:
    """Yields a line for groups that are in several splits, which only the input can divide."""
    divided = split.divided_groups(part.group, split_index)
    if not len(divided):
        return
    told = []
    for first in divided[:_EXAMPLES].tolist():
        counts = np.bincount(split_index[part.group == first], minlength=len(splits))
        pairs = zip(counts.tolist(), splits, strict=True)
        parts = ", ".join(f"{count:,} {name}" for count, name in pairs if count)
        told.append(f"{_name(part, keys, first)} ({parts})")
    yield (
        f"the given split divides {counted(len(divided), 'group')} of {part.flag}, such as "
        f"{', '.join(told)}: its evaluation leaks"
    )


def _name(part: GroupsOfFlag, keys: pa.ChunkedArray, first: int) -> str:
    """Returns what a group is called: its value, or the key of its first picture."""
    value = None if part.value is None else part.value[first].as_py()
    return repr(keys[first].as_py() if value is None else value)
