"""Facts as Arrow tables, the form in which they travel and are planned."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from beam_pipelines.facts import ImageFacts

# Of few different values: a row then holds a number in place of a string.
_NAME = pa.dictionary(pa.int32(), pa.string())

FACTS = pa.schema(
    [
        ("key", pa.string()),
        ("class_name", _NAME),
        ("bytes", pa.int64()),
        ("version", pa.int64()),
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

    All blocks are in one place before the plan: about 130 bytes a picture, half of them the
    digest and the fingerprint, which no compression shrinks.
    """
    columns = zip(*map(_values, rows), strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, FACTS, strict=True)]
    return encoded(pa.RecordBatch.from_arrays(arrays, schema=FACTS))


def encoded(batch: pa.RecordBatch) -> bytes:
    """Returns a batch as a compressed Arrow stream."""
    buffer = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(buffer, batch.schema, options=options) as out:
        out.write_batch(batch)
    return buffer.getvalue()


def facts_table(blocks: Iterable[bytes]) -> pa.Table:
    """Returns all facts in key order, whatever the order of the blocks."""
    batches = [batch for block in blocks for batch in pa.ipc.open_stream(block)]
    table = pa.Table.from_batches(batches, FACTS).unify_dictionaries()
    return table.sort_by("key").combine_chunks()


def to_parquet(table: pa.Table) -> bytes:
    """Returns a table as the bytes of a Parquet file; equal tables give equal bytes."""
    buffer = io.BytesIO()
    # A dictionary of values that are all different costs memory and saves nothing.
    repeated = [field.name for field in table.schema if field.name not in _DISTINCT]
    pq.write_table(table, buffer, compression="zstd", use_dictionary=repeated)
    return buffer.getvalue()


def _values(row: ImageFacts) -> tuple[object, ...]:
    return tuple(_value(row, name) for name in row.__slots__)


def _value(row: ImageFacts, name: str) -> object:
    value = getattr(row, name)
    return bytes.fromhex(value) if name in _HEX and value is not None else value


_DISTINCT = ("key", "sha256", "phash")
_HEX = ("sha256", "fingerprint")
