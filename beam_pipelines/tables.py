"""Facts as Arrow tables, the form in which they travel and are planned."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from beam_pipelines.facts import ImageFacts

FACTS = pa.schema(
    [
        ("key", pa.string()),
        ("class_name", pa.string()),
        ("bytes", pa.int64()),
        ("version", pa.int64()),
        ("split", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("sha256", pa.string()),
        ("phash", pa.uint64()),
        ("fingerprint", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("mode", pa.string()),
        ("encoded_bytes", pa.int64()),
        ("pack", pa.string()),
        ("index", pa.int32()),
    ]
)


def facts_block(rows: Iterable[ImageFacts]) -> pa.RecordBatch:
    """Returns rows as an Arrow record batch: a quarter of the memory of Python objects."""
    columns = zip(*map(_values, rows), strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, FACTS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=FACTS)


def facts_table(blocks: Sequence[pa.RecordBatch]) -> pa.Table:
    """Returns all facts in key order, whatever the order of the blocks."""
    return pa.Table.from_batches(blocks, FACTS).sort_by("key").combine_chunks()


def to_parquet(table: pa.Table) -> bytes:
    """Returns a table as the bytes of a Parquet file; equal tables give equal bytes."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _values(row: ImageFacts) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in row.__slots__)
