"""Whether the first line of a table is a header or a row, by the files and the classes it names."""

from __future__ import annotations

from dataclasses import replace

from tfrecords.errors import UsageError
from tfrecords.inputs.column_names import LABEL_NAMES, PATH_NAMES, normalised
from tfrecords.inputs.tables.columns import Columns
from tfrecords.inputs.tables.paths import AmbiguousPathError, Finder
from tfrecords.inputs.tables.text import TableText


def as_row(text: TableText, columns: Columns, finder: Finder) -> TableText:
    """Returns a table whose first line is a row, if that names a file: "0001,cat" is no header.

    Or if its class is that of other rows, too: the file that it names may be missing.
    """
    own = text.header[columns.path]
    if text.is_json or not text.has_header or normalised(own) in PATH_NAMES:
        return text
    if (name := _file_named(own, finder)) is None:
        if len(columns.labels) != 1 or not _is_a_value(text, columns.labels[0]):
            return text
        why = f"{text.header[columns.labels[0]]!r} is the class of other rows, too"
    elif len(columns.labels) > 1:
        raise UsageError(
            f"{text.source}: its first line names the file {name!r}: a header is "
            "expected that names the class of each column"
        )
    else:
        why = f"{own!r} is {name!r}"
    note = f"its first line is no header, for {why}: it is read as a row"
    return replace(text, has_header=False, notes=(*text.notes, note))


def _file_named(path: str, finder: Finder) -> str | None:
    """Returns the name of the file, or of one of several, that a path stands for; or None."""
    try:
        found = finder.find(path)
    except AmbiguousPathError as error:
        return error.files[0].name
    return None if found is None or found.file.problem is not None else found.file.name


def _is_a_value(text: TableText, column: int) -> bool:
    """Returns whether a column is called as one of its values is, and not as columns are."""
    name = text.header[column]
    known = normalised(name) in LABEL_NAMES
    return not known and any(fields[column] == name for _, fields in text.rows())
