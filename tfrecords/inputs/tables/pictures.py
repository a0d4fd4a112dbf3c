"""Tables that name pictures: their rows, and the files that these stand for."""

from __future__ import annotations

import itertools
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.files import FileSystem
from tfrecords.inputs.options import TableOptions
from tfrecords.inputs.rows import UNKNOWN_SIZE, InputPath, ListedFile
from tfrecords.inputs.say import Say, counted, typed
from tfrecords.inputs.split_words import split_of
from tfrecords.inputs.tables import first_line
from tfrecords.inputs.tables.columns import Columns, find_columns, one_hot_value
from tfrecords.inputs.tables.paths import AmbiguousPathError, Finder, Found, root_of
from tfrecords.inputs.tables.text import TableText, is_json_lines, parse
from tfrecords.inputs.tables.values import is_missing
from tfrecords.schema import TRAIN

_SUFFIXES = (".csv", ".tsv", ".tab", ".psv")

# What the splits of a data set may be called.
_SPLIT_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")

_WEB = re.compile(r"(?i)(https?|ftp|data):")

# Of a table whose root another flag, --input_dir, may name.
_LABELLED = "--input_csv"

_MISSING = "there is no such file"

# What a path may name that is no file to read.
_NO_FILES = frozenset({RejectReason.UNREADABLE, RejectReason.NOT_A_FILE})

# Names that a line shows before it stops.
_NAMED = 4

# Rows whose files are looked for elsewhere where no row has one.
_LOOKED_FOR = 20

