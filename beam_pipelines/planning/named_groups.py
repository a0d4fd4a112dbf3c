"""Groups of pictures whose paths match one pattern alike, as those of one video or patient do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from beam_pipelines.cache import facts_table
from beam_pipelines.choices import GroupWithin
from beam_pipelines.inputs.sources import group_name
from beam_pipelines.similarity import duplicates


@dataclass(frozen=True, slots=True, eq=False)
class NamedGroups:
    """Pictures grouped by what a pattern matches in their paths.

    Attributes:
      group: int64[k], the smallest picture of each one's group.
      matched: number of pictures that the pattern matches; the others are on their own.
    """

    group: np.ndarray
    matched: int


def group_by_name(
    facts: pa.Table, row: np.ndarray, label: np.ndarray, pattern: str, within: GroupWithin
) -> NamedGroups:
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
    return NamedGroups(group, matched)


def notes(
    named: NamedGroups, keys: pa.ChunkedArray, label: np.ndarray, classes: Sequence[str]
) -> Iterator[str]:
    """Yields what a person should know about groups by name.

    Args:
      named: the groups.
      keys: of the pictures.
      label: int32[k].
      classes: names in label order.
    """
    total = len(named.group)
    if named.matched < total:
        yield (
            f"--group_by matches {named.matched:,} of {total:,} pictures; "
            f"each of the others is a group of its own"
        )
    counts = np.bincount(label, minlength=len(classes))
    large = [
        (size, -of_class, first)
        for (first, of_class), size in duplicates.crowded(named.group, label, counts).items()
        if size >= duplicates.MIN_GUARDED_GROUP
    ]
    if large:
        size, of_class, first = max(large)
        others = len({of for _, of, _ in large}) - 1
        yield (
            f"--group_by makes one group of {size:,} of the {counts[-of_class]:,} pictures of "
            f"{classes[-of_class]!r}, {keys[first].as_py()!r} among them: it goes to one split as "
            f"a whole" + (f"; so it is in {others} more classes" if others else "")
        )
