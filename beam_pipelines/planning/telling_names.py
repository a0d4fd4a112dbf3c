"""Names that tell what belongs together, for `--split_by=auto`: ways in which they may.

Frames of one video and pictures of one patient are often named alike: `00011_00021.ppm`,
`P001_left.png`, `visit3/IMG_7.jpg`. So is any folder of numbered pictures. Whether names tell is
for the pictures to say (`kin.decide`): this module finds the ways that could be asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from beam_pipelines.cache import facts_table
from beam_pipelines.choices import GroupWithin
from beam_pipelines.inputs.sources import group_name
from beam_pipelines.planning import named_groups
from beam_pipelines.similarity import duplicates

# A pattern for --group_by → what paths share where it matches alike, for people.
PATTERNS = {
    r"^(.+/[^/]+)/[^/]+$": "the folder",
    r"^(.*[^/\d])\d+[^/\d]*\.[^/.]+$": "all before the last number",
    r"^(.*[^/])[-_. ]+[^-_. /]+\.[^/.]+$": "all before the last part of the name",
    r"^((?:.*/)?[^-_. /]+)[-_. ][^/]*\.[^/.]+$": "the first part of the name",
}

# Of all pictures, so many may be in groups beyond a fifth of their class. The prefix of a
# numbered class makes one group of all of it, and tells nothing.
_MOST_CROWDED = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class TellingNames:
    """One way in which names may tell what belongs together.

    Attributes:
      pattern: for --group_by.
      shared: what the paths of a group share, for people.
      group: int64[k], the smallest picture of each one's group.
      example: what the paths of the first group of several pictures share.
    """

    pattern: str
    shared: str
    group: np.ndarray
    example: str


def candidates(facts: pa.Table, row: np.ndarray, label: np.ndarray) -> Iterator[TellingNames]:
    """Yields the ways to group by name that would leave every split its part of the classes.

    Args:
      facts: of `facts_table.FACTS`.
      row: int32[k], row of each picture in the facts, ascending.
      label: int32[k].
    """
    seen: list[np.ndarray] = []
    for pattern, shared in PATTERNS.items():
        group = named_groups.group_by_name(facts, row, label, pattern, GroupWithin.ALL).group
        several = np.flatnonzero(np.bincount(group, minlength=len(row)) > 1)
        is_new = not any(np.array_equal(group, other) for other in seen)
        if is_new and len(several) and _crowded_pictures(group, label) <= _MOST_CROWDED:
            (key,) = facts_table.keys(facts, row[several[:1]])
            yield TellingNames(pattern, shared, group, group_name(re.compile(pattern), key) or key)
        seen.append(group)


def _crowded_pictures(group: np.ndarray, label: np.ndarray) -> float:
    """Returns the share of the pictures that are in groups which take too much of their class."""
    crowded = duplicates.crowded(group, label, np.bincount(label)).values()
    many = sum(size for size in crowded if size >= duplicates.MIN_GUARDED_GROUP)
    return many / max(len(group), 1)