# Tables of fewer rows say nothing by the number of their classes.
_FEW_ROWS = 10


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table.

    Attributes:
      line: its number in the table, from 1.
      path: as it is written, without spaces around it.
      label: name of the class; "" in a table of unlabelled pictures.
      split: that the table fixes, or None.
      group: what the picture is of, "" where none is given.
      unit: what is numbered: a line, or a record of JSON.
      table: its path, where there are several; "" otherwise.
    """

    line: int
    path: str
    label: str = ""
    split: str | None = None
    group: str = ""
    unit: str = "line"
    table: str = ""

    @property
    def where(self) -> str:
        """Its place in the table, for people."""
        return f"{self.unit} {self.line}{f' of {self.table}' if self.table else ''}"


@dataclass(frozen=True, slots=True)
class TableFile:
    """The file of a row.

    Attributes:
      row: of the table.
      file: named by its path below the root; of no file, by the row's path.
    """

    row: TableRow
    file: ListedFile


def is_table(path: str) -> bool:
    """Returns whether a path has the name of a table."""
    return path.lower().endswith(_SUFFIXES) or is_json_lines(path)


def read_bytes(table: InputPath, files: FileSystem) -> bytes:
    """Returns a table's bytes.

    Raises:
      UsageError: it cannot be read.
    """
    try:
        with files.open(table.path) as file:
            return file.read()
    except OSError as error:
        several = any(mark in table.path for mark in ",*")
        advice = "; of several tables, each is named, with commas between them, and has to exist"
        raise UsageError(
            f"{table}: {error.strerror or error}{advice if several else ''}"
        ) from error


def files_of(
    table: InputPath,
    data: bytes,
    finder: Finder,
    options: TableOptions,
    say: Say,
    *,
    labelled: bool,
) -> list[TableFile]:
    """Returns the file of each row of a table.

    Args:
      table: names the table in errors.
      data: its bytes.
      finder: of the files.
      options: how to read it.
      say: told what was guessed and what was noticed.
      labelled: whether classes are asked for.

    Raises:
      UsageError: the table, or what it names, is not clear.
    """
    rows = _rows(table, data, finder, options, say, labelled=labelled)
    return list(_files_of(table, rows, finder, say))


def _rows(
    table: InputPath,
    data: bytes,
    finder: Finder,
    options: TableOptions,
    say: Say,
    *,
    labelled: bool,
) -> list[TableRow]:
    text = parse(table, data, options, labelled)
    if next(text.rows(), None) is None:
        raise UsageError(f"{table} has a header and no rows")

    def finds(value: str) -> bool:
        try:
            found = finder.find(value)
            # A folder is none either: train/ does not make paths of a column of splits.
            return found is not None and found.file.problem not in _NO_FILES
        except AmbiguousPathError:
            return True

    columns = find_columns(text, options, finds, labelled=labelled)
    text = first_line.as_row(text, columns, finder)
    for note in (*text.notes, *columns.notes):
        say(f"{table}: {note}")
    rows = list(_parsed(text, columns, options))
    for note in _label_notes(rows, text, columns):
        say(f"{table}: {note}")
    return rows


def _label_notes(rows: list[TableRow], text: TableText, columns: Columns) -> Iterator[str]:
    """Yields what is odd about the classes of a table."""
    if not columns.labels:
        return
    counts = Counter(row.label for row in rows)
    absent = [text.header[c] for c in columns.labels if text.header[c] not in counts]
    if len(columns.labels) > 1 and absent:
        named = ", ".join(map(repr, absent[:_NAMED])) + (", …" if len(absent) > _NAMED else "")
        it = "it" if len(absent) == 1 else "them"
        yield f"no row has a 1 in {named}: no class is made of {it}"
    missing = sorted(label for label in counts if is_missing(label))
    if missing:
        named = " and ".join(repr(label) for label in missing)
        yield (
            f"{counted(sum(counts[label] for label in missing), 'row')} of class {named}, as "
            "programs write a value that is missing; --classes_map leaves a class out"
        )
    if lists := sorted(label for label in counts if label[0] + label[-1] in ("[]", "{}")):
        yield (
            f"{counted(sum(counts[label] for label in lists), 'row')} with a list or an object for "
            f"a class, such as {lists[0]}: each different text is a class of its own, since a "
            "picture has one class"
        )
    if len(rows) >= _FEW_ROWS and 2 * len(counts) > len(rows):
        yield (
            f"{len(counts):,} classes in {len(rows):,} rows, nearly one a picture: --label_column "
            "names another column, if there is one of classes"
        )


def _parsed(text: TableText, columns: Columns, options: TableOptions) -> Iterator[TableRow]:
    for line, fields in text.rows():
        path = fields[columns.path]
        if not path:
            raise UsageError(f"{text.at(line)}: {text.header[columns.path]} is empty")
        if not path.isascii() and not _may_be_named(path):
            raise UsageError(
                f"{text.at(line)}: the path {ascii(path)} has half a character in it: mend the "
                "escapes of the JSON"
            )
        if _WEB.match(path):
            raise UsageError(
                f"{text.at(line)}: {path[:80]} is on the web: download the pictures, "
                "and let the table name the files"
            )
        label = _label(text, line, fields, columns.labels)
        group = "" if columns.group is None else fields[columns.group]
        split = _split(text, line, fields, columns.split, options)
        yield TableRow(line, path, label, split, group, text.unit)


def _may_be_named(path: str) -> bool:
    """Returns whether a file can have a name; a byte that is not UTF-8 is half a character."""
    try:
        path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _label(text: TableText, line: int, fields: list[str], labels: tuple[int, ...]) -> str:
    """Returns the class of a row, "" where none is asked for."""
    if len(labels) > 1:
        marks = {column: one_hot_value(fields[column]) for column in labels}
        ones = [column for column, mark in marks.items() if mark]
        odd = [column for column, mark in marks.items() if mark is None]
        if odd:
            column = odd[0]
            raise UsageError(
                f"{text.at(line)}: {text.header[column]} is {fields[column]!r}, "
                "0 or 1 is expected of a column for one class"
            )
        if len(ones) != 1:
            named = ", ".join(repr(text.header[column]) for column in (ones or labels)[:_NAMED])
            raise UsageError(
                f"{text.at(line)}: {len(ones)} of its classes are 1, exactly one is "
                f"expected: a picture has one class ({'of' if not ones else 'here'} {named}); "
                "--label_column names other columns"
            )
        return text.header[ones[0]]
    if not labels:
        return ""
    if not fields[labels[0]]:
        raise UsageError(f"{text.at(line)}: {text.header[labels[0]]} is empty")
    label = fields[labels[0]]
    if not label.isascii() and any("\ud800" <= character <= "\udfff" for character in label):
        raise UsageError(
            f"{text.at(line)}: the class {ascii(label)} has half a character in it: mend the "
            "escapes of the JSON"
        )
    return label


def _split(
    text: TableText, line: int, fields: list[str], column: int | None, options: TableOptions
) -> str | None:
    """Returns the split of a row, None where none is given; a word of its own is one, too."""
    word = "" if column is None else fields[column]
    if column is None or not word:
        return None
    split = split_named(word, options)
    if split is None:
        raise UsageError(
            f"{text.at(line)}: {text.header[column]} is {word!r}: train, validation, "
            "test or another lower-case word is expected; empty, --splits decides"
        )
    return split


def split_named(word: str, options: TableOptions) -> str | None:
    """Returns the split that a word stands for, None where no split can be called so."""
    for own in (word, word.lower()):
        if own in options.splits:
            return own
    split = split_of(word) or word
    return split if _SPLIT_NAME.match(split) else None


@dataclass(slots=True)
class Tally:
    """Rows of one kind: how many, and the first of them."""

    count: int = 0
    first: str = ""

    def add(self, text: str) -> None:
        self.first = self.first or text
        self.count += 1


@dataclass(slots=True)
class _Noticed:
    """What is said once for all rows of a table."""

    missing: Tally = field(default_factory=Tally)
    by_name: Tally = field(default_factory=Tally)
    like_table: Tally = field(default_factory=Tally)
    elsewhere: Tally = field(default_factory=Tally)
    repeated: Tally = field(default_factory=Tally)
    conflicts: Tally = field(default_factory=Tally)
    unreadable: Tally = field(default_factory=Tally)


def _files_of(
    table: InputPath, rows: list[TableRow], finder: Finder, say: Say
) -> Iterator[TableFile]:
    noticed = _Noticed()
    for row in rows:
        yield TableFile(row, _file_of(table, row, finder, noticed))
    _say_like_table(table, noticed, finder, say)
    _say_missing(table, rows, noticed, finder, say)


def _file_of(table: InputPath, row: TableRow, finder: Finder, noticed: _Noticed) -> ListedFile:
    """Returns the file of a row, or a rejected one where it is missing."""
    try:
        found = finder.find(row.path)
    except AmbiguousPathError as error:
        found = Found(_likeliest(table, row, error, finder), by_name=True)
        noticed.like_table.add(root_of(found.file.name, row.path))
    if found is None:
        name, where = finder.absent(row.path)
        noticed.missing.add(f"{row.where}: {row.path!r}, looked for at {where}")
        return ListedFile(
            name, where, UNKNOWN_SIZE, 0, problem=RejectReason.MISSING, detail=_MISSING
        )
    if found.file.problem is RejectReason.UNREADABLE:
        noticed.unreadable.add(f"{row.where}: {row.path!r} ({found.file.detail})")
    if found.by_name:
        what = f"{row.where}: {row.path!r} is {found.file.name!r}"
        noticed.by_name.add(what)
        if not _is_own(table, root_of(found.file.name, row.path), finder):
            noticed.elsewhere.add(what)
    return found.file


def _say_missing(
    table: InputPath, rows: Sequence[TableRow], noticed: _Noticed, finder: Finder, say: Say
) -> None:
    """Says how many files of `rows` are missing, and how many were found by their names alone.

    Raises:
      UsageError: all are missing, or none can be read.
    """
    missing, by_name, unreadable = noticed.missing, noticed.by_name, noticed.unreadable
    none = f"{table}: none of its {len(rows):,} files"
    if missing.count == len(rows):
        raise UsageError(
            f"{none} exists; the first, {missing.first}; paths start from --input_dir, or from the "
            f"table's own folder{_elsewhere(rows, finder)}"
        )
    if unreadable.count == len(rows):
        raise UsageError(
            f"{none} can be read; the first, {unreadable.first}{_elsewhere(rows, finder)}"
        )
    if missing.count:
        files = counted(len(rows), "file")
        say(f"{table}: {missing.count:,} of {files} missing; {missing.first}")
    if by_name.count:
        say(f"{table}: {counted(by_name.count, 'file')} found by name; {by_name.first}")


def _elsewhere(rows: Iterable[TableRow], finder: Finder) -> str:
    """Returns which file a path of another machine may mean, "" where none is called so."""
    for row in itertools.islice(rows, _LOOKED_FOR):
        name = posixpath.basename(row.path.replace("\\", "/"))
        try:
            found = finder.find(name) if name else None
            file = None if found is None else found.file
        except AmbiguousPathError as error:
            file = error.files[0]
        if file is not None:
            return f"; of the name {name!r} there is {file.name!r}"
    return ""


def _likeliest(
    table: InputPath, row: TableRow, error: AmbiguousPathError, finder: Finder
) -> ListedFile:
    """Returns the one file of several that lies beside the table, or in the folder called like it.

    Raises:
      UsageError: there is no such folder; names the flag that chooses one.
    """
    pairs = list(zip(error.roots, error.files, strict=True))
    for is_meant in (_is_beside, _is_called_like):
        if len(own := [file for root, file in pairs if is_meant(table, root, finder)]) == 1:
            return own[0]
    likely = [root for root in error.roots if split_of(posixpath.basename(root)) == TRAIN]
    root = [*likely, *filter(None, error.roots), ""][0]
    advice = f", or give the folder that is meant, as in {_root_flag(finder, root)}"
    can_give = root and _may_give_root(table, finder)
    example = next((file for own, file in pairs if own == root), error.files[0])
    raise UsageError(
        f"{table} {row.where}: {error}: write the path from the root, as in "
        f"{example.name!r}{advice if can_give else ''}"
    ) from error


def _is_own(table: InputPath, root: str, finder: Finder) -> bool:
    return _is_beside(table, root, finder) or _is_called_like(table, root, finder)


def _is_beside(table: InputPath, root: str, finder: Finder) -> bool:
    """Returns whether a table lies in a folder: the paths of train/metadata.csv are of train/."""
    folder = posixpath.dirname(table.path.replace("\\", "/"))
    return os.path.abspath(finder.where(root)) == os.path.abspath(folder)


def _is_called_like(table: InputPath, root: str, finder: Finder) -> bool:
    """Returns whether a folder is called as a table: train/ of train.csv."""
    stem, _ = posixpath.splitext(posixpath.basename(table.path.replace("\\", "/")))
    return posixpath.basename(root).casefold() == stem.casefold()


def _may_give_root(table: InputPath, finder: Finder) -> bool:
    """Returns whether a folder can be given as --input_dir: it is that of all tables."""
    return table.flag == _LABELLED and not finder.is_shared


def _root_flag(finder: Finder, root: str) -> str:
    return typed("input_dir", finder.where(root))


def _say_like_table(table: InputPath, noticed: _Noticed, finder: Finder, say: Say) -> None:
    """Says that a folder was preferred for its name, unless other rows lie elsewhere.

    Raises:
      UsageError: they do: what train/ lacks is not to be taken from test/ in silence.
    """
    preferred, elsewhere = noticed.like_table, noticed.elsewhere
    if not preferred.count:
        return
    can_give = _may_give_root(table, finder)
    flag = _root_flag(finder, preferred.first)
    if elsewhere.count:
        advice = f"; give {flag} if all lie there, or write" if can_give else ": write"
        raise UsageError(
            f"{table}: of several files that fit, {counted(preferred.count, 'row')} would take "
            f"the one in {preferred.first}/, {_belongs(table, preferred.first, finder)}, but "
            f"{elsewhere.first}{advice} paths from the root"
        )
    told = f"; {flag} says so" if can_give else ""
    say(
        f"{table}: of files in several folders that fit, {counted(preferred.count, 'row')} took "
        f"the one in {preferred.first}/, {_belongs(table, preferred.first, finder)}{told}"
    )


def _belongs(table: InputPath, root: str, finder: Finder) -> str:
    if _is_beside(table, root, finder):
        return "where the table lies"
    return "which is called as the table is"
