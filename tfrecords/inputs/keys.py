"""Keys of sources: every row of a listing has one of its own, whatever the files are called.

A key is a file's name, normalised. Where several rows have the same name, as two spellings of one
name in Unicode, a name that an archive holds twice or a file that a table names twice, the first
keeps it and the others get a number that no file's own name ends in: `x.jpg (2)`. All of them are
sources like any other; the plan finds out which hold the same bytes.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator

from tfrecords.inputs.rows import SourceFile

_TWICE_IN_TABLE = "the table names this file more than once"
_TWICE_IN_ARCHIVE = "the archive holds more than one file of this name"
_SAME_NORMALISED = "another file has this name after Unicode normalisation"


def in_key_order(rows: Iterable[SourceFile]) -> tuple[SourceFile, ...]:
    """Sorts sources by key and makes their keys unique.

    Of rows with one name, the first is that of the smallest path and, of one path, the one that
    comes first: in a table, the upper one.
    """
    ordered = sorted(rows, key=lambda row: (row.key, row.path))
    names = {row.key for row in ordered}
    if len(names) == len(ordered):
        return tuple(ordered)
    return tuple(sorted(_numbered(ordered, names), key=lambda row: row.key))


def _numbered(ordered: Iterable[SourceFile], names: set[str]) -> Iterator[SourceFile]:
    for name, same in itertools.groupby(ordered, key=lambda row: row.key):
        first, *others = same
        yield first
        numbers = itertools.count(2)
        for row in others:
            key = next(key for n in numbers if (key := f"{name} ({n})") not in names)
            detail = row.detail if row.problem else _remark(first, row)
            yield dataclasses.replace(row, key=key, detail=detail)


def _remark(first: SourceFile, other: SourceFile) -> str:
    if other.path != first.path:
        return _SAME_NORMALISED
    return _TWICE_IN_TABLE if other.member == first.member else _TWICE_IN_ARCHIVE
