"""The tables of an input together: what several rows say of one file, and what no row names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.options import TableOptions
from tfrecords.inputs.rows import InputPath
from tfrecords.inputs.say import Say, counted
from tfrecords.inputs.tables.paths import Finder
from tfrecords.inputs.tables.pictures import TableFile, TableRow, Tally, files_of, split_named


@dataclass(frozen=True, slots=True)
class GivenTable:
    """A table, read.

    Attributes:
      source: names it in errors.
      data: its bytes.
      split: a word for the split of all its rows; "" where its own column or nothing decides.
      finder: of its files, where its paths start from a folder of its own.
    """

    source: InputPath
    data: bytes
    split: str = ""
    finder: Finder | None = None


def labelled_files(
    given: InputPath,
    tables: Sequence[GivenTable],
    finder: Finder,
    options: TableOptions,
    say: Say,
) -> list[TableFile]:
    """Returns the file of each row of labelled tables, with its class.

    Rows that stand twice and files under several classes are said, and are rows like any other,
    in one table or in two.

    Args:
      given: names the tables together in errors.
      tables: one or several.
      finder: of the files.
      options: how to read them.
      say: told what was guessed and what was noticed.

    Raises:
      UsageError: a table, or what it names, is not clear, or puts rows into other splits than
        the one that is given.
    """
    rows: list[TableFile] = []
    for table in tables:
        own_finder = table.finder or finder
        own = files_of(table.source, table.data, own_finder, options, say, labelled=True)
        rows += (replace(item, row=_row(item.row, table, options, len(tables))) for item in own)
    found = list(_noticing_repeats(given, rows, say))
    unnamed = finder.beside(
        {item.file.name for item in found if item.file.problem is not RejectReason.MISSING}
    )
    if unnamed:
        say(
            f"{given}: {counted(len(unnamed), 'picture')} in the folders of its files not in the "
            f"table{'s' if len(tables) > 1 else ''}, and left out; such as {min(unnamed)!r}"
        )
    return found


def _row(row: TableRow, table: GivenTable, options: TableOptions, tables: int) -> TableRow:
    """Returns a row with the split that is given for its table, and with the table's name."""
    if tables > 1:
        row = replace(row, table=table.source.path)
    if not table.split:
        return row
    split = split_named(table.split, options)
    if split is None:
        raise UsageError(
            f"{table.source.flag}={table.split}={table.source.path}: train, validation, test or "
            f"another lower-case word is expected before the table, not {table.split!r}"
        )
    if row.split not in (None, split):
        raise UsageError(
            f"{table.source} {row.unit} {row.line}: its column says that it is of the split "
            f"{row.split}, and {table.split}= before the table that it is of {split}: leave out "
            "one, the column with --split_column=none"
        )
    return replace(row, split=split)


def _refuse_two_splits(given: InputPath, first: TableRow, second: TableRow) -> None:
    if first.split != second.split:
        where = f": {first.where} and {second.where}"
        if not first.table:
            where = f" {first.unit}s {first.line} and {second.line}"
        raise UsageError(
            f"{given}{where} put {second.path!r} into two splits, {first.split or 'none'} and "
            f"{second.split or 'none'}: remove one of them"
        )


def _noticing_repeats(
    given: InputPath, found: Iterable[TableFile], say: Say
) -> Iterator[TableFile]:
    """Yields all rows; those of one file have one path, however the table writes it."""
    earlier: dict[str, list[TableFile]] = {}
    repeated, conflicts = Tally(), Tally()
    for item in found:
        row, others = item.row, earlier.setdefault(item.file.name, [])
        same = next((other.row for other in others if other.row.label == row.label), None)
        if same is not None:
            _refuse_two_splits(given, same, row)
            repeated.add(f"{row.where} is {same.where}")
        elif others:
            conflicts.add(f"{row.where}: {row.path!r} is {others[0].row.label!r} and {row.label!r}")
        if others:
            item = replace(item, file=replace(item.file, path=others[0].file.path))
        if same is None:
            others.append(item)
        yield item
    if repeated.count:
        say(f"{given}: {counted(repeated.count, 'repeated row')}, kept once; {repeated.first}")
    if conflicts.count:
        say(
            f"{given}: {counted(conflicts.count, 'row')} with another class for a file of an "
            f"earlier one, for --label_conflicts to decide; {conflicts.first}"
        )
