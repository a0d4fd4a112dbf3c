"""The fields of a table, out of whatever bytes a spreadsheet or a script wrote."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tfrecords.errors import UsageError
from tfrecords.inputs.column_names import LABEL_NAMES, PATH_NAMES, SPLIT_NAMES, normalised
from tfrecords.inputs.options import TableOptions
from tfrecords.inputs.picture_names import is_picture_name
from tfrecords.inputs.rows import InputPath
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

_NO_ROWS = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:(<)[!?a-zA-Z]|\{\s*\"|\[\s*[{\[])")

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
    """

    source: InputPath
    text: str
    separator: str
    header: tuple[str, ...]
    has_header: bool
    notes: tuple[str, ...] = ()

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
            yield line, fields


def is_json_lines(path: str) -> bool:
    """Returns whether a path has the name of a table of JSON Lines."""
    return path.lower().endswith(_JSON_LINES)


def parse(source: InputPath, data: bytes, options: TableOptions) -> TableText:
    """Returns a table.

    Raises:
      UsageError: it is no table, it has no line, its encoding or its separator is not clear, or
        two of its columns have one name.
    """
    text = decoded(source, data, options.encoding).text
    if text.startswith("{"):
        return _of_objects(source, text)
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


def _of_objects(source: InputPath, text: str) -> TableText:
    """Returns the table of JSON Lines: an object for each picture, whose keys are the columns.

    Raises:
      UsageError: a line is no object.
    """
    # Blank lines stay, so that lines keep their numbers.
    objects = [_object(source, line, own) for line, own in enumerate(text.split("\n"), 1)]
    header = tuple(dict.fromkeys(key for found in objects if found for key in found))
    rows = io.StringIO()
    write = csv.writer(rows, lineterminator="\n").writerow
    for found in objects:
        write([_field(found.get(key)) for key in header] if found else [])
    return TableText(source, rows.getvalue(), ",", header, has_header=False)


def _object(source: InputPath, line: int, text: str) -> dict[str, object] | None:
    if not text.strip():
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{source} line {line} is no JSON object: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{source} line {line} is no JSON object, as each line of it should be")
    return found


def _field(value: object) -> str:
    """Returns a value as a field of one line."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split())


def decoded(source: InputPath, data: bytes, encoding: str = "") -> DecodedText:
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
    if found := _NO_ROWS.match(data):
        what = "a web page or XML" if found[1] == b"<" else "JSON"
        if what != "JSON" or not is_json_lines(source.path):
            raise UsageError(
                f"{source} is {what}, not a table: a CSV is expected, with a path and a class in "
                "each row"
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
