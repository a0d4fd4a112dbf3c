"""The fields of a table, out of whatever bytes a spreadsheet or a script wrote."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tfrecords.errors import UsageError
from tfrecords.inputs.column_names import LABEL_NAMES, PATH_NAMES, SPLIT_NAMES, normalised
from tfrecords.inputs.options import TableOptions
from tfrecords.inputs.picture_names import is_picture_name
from tfrecords.inputs.rows import InputPath
from tfrecords.inputs.tables import documents
from tfrecords.inputs.tables.records import Records, load, of_objects
from tfrecords.inputs.tables.values import is_number

_SEPARATORS = (",", ";", "\t", "|")
_NAMED_SEPARATORS = {
    "tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " ",
}  # fmt: skip

# Lines that the separator is found from.
_SAMPLE_LINES = 50

_NO_TABLES = {
    b"PK\x03\x04": "a spreadsheet or a zip",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "compressed",
    b"SQLite format 3": "a database",
}

_WEB_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!?a-zA-Z]")

# The longer ones first: UTF-16's mark is the begin of UTF-32's.
_MARKS = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe\0\0": "utf-32-le",
    b"\0\0\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}

# Python's codecs of these names write a mark.
_MARKLESS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}

_JSON_LINES = (".jsonl", ".ndjson")

# How JSON begins that names anything, and no line of a CSV.
_JSON = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*[\"{\[\]])")

_USUAL = {normalised(name) for name in (*PATH_NAMES, *LABEL_NAMES, *SPLIT_NAMES)}


@dataclass(frozen=True, slots=True)
class DecodedText:
    """The text in a file's bytes: these are `mark`, and `text` in `codec`.

    Attributes:
      mark: the byte order mark, or none.
      codec: name of a Python codec that neither reads nor writes a mark of its own.
      text: all of it.
    """

    mark: bytes
    codec: str
    text: str


@dataclass(frozen=True, slots=True)
class TableText:
    """A table as text.

    Attributes:
      source: where it is from.
      text: all of it.
      separator: between fields.
      header: names of the columns, without spaces around them; "1", "2", … where it has none.
      has_header: whether its first line is a header.
      notes: what was found and not told, for people.
      first_line: number of the text's first line.
      unit: what is numbered: a line, or a record of a JSON document.
    """

    source: InputPath
    text: str
    separator: str
    header: tuple[str, ...]
    has_header: bool
    notes: tuple[str, ...] = ()
    first_line: int = 1
    unit: str = "line"

    @property
    def is_json(self) -> bool:
        """Whether its header is of the keys of JSON, and no line of a person's."""
        return self.first_line == 0

    def at(self, line: int) -> str:
        """Returns which line or record of which table is meant, for people."""
        return f"{self.source} {self.unit} {line}"

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yields the line, from 1, and the fields of each row, without spaces around them.

        Raises:
          UsageError: a row has more or fewer fields than the header, or its quotes do not end.
        """
        rows = _parsed(self.source, self.text, self.separator)
        for line, fields in itertools.islice(rows, int(self.has_header), None):
            if len(fields) != len(self.header):
                raise UsageError(
                    f"{self.source} line {line}: {len(fields)} fields where "
                    f"{len(self.header)} are expected ({','.join(self.header)}); "
                    f"put a field with {self.separator!r} in it into double quotes"
                )
            yield line - 1 + self.first_line, fields


def is_json_lines(path: str) -> bool:
    """Returns whether a path has the name of a table of JSON Lines."""
    return path.lower().endswith(_JSON_LINES)


def is_json(path: str) -> bool:
    """Returns whether a path has the name of JSON, which may be a table or anything else."""
    return path.lower().endswith(".json")


def parse(
    source: InputPath, data: bytes, options: TableOptions, labelled: bool = True
) -> TableText:
    """Returns a table.

    Args:
      source: names it in errors.
      data: its bytes.
      options: how it is to be read.
      labelled: whether classes are asked for: JSON may have them apart from the pictures.

    Raises:
      UsageError: it is no table, it has no line, its encoding or its separator is not clear, or
        two of its columns have one name.
    """
    text = _decoded(source, data, options.encoding).text
    if _JSON.match(text) or text.startswith("{"):
        return _of_json(source, text, options.label_column, labelled)
    notes = []
    text, separator = _separator(source, text, options.separator)
    if separator != "," and not options.separator:
        notes.append(f"its fields are separated by {separator!r}")
    first = next(_parsed(source, text, separator), None)
    if first is None:
        raise UsageError(f"{source} is empty: a header and one line for each picture are expected")
    header = tuple(first[1])
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    # No columns are called 1, 1 and 1, but "Abyssinian_100 1 1 1" is a row.
    has_header = not any(map(is_picture_name, header)) and not any(map(is_number, twice))
    if not has_header:
        notes.append("its first line is no header but a picture's: its columns are 1, 2, …")
        header = tuple(str(number + 1) for number in range(len(header)))
        twice = []
    if twice:
        raise UsageError(
            f"{source}: two columns are called {twice[0]!r}: rename or remove one of them"
        )
    return TableText(source, text, separator, header, has_header, tuple(notes))


def _of_json(
    source: InputPath, text: str, label_column: Sequence[str], labelled: bool
) -> TableText:
    """Returns the table of a JSON document, or of JSON Lines, whatever their suffix is.

    Raises:
      UsageError: it is neither.
    """
    # By its number the column may be the names, too.
    by_name = all(name.isdigit() or name.strip().lower() == "label" for name in label_column)
    if not (is_json_lines(source.path) and text.startswith("{")):
        try:
            found = documents.records(source, text, by_name, labelled)
            return _table(source, found, "record")
        except documents.SeveralValuesError:
            pass
    # Blank lines stay, so that lines keep their numbers.
    lines = [_line(source, line, own) for line, own in enumerate(text.split("\n"), 1)]
    return _table(source, of_objects(lines), "line")


def _table(source: InputPath, records: Records, unit: str) -> TableText:
    """Returns records as a table, one of them a line, below a header.

    Raises:
      UsageError: two columns have one name, or a value has a zero byte.
    """
    rows = io.StringIO()
    write = csv.writer(rows, lineterminator="\n")
    write.writerow(records.header)
    write.writerows(records.rows)
    text = rows.getvalue()
    if "\0" in text:
        raise UsageError(f"{source} has a zero byte in a value, as \\u0000")
    _refuse_equal(source, records.header)
    return TableText(source, text, ",", records.header, True, records.notes, 0, unit)


def _refuse_equal(source: InputPath, header: Sequence[str]) -> None:
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise UsageError(f"{source}: two columns are called {twice[0]!r}: rename or remove one")


def _line(source: InputPath, line: int, text: str) -> dict[str, object] | None:
    if not text.strip():
        return None
    try:
        found = load(text)
    except ValueError as error:
        raise UsageError(f"{source} line {line} is no JSON object: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{source} line {line} is no JSON object, as each line of it should be")
    return found


def decoded(source: InputPath, data: bytes, encoding: str = "") -> DecodedText:
    """Returns the text of a table, as `_decoded`, that is to be a CSV.

    Raises:
      UsageError: as of `_decoded`; or it is JSON.
    """
    found = _decoded(source, data, encoding)
    if _JSON.match(found.text) and not is_json_lines(source.path):
        raise UsageError(
            f"{source} is JSON, not a table: a CSV is expected, with a path and a class in each row"
        )
    return found


def _decoded(source: InputPath, data: bytes, encoding: str = "") -> DecodedText:
    """Returns the text of a table.

    Args:
      source: names the table in errors.
      data: its bytes.
      encoding: of a table without a mark; "" for UTF-8, or UTF-16 where its zeros tell.

    Raises:
      UsageError: it is no text, or of another encoding.
    """
    for magic, what in _NO_TABLES.items():
        if data.startswith(magic):
            raise UsageError(f"{source} is {what}, not a text table: save it as CSV")
    if _WEB_PAGE.match(data):
        raise UsageError(
            f"{source} is a web page or XML, not a table: a CSV is expected, with a path and a "
            "class in each row"
        )
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    # A mark says more than the name of its family; of another family, it is no mark.
    family = encoding.lower().replace("_", "-").removesuffix("-sig")
    if mark and _MARKS[mark].startswith(family):
        encoding = _MARKS[mark]
    else:
        mark, encoding = b"", _MARKLESS.get(family, encoding) or _without_mark(data)
    try:
        text = data[len(mark) :].decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        if isinstance(error, LookupError) and not isinstance(error, UnicodeDecodeError):
            raise UsageError(f"--csv_encoding={encoding} is not a known encoding") from error
        line = data.count(b"\n", 0, len(mark) + error.start) + 1
        raise UsageError(
            f"{source} line {line} is not {encoding.upper()}: say what it is, "
            "as with --csv_encoding=cp1252 (Windows in the West), cp1251, gbk or cp932"
        ) from error
    if "\0" in text:
        raise UsageError(
            f"{source} has zero bytes in it: it is no text table, or of an encoding "
            "that --csv_encoding should name"
        )
    return DecodedText(mark, encoding, text)


def _without_mark(data: bytes) -> str:
    """Returns UTF-16 for text with a zero in every other byte, UTF-8 for any other."""
    begin = data[:256]
    if len(begin) >= 4 and begin[1::2].count(0) * 4 > len(begin):
        return "utf-16-le"
    if len(begin) >= 4 and begin[::2].count(0) * 4 > len(begin):
        return "utf-16-be"
    return "utf-8"


def _separator(source: InputPath, text: str, given: str) -> tuple[str, str]:
    """Returns the table, a line that names the separator made blank, and the separator."""
    first, _, rest = text.partition("\n")
    named = first[4] if first.lower().startswith("sep=") and len(first.rstrip("\r")) == 5 else ""
    if named:
        text = f"\n{rest}"  # Lines keep their numbers.
    if given:
        found = _NAMED_SEPARATORS.get(given.lower(), given)
        if len(found) != 1:
            raise UsageError(f"--csv_separator={given}: one character is expected, or tab")
        return text, found
    if named:
        return text, named
    sample = "".join(itertools.islice(io.StringIO(text, newline=""), _SAMPLE_LINES))
    ranked = sorted((_rank(sample, separator), separator) for separator in _SEPARATORS)
    if not ranked[-1][0][0] and _are_words(sample):
        return text, " "
    (best, separator), (second, other) = ranked[-1], ranked[-2]
    if best == second and best[0]:
        raise UsageError(
            f"{source}: its fields may be separated by {separator!r} or by {other!r}: "
            "say which with --csv_separator"
        )
    return text, separator if best[0] else ","


def _are_words(sample: str) -> bool:
    """Returns whether lines are as many words each, as in "1.jpg 3": no path has a space in it."""
    lines = [line.split(" ") for line in sample.splitlines()[:_SAMPLE_LINES] if line.strip()]
    return len({len(line) for line in lines}) == 1 < len(lines) and len(lines[0]) > 1


def _rank(sample: str, separator: str) -> tuple[bool, int, bool, int]:
    """Returns how well a separator explains the first lines; larger is better."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        rows = [row for row in reader if row]
    except csv.Error:
        return (False, 0, False, 0)
    columns = len(rows[0]) if rows else 0
    usual = sum(normalised(name) in _USUAL for name in rows[0]) if rows else 0
    # The last row may be cut off.
    even = all(len(row) == columns for row in rows[:-1])
    return (columns > 1, usual, even, columns)


def _parsed(source: InputPath, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the line and the fields of every row that is not blank."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise UsageError(
                f"{source} line {line}: {error}; a quote inside a quoted field is written twice"
            ) from error
        if row is None:
            return
        fields = [field.strip() for field in row]
        if any(fields):
            yield line, fields
