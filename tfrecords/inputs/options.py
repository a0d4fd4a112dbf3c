"""What a person may tell about an input, where its own words and bytes do not say it."""

from __future__ import annotations

from dataclasses import dataclass

# Ten times the largest good picture seen, a PNG of 178 million pixels.
DEFAULT_MAX_FILE_MB = 200

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How a table is to be read; "" where that is to be found from the table.

    Attributes:
      path_column: name of the column of paths or ids, or its number from 1.
      label_column: name or number of the column of classes; of several, one-hot columns.
      split_column: name or number of the column of splits.
      separator: between the fields of a line.
      encoding: name of a Python codec.
      splits: names that the data set's splits have, which mean themselves in a table.
      group_column: name or number of the column of what several pictures are of; "" for none.
    """

    path_column: str = ""
    label_column: tuple[str, ...] = ()
    split_column: str = ""
    separator: str = ""
    encoding: str = ""
    splits: tuple[str, ...] = ()
    group_column: str = ""


@dataclass(frozen=True, slots=True)
class InputOptions:
    """How an input is to be read.

    Attributes:
      table: its table.
      name_encoding: codec of the names in an archive that are not UTF-8; "" to guess.
      max_bytes: files of more bytes are rejected unread.
      spool_dir: folder for the plain form of a compressed tar, "" where there is none to write to.
    """

    table: TableOptions = TableOptions()
    name_encoding: str = ""
    max_bytes: int = DEFAULT_MAX_FILE_MB * MEGABYTE
    spool_dir: str = ""
