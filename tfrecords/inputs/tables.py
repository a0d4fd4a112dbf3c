"""Tables that name pictures: the rows of a CSV, and the files that they stand for."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass

from tfrecords import locations
from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.files import FileSystem
from tfrecords.inputs.rows import UNKNOWN_SIZE, InputPath, ListedFile

# What the column of paths may be called; Id is what Kaggle's sample submissions have.
PATH, LABEL, SPLIT = "path", "label", "split"
_PATHS_OF_UNLABELLED = (PATH, "Id", "id")


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table.

    Attributes:
      line: its number in the file, from 1.
      path: as it is written.
      label: name of the class; "" in a table of unlabelled pictures.
      split: that the table fixes, or None.
    """

    line: int
    path: str
    label: str = ""
    split: str | None = None


def is_table(path: str) -> bool:
    """Returns whether a path has the name of a table."""
    return path.lower().endswith(".csv")


def labelled_rows(table: InputPath, files: FileSystem) -> Iterator[TableRow]:
    """Yields the rows of a table with the columns path, label and optionally split.

    Raises:
      UsageError: it cannot be read, lacks a column, or has a row without a path or a label.
    """
    reader = _reader(table, files)
    names = reader.fieldnames or ()
    if {PATH, LABEL} - set(names):
        raise UsageError(
            f"{table}: the header must name {PATH} and {LABEL} "
            f"(and optionally {SPLIT}), it is {','.join(names)!r}"
        )
    for number, row in enumerate(reader, start=2):
        path, label = row[PATH], row[LABEL]
        if not path or not label:
            raise UsageError(f"{table} line {number}: {PATH} or {LABEL} is empty")
        yield TableRow(number, path, label, row.get(SPLIT) or None)


def unlabelled_rows(table: InputPath, files: FileSystem) -> Iterator[TableRow]:
    """Yields the rows of a table with a column path or Id.

    Raises:
      UsageError: it cannot be read, lacks the column, has no row, or one without a path.
    """
    reader = _reader(table, files)
    names = reader.fieldnames or ()
    column = next((name for name in _PATHS_OF_UNLABELLED if name in names), None)
    if column is None:
        raise UsageError(
            f"{table}: the header must name a column path or Id, it is {','.join(names)!r}"
        )
    number = 1
    for number, row in enumerate(reader, start=2):
        if not row[column]:
            raise UsageError(f"{table} line {number}: {column} is empty")
        yield TableRow(number, row[column])
    if number == 1:
        raise UsageError(f"{table} has a header and no line")


def file_of(row: TableRow, root: str, files: FileSystem) -> ListedFile:
    """Returns the file that a row stands for; relative paths start from the folder `root`."""
    path = row.path if locations.is_url(row.path) else os.path.join(root, row.path)
    try:
        status = files.stat(path)
    except OSError as error:
        detail = error.strerror or str(error)
        return ListedFile(
            row.path, path, UNKNOWN_SIZE, 0, problem=RejectReason.UNREADABLE, detail=detail
        )
    return ListedFile(row.path, path, status.bytes, status.version)


def _reader(table: InputPath, files: FileSystem) -> csv.DictReader[str]:
    try:
        with files.open(table.path) as file:
            text = file.read().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{table}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{table} is not UTF-8: {error}") from error
    return csv.DictReader(io.StringIO(text))
