"""Facts as Arrow tables, the form in which they travel and are planned."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beam_pipelines.cache.facts import ImageFacts
from tfrecords import ledger

# Of few different values: a row then holds a number in place of a string.
_NAME = pa.dictionary(pa.int32(), pa.string())

FACTS = pa.schema(
    [
        ("key", pa.string()),
        ("class_name", _NAME),
        ("bytes", pa.int64()),
        ("split", _NAME),
        ("reason", _NAME),
        ("detail", pa.string()),
        ("sha256", pa.binary(32)),
        ("phash", pa.uint64()),
        ("fingerprint", pa.binary(32)),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", _NAME),
        ("mode", _NAME),
        ("encoded_bytes", pa.int64()),
        ("pack", _NAME),
        ("index", pa.int32()),
    ]
)


def facts_block(rows: Iterable[ImageFacts]) -> bytes:
    """Returns rows as a compressed Arrow stream, for the shuffle.

    All blocks are in one place before the plan: about 110 bytes a picture, 64 of them the
    digest and the fingerprint, which no compression shrinks.
    """
    columns = zip(*map(_values, rows), strict=True)
    arrays = [
        pa.array(map(_bytes, column) if field.name in _HEX else column, field.type)
        for column, field in zip(columns, FACTS, strict=True)
    ]
    return encoded(pa.RecordBatch.from_arrays(arrays, schema=FACTS))


def encoded(batch: pa.RecordBatch) -> bytes:
    """Returns a batch as a compressed Arrow stream.

    Compressed as a whole: Arrow's own compression treats each of 40 buffers by itself, which
    takes a batch of 200 rows five times as long and yields 126 bytes a row in place of 111.
    """
    sink = pa.BufferOutputStream()
    with (
        pa.CompressedOutputStream(sink, "zstd") as compressed,
        pa.ipc.new_stream(compressed, batch.schema) as out,
    ):
        out.write_batch(batch)
    return sink.getvalue().to_pybytes()


def batches(block: bytes) -> pa.RecordBatchReader:
    """Returns the batches of a block that `encoded` made."""
    return pa.ipc.open_stream(pa.input_stream(pa.py_buffer(block), compression="zstd"))


def facts_table(blocks: Iterable[bytes], without: Sequence[str] = ()) -> pa.Table:
    """Returns all facts in key order, whatever the order of the blocks; `without` some columns.

    Keys are `large_string` here: those of 40 million pictures pass the 2 GiB that `string` holds.
    """
    parts = pa.concat_tables(_parts(blocks, without)).unify_dictionaries()
    order = pc.sort_indices(_joined(parts["key"].cast(pa.large_string())))
    columns: dict[str, pa.Array] = {}
    # Column by column, so that two copies of one are all that sorting adds.
    for name in parts.column_names:
        column, parts = parts[name], parts.drop_columns([name])
        wide = column.cast(pa.large_string()) if name == "key" else column
        del column
        columns[name] = _joined(wide).take(order)
    return pa.table(columns)


def binary(values: pa.FixedSizeBinaryArray) -> np.ndarray:
    """Returns 'S'[n], a view; what it has where a value is null says nothing."""
    kind = f"S{values.type.byte_width}"
    return np.frombuffer(values.buffers()[1], kind)[values.offset : values.offset + len(values)]


def write_ledger(file: BinaryIO, pieces: Iterable[pa.Table]) -> None:
    """Writes the ledger as Parquet; equal rows give equal bytes.

    Args:
      file: open for writing.
      pieces: of `ledger.SCHEMA` and `LEDGER_ROWS` rows, the last of fewer; one is held at a time.
    """
    # A dictionary of values that are all different costs memory and saves nothing.
    repeated = [name for name in ledger.SCHEMA.names if name not in _DISTINCT]
    with pq.ParquetWriter(
        file, ledger.SCHEMA, compression="zstd", use_dictionary=repeated
    ) as writer:
        for piece in pieces:
            writer.write_table(piece, LEDGER_ROWS)
            # Or it would be held while the next one is made.
            del piece


# Rows of a block are few: overheads of a small batch, 40 bytes a row, go by joining them early.
_JOINED_ROWS = 1 << 17

# Of a row group, 170 MB in memory; as PyArrow writes a whole table by default.
LEDGER_ROWS = 1 << 20


def _parts(blocks: Iterable[bytes], without: Sequence[str]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for block in blocks:
        waiting.extend(batches(block))
        rows += waiting[-1].num_rows
        if rows >= _JOINED_ROWS:
            yield _compact(waiting, without)
            waiting, rows = [], 0
    yield _compact(waiting, without)


def _compact(batches: list[pa.RecordBatch], without: Sequence[str]) -> pa.Table:
    table = pa.Table.from_batches(batches, FACTS).drop_columns(list(without))
    return table.unify_dictionaries().combine_chunks()


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks()


def _bytes(digits: str | None) -> bytes | None:
    return None if digits is None else bytes.fromhex(digits)


# A row's values in the order of `FACTS`.
_values = operator.attrgetter(*FACTS.names)

_DISTINCT = ("key", "sha256", "phash")
_HEX = ("sha256", "fingerprint")
