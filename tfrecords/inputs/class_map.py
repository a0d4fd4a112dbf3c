"""A table of classes to rename, merge or drop: a CSV with the columns from and to."""

from __future__ import annotations

import csv
import dataclasses
import io
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.files import FileSystem
from tfrecords.inputs.rows import InputPath, SourceFile

_FROM, _TO = "from", "to"
_DROP = "-"


def read(table: InputPath, files: FileSystem) -> dict[str, str]:
    """Returns class → its new name, "" for a class to drop.

    Raises:
      UsageError: the table cannot be read, or a line is wrong; the text has its number.
    """
    result: dict[str, str] = {}
    for line, source, target in _lines(table, _text(table, files)):
        if not source:
            raise UsageError(f"{table} line {line}: {_FROM} is empty")
        if result.setdefault(source, target) != target:
            raise UsageError(
                f"{table} line {line}: {source!r} is mapped a second time, to "
                f"{target or _DROP!r} after {result[source] or _DROP!r}"
            )
    return result


def _text(table: InputPath, files: FileSystem) -> str:
    try:
        with files.open(table.path) as file:
            return file.read().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{table}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{table} is not UTF-8: {error}") from error


def _lines(table: InputPath, text: str) -> Iterator[tuple[int, str, str]]:
    """Yields (number of the line, class, its new name); the name is "" of a class to drop."""
    reader = csv.reader(io.StringIO(text))
    header = [name.strip() for name in next(reader, [])]
    if sorted(header) != sorted((_FROM, _TO)):
        raise UsageError(f"{table}: the header must be {_FROM},{_TO}, it is {','.join(header)!r}")
    for fields in reader:
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(header):
            raise UsageError(
                f"{table} line {reader.line_num}: two fields expected, there are {len(fields)}; "
                'put a name with a comma in it in double quotes ("…")'
            )
        row = dict(zip(header, map(_name, fields), strict=True))
        yield reader.line_num, row[_FROM], "" if row[_TO] == _DROP else row[_TO]


def apply(rows: Iterable[SourceFile], names: Mapping[str, str]) -> tuple[SourceFile, ...]:
    """Returns all rows with their new classes; those of a dropped class are left out by it.

    Every name is looked up once: a class that is renamed to another's name joins that one.
    """
    return tuple(_renamed(row, names) for row in rows)


def _renamed(row: SourceFile, names: Mapping[str, str]) -> SourceFile:
    if row.class_name is None or row.class_name not in names:
        return row
    if name := names[row.class_name]:
        return dataclasses.replace(row, class_name=name)
    return dataclasses.replace(
        row,
        class_name=None,
        problem=RejectReason.DROPPED_CLASS,
        detail=f"the classes map drops {row.class_name!r}",
    )


def _name(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())
