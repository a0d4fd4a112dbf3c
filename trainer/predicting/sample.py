"""A contest's sample submission: its bytes taken apart, so that only the answers change.

Byte order mark, encoding, separator, quotes, line ends, header and ids come back as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tfrecords.errors import UsageError
from tfrecords.inputs import table_input
from tfrecords.inputs.files import LOCAL
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.rows import InputPath
from tfrecords.inputs.say import Say
from tfrecords.inputs.tables import text as table_text
from tfrecords.inputs.tables.columns import find_columns
from tfrecords.inputs.tables.text import DecodedText, TableText
from trainer.predicting import cells

FLAG = "--like"


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a sample, or several where a quoted field has line ends in it.

    Attributes:
      line: its number in the file, from 1.
      raw: its fields as they are written, quotes and spaces too.
      values: the same as they are meant.
      end: what ends it; "" for a last line without an end.
    """

    line: int
    raw: tuple[str, ...]
    values: tuple[str, ...]
    end: str

    @property
    def is_blank(self) -> bool:
        """Whether it has nothing to say."""
        return not any(self.values)


@dataclass(frozen=True, eq=False)
class Sample:
    """A sample submission.

    Attributes:
      source: where it is from.
      decoded: its mark and its codec.
      separator: between fields.
      head: what stands before the rows, as it is: the header, a line `sep=;`.
      header: names of the columns, "1", "2", … where it has no header.
      records: the rows, blank ones too.
      id_column: number of the column of ids, from 0.
    """

    source: InputPath
    decoded: DecodedText
    separator: str
    head: str
    header: tuple[str, ...]
    records: tuple[Record, ...]
    id_column: int

    def rows(self) -> Iterator[Record]:
        """Yields the records that are a picture's."""
        return (record for record in self.records if not record.is_blank)

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each row, without spaces around it."""
        return tuple(record.values[self.id_column] for record in self.rows())

    def filled(self, columns: Sequence[int], answers: Iterator[Sequence[str]]) -> Iterator[str]:
        """Yields the submission's text, piece by piece.

        Args:
          columns: numbers of the columns that change.
          answers: for each row of `rows`, the values of these columns.
        """
        yield self.head
        for record in self.records:
            raw = list(record.raw)
            if not record.is_blank:
                for column, value in zip(columns, next(answers), strict=True):
                    raw[column] = _in_place_of(raw[column], value, self.separator)
            yield self.separator.join(raw) + record.end

    def encode(self, text: str) -> bytes:
        """Returns a text as the sample's bytes have it.

        Raises:
          UsageError: the sample's encoding has no such character.
        """
        try:
            return text.encode(self.decoded.codec)
        except UnicodeEncodeError as error:
            raise UsageError(
                f"{self.source} is {self.decoded.codec.upper()}, which cannot write {text!r}: save "
                "the sample as UTF-8"
            ) from error


def read(
    source: InputPath,
    options: InputOptions,
    finds: Callable[[str], bool],
    say: Say,
    archive: InputPath | None = None,
) -> Sample:
    """Returns a sample submission.

    Args:
      source: a path, or one in an archive ("contest.zip/sample_submission.csv").
      options: how tables and archives are read.
      finds: whether there is a picture for an id.
      say: told what was guessed.
      archive: the input, where it is an archive that the sample may lie in.

    Raises:
      UsageError: it cannot be read or understood; the text says what to do.
    """
    root = archive or InputPath(source.flag, "")
    data = table_input.open_table(root, source, LOCAL, options, say).data
    decoded = table_text.decoded(source, data, options.table.encoding)
    table = table_text.parse(source, data, options.table)
    columns = find_columns(table, options.table, finds, labelled=False)
    for note in (*table.notes, *columns.notes):
        say(f"{source}: {note}")
    named = _line_of_separator(decoded, table)
    records = list(_records(decoded.text[len(named) :], table.separator, 2 if named else 1))
    _check(table, records)
    head = named
    while records and table.has_header:
        first = records.pop(0)
        head += table.separator.join(first.raw) + first.end
        if not first.is_blank:
            break
    sample = Sample(
        source, decoded, table.separator, head, table.header, tuple(records), columns.path
    )
    _check_ids(sample)
    return sample


def _line_of_separator(decoded: DecodedText, table: TableText) -> str:
    """Returns the line `sep=;` with its end, "" where there is none."""
    return "" if decoded.text == table.text else decoded.text.partition("\n")[0] + "\n"


def _records(text: str, separator: str, first_line: int) -> Iterator[Record]:
    """Yields the lines of a table whose quotes are sound, numbered from `first_line` on."""
    plain = f"[^{re.escape(separator)}\\r\\n]*"
    pattern = re.compile(f' *"(?:[^"]|"")*"{plain}|{plain}')
    position, line, raw = 0, first_line, []
    while position < len(text):
        match = pattern.match(text, position)
        token = match.group() if match else ""
        position += len(token)
        raw.append(token)
        if text.startswith(separator, position):
            position += len(separator)
            if position < len(text):
                continue
            raw.append("")
        end = next((end for end in ("\r\n", "\n", "\r") if text.startswith(end, position)), "")
        position += len(end)
        yield Record(line, tuple(raw), tuple(map(_meant, raw)), end)
        line += sum(token.count("\n") for token in raw) + 1
        raw = []


def _meant(raw: str) -> str:
    bare = raw.lstrip(" ")
    if not bare.startswith('"'):
        return raw.strip()
    inside, _, rest = bare[1:].rpartition('"')
    return (inside.replace('""', '"') + rest).strip()


def _in_place_of(raw: str, value: str, separator: str) -> str:
    """Returns a value written as the field is that it replaces."""
    bare = raw.lstrip(" ")
    return raw[: len(raw) - len(bare)] + cells.field(value, separator, quoted=bare.startswith('"'))


def _check(table: TableText, records: Sequence[Record]) -> None:
    """Refuses a sample that two readers understand differently: its rows would be mixed up."""
    ours = [list(record.values) for record in records if not record.is_blank]
    theirs = [fields for _, fields in table.rows()]
    if ours[table.has_header :] != theirs:
        raise UsageError(
            f"{table.source}: its quotes can be understood in two ways: save it again as CSV"
        )
    if not theirs:
        raise UsageError(f"{table.source} has a header and no rows")


def _check_ids(sample: Sample) -> None:
    for record in sample.rows():
        if not record.values[sample.id_column]:
            raise UsageError(
                f"{sample.source} line {record.line}: {sample.header[sample.id_column]} is empty"
            )
