"""The sources of a bake: listed and read through the bake's storage by `tfrecords.inputs`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from beam_pipelines.cache import storage
from tfrecords.errors import UsageError
from tfrecords.inputs import listing, patterns
from tfrecords.inputs.listing import Listing
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import InputPath, SourceFile
from tfrecords.inputs.rules import InputRules


def list_sources(
    input_dir: str,
    input_csv: str | None = None,
    rules: InputRules | None = None,
    options: InputOptions = listing.DEFAULTS,
) -> Listing:
    """Returns every input file in key order; arguments and errors as of `listing.list_labelled`."""
    source = InputPath("--input_dir", input_dir)
    table = None if input_csv is None else InputPath("--input_csv", input_csv)
    return listing.list_labelled(source, table, storage.FILES, rules, options)


def group_name(pattern: re.Pattern[str], key: str) -> str | None:
    """Returns what a pattern of --group_by takes from a path: its first capture, or all of it."""
    return patterns.taken(pattern, key)


def check_groups(rows: Sequence[SourceFile], pattern: str | None, column: str) -> None:
    """Refuses a pattern or a column for groups that groups nothing; see `check_group_by`.

    Raises:
      UsageError: the text says what there is instead.
    """
    check_group_by(rows, pattern)
    if column:
        check_group_column(rows, column)


def check_group_column(rows: Iterable[SourceFile], column: str) -> None:
    """Refuses a column of groups that is empty, or of which no two files have one value.

    Files that are missing count too: those that are there may be a sample of the table's.

    Raises:
      UsageError: the text shows a value.
    """
    # A row that stands twice in the table is no group.
    files = {(row.path, row.member, row.group) for row in rows}
    values = [group for _, _, group in files if group is not None]
    if files and not values:
        raise UsageError(
            f"--group_column={column} is empty in all {len(files):,} rows: name the column of what "
            "several pictures are of"
        )
    if values and len(set(values)) == len(values):
        raise UsageError(
            f"--group_column={column} groups nothing: each of its {len(values):,} values is that "
            f"of one picture, such as {min(values)!r}; name the column of what several pictures "
            "are of"
        )


def check_group_by(rows: Iterable[SourceFile], pattern: str | None) -> None:
    """Refuses a pattern for groups that matches none of the files, or no two of them alike.

    Raises:
      UsageError: the text shows a path that it should match.
    """
    if pattern is None:
        return
    keys = [row.key for row in rows if row.problem is None]
    compiled = re.compile(pattern)
    seen: set[str] = set()
    for key in keys:
        name = group_name(compiled, key)
        if name in seen:
            return
        if name is not None:
            seen.add(name)
            example = key, name
    if keys and not seen:
        raise UsageError(
            f"--group_by={pattern!r} matches none of the {len(keys):,} paths below the input, such "
            f"as {keys[0]!r}"
        )
    if len(seen) > 1:
        raise UsageError(
            f"--group_by={pattern!r} groups nothing: each of the {len(seen):,} paths that it "
            f"matches gives another name, as {example[0]!r} gives {example[1]!r}; put parentheses "
            "around what the pictures of one group share"
        )


def read(source: SourceFile) -> bytes:
    """Returns the bytes of a source.

    Raises:
      OSError: it cannot be read.
    """
    return read_source(source, storage.FILES)
