"""Columns of what several pictures are of, such as patients, lesions and tracks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from tfrecords.inputs.column_names import is_group, normalised
from tfrecords.inputs.say import counted, typed
from tfrecords.inputs.tables.text import TableText
from tfrecords.inputs.tables.values import is_missing

# Fewer values are no groups that a split could keep together.
_FEWEST_GROUPS = 3


def leak_notes(table: TableText, taken: Collection[int], group: int | None) -> Iterator[str]:
    """Yields a line for each column whose pictures of one value may come into several splits.

    Args:
      table: with at least a header.
      taken: columns that are read as something else.
      group: the column whose pictures of one value stay together, or None.
    """
    for column, name in enumerate(table.header):
        if column in taken or column == group or not is_group(normalised(name)):
            continue
        values: list[str] = []
        together: dict[str, str] = {}  # Value → its group, of the first row.
        divided = group is None
        for _, fields in table.rows():
            if value := fields[column]:
                values.append(value)
                # A track of one patient stays whole where patients do.
                of_group = "" if group is None else fields[group]
                divided |= not of_group and value in together
                divided |= together.setdefault(value, of_group) != of_group
        if divided and _FEWEST_GROUPS <= len(set(values)) < len(values):
            yield (
                f"its column {name!r} ({len(set(values)):,} values in {len(values):,} rows) is not "
                "read, and pictures with the same value may get into several splits; "
                f"{typed('group_column', name)} keeps them together"
            )


def missing_notes(table: TableText, column: int) -> Iterator[str]:
    """Yields a line for values of a column of groups that stand for no value."""
    counts = Counter(fields[column] for _, fields in table.rows() if is_missing(fields[column]))
    for value, count in sorted(counts.items()):
        if count > 1:
            yield (
                f"{counted(count, 'row')} with {value!r} in its column {table.header[column]!r}, "
                "as programs write a value that is missing: they are one group; empty fields are "
                "groups of their own"
            )
