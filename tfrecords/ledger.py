"""`sources.parquet`, the ledger: what became of each input file, and why.

One row per file, in key order. Nothing that was given to a bake is missing from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrecords import locations
from tfrecords.errors import EvenshardError
from tfrecords.locations import Folder
from tfrecords.manifest import SOURCES

KEPT = "kept"
CAPPED = "capped"
DUPLICATE = "duplicate"
REJECTED = "rejected"
CHANGED = "changed"
IGNORED = "ignored"
STATUSES = (KEPT, CAPPED, DUPLICATE, REJECTED, CHANGED, IGNORED)

# Nulls: `class` of a file in no class folder; `sha256` of one that could not be read; `phash`,
# `width` to `mode` and `group` of one without a picture; `split` of one that is neither kept
# nor capped; `rank`, `shard` and `position` of one that is in no shard.
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        ("class", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("sha256", pa.string()),
        ("phash", pa.uint64()),
        ("bytes", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("mode", pa.string()),
        ("group", pa.int64()),
        ("split", pa.string()),
        ("rank", pa.int32()),
        ("copies", pa.int32()),
        ("shard", pa.string()),
        ("position", pa.int32()),
    ]
)

_RowsT = TypeVar("_RowsT", pa.Table, pa.RecordBatch)

# Rows held at a time while streaming: about 10 MB of Python objects.
BATCH_ROWS = 1 << 16


class LedgerError(EvenshardError):
    """A `sources.parquet` that is absent, damaged or of other columns.

    Attributes:
      path: of the file.
      what: what is wrong, and what to do.
    """

    def __init__(self, path: Folder, what: str) -> None:
        super().__init__(path, what)
        self.path = path
        self.what = what

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def read(data_dir: str | Folder) -> pa.Table:
    """Returns the whole ledger of a data set, in key order.

    Raises:
      LedgerError: absent, damaged, or a column is missing or of another type.
    """
    path = locations.of(data_dir) / SOURCES
    with _open(path) as file:
        try:
            return _checked(file.read(columns=SCHEMA.names))
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(path, f"damaged: {error}") from error


def stream(data_dir: str | Folder, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yields `columns` of the ledger, `BATCH_ROWS` rows at a time.

    Raises:
      LedgerError: as for `read`.
    """
    path = locations.of(data_dir) / SOURCES
    with _open(path) as file:
        try:
            yield from map(_checked, file.iter_batches(BATCH_ROWS, columns=list(columns)))
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(path, f"damaged: {error}") from error


def select(data_dir: str | Folder, columns: Sequence[str], where: pc.Expression) -> pa.Table:
    """Returns `columns` of the rows that satisfy `where`, in key order; others are not held.

    Raises:
      LedgerError: as for `read`.
    """
    path = locations.of(data_dir) / SOURCES
    with _open(path):
        pass
    try:
        with _source(path) as source:
            return _checked(pq.read_table(source, columns=list(columns), filters=where))
    except (OSError, pa.ArrowException) as error:
        raise LedgerError(path, f"damaged: {error}") from error


@contextmanager
def _open(path: Folder) -> Iterator[pq.ParquetFile]:
    """Gives the ledger once its columns are checked; raises as `read`."""
    with ExitStack() as stack:
        try:
            source = stack.enter_context(_source(path))
            file = stack.enter_context(pq.ParquetFile(source))
        except FileNotFoundError as error:
            raise LedgerError(path, "is missing: bake again with --overwrite") from error
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(path, f"not a Parquet file: {error}") from error
        if what := _wrong_columns(file.schema_arrow):
            raise LedgerError(path, what)
        yield file


@contextmanager
def _source(path: Folder) -> Iterator[Path | BinaryIO]:
    """Gives what pyarrow reads: a path, which it maps, or else an open file."""
    if isinstance(path, Path):
        yield path
        return
    with path.open("rb") as file:
        yield file


def _checked(rows: _RowsT) -> _RowsT:
    """Returns rows whose texts are texts: a Parquet file's pages have no checksum."""
    rows.validate(full=True)
    return rows


def _wrong_columns(found: pa.Schema) -> str | None:
    for field in SCHEMA:
        index = found.get_field_index(field.name)
        if index < 0:
            return f"column {field.name!r} is missing; there are {', '.join(found.names)}"
        if found.field(index).type != field.type:
            return f"column {field.name!r} is {found.field(index).type}, {field.type} expected"
    return None
