"""Facts as Arrow tables, the form in which they cross a shuffle and are planned."""

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
from tfrecords.schema import record_id
from tfrecords.sharding import stable_hashes

# Columns of few distinct values: a row then holds a number instead of a string.
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
        ("group_value", _NAME),
    ]
)

# Keys that are Python strings at a time: 130 bytes each.
_KEYS_AT_ONCE = 1 << 16

# Of a row group, 170 MB in memory; as PyArrow writes a whole table by default.
LEDGER_ROWS = 1 << 20

# Blocks have few rows, and a small batch costs 100 bytes a row: so many are joined at a time.
_ROWS_AT_ONCE = 1 << 14

_DISTINCT = ("key", "sha256", "phash")
_HEX = ("sha256", "fingerprint")


def facts_block(rows: Iterable[ImageFacts]) -> bytes:
    """Returns rows as a compressed Arrow stream, for the shuffle.

    The planner gets all blocks: about 110 bytes a picture, of which the digest and the
    fingerprint, which no compression shrinks, are 64.
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
    takes five times as long for a batch of 200 rows and yields 126 bytes a row, not 111.
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
    """Returns all facts in key order, whatever the order of the blocks.

    Args:
      blocks: of `facts_block`.
      without: columns to leave out.

    Keys are `large_string` here: those of 40 million pictures pass the 2 GiB that `string` holds.
    """
    parts = pa.concat_tables(_parts(blocks, without)).unify_dictionaries()
    order = pc.sort_indices(parts["key"].cast(pa.large_string()).combine_chunks())
    columns: dict[str, pa.Array] = {}
    # Column by column, so that two copies of one are all that sorting adds.
    for name in parts.column_names:
        values, parts = parts[name], parts.drop_columns([name])
        wide = values.cast(pa.large_string()) if name == "key" else values
        del values
        columns[name] = wide.combine_chunks().take(order)
    return pa.table(columns)


def column(facts: pa.Table, name: str) -> pa.Array:
    """Returns a column of the facts in one piece."""
    return facts[name].combine_chunks()


def keys(facts: pa.Table, rows: np.ndarray) -> Iterator[str]:
    """Yields the keys of some rows."""
    for start in range(0, len(rows), _KEYS_AT_ONCE):
        some = pa.array(rows[start : start + _KEYS_AT_ONCE])
        yield from facts["key"].take(some).to_pylist()


def keys_and_digests(facts: pa.Table) -> Iterator[tuple[str, str | None]]:
    """Yields the key and the digest, hex or None, of every row."""
    for start in range(0, len(facts), _KEYS_AT_ONCE):
        some = facts.select(["key", "sha256"]).slice(start, _KEYS_AT_ONCE)
        sha256 = hexadecimal(column(some, "sha256")).to_pylist()
        yield from zip(some["key"].to_pylist(), sha256, strict=True)


def key_hashes(parts: Sequence[str | int], facts: pa.Table, rows: np.ndarray) -> np.ndarray:
    """Returns uint64[k], `stable_hash` of `parts` and the keys of some rows."""
    result = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), _KEYS_AT_ONCE):
        some = slice(start, start + _KEYS_AT_ONCE)
        result[some] = stable_hashes(parts, facts["key"].take(pa.array(rows[some])).to_pylist())
    return result


def record_hashes(
    parts: Sequence[str | int], facts: pa.Table, rows: np.ndarray, copies: np.ndarray
) -> np.ndarray:
    """Returns uint64[k], `stable_hash` of `parts` and the ids of copies of some rows.

    Args:
      rows: int[k], of `facts`.
      copies: int[k], copy number of each.
    """
    result = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), _KEYS_AT_ONCE):
        some = slice(start, start + _KEYS_AT_ONCE)
        of_rows = facts["key"].take(pa.array(rows[some])).to_pylist()
        result[some] = stable_hashes(parts, map(record_id, of_rows, copies[some].tolist()))
    return result


def hexadecimal(digests: pa.FixedSizeBinaryArray) -> pa.StringArray:
    """Returns digests in hex; nulls stay null."""
    if digests.null_count == len(digests):
        return pa.nulls(len(digests), pa.string())
    width: int = digests.type.byte_width
    data = digests.buffers()[1].slice(digests.offset * width, len(digests) * width)
    text = data.to_pybytes().hex().encode()
    offsets = np.arange(0, len(text) + 1, 2 * width, dtype=np.int32)
    digits = pa.StringArray.from_buffers(len(digests), pa.py_buffer(offsets), pa.py_buffer(text))
    return pc.if_else(digests.is_valid(), digits, pa.scalar(None, pa.string()))


def binary(values: pa.FixedSizeBinaryArray) -> np.ndarray:
    """Returns 'S'[n], a view; its values are undefined where the array is null."""
    kind = f"S{values.type.byte_width}"
    return np.frombuffer(values.buffers()[1], kind)[values.offset : values.offset + len(values)]


def write_ledger(file: BinaryIO, pieces: Iterable[pa.Table]) -> None:
    """Writes the ledger as Parquet; equal rows give equal bytes.

    Args:
      file: open for writing.
      pieces: of `ledger.SCHEMA` and `LEDGER_ROWS` rows, the last of fewer; one is held at a time.
    """
    # A dictionary of values that are all distinct costs memory and saves nothing.
    repeated = [name for name in ledger.SCHEMA.names if name not in _DISTINCT]
    with pq.ParquetWriter(
        file, ledger.SCHEMA, compression="zstd", use_dictionary=repeated
    ) as writer:
        for piece in pieces:
            writer.write_table(piece, LEDGER_ROWS)
            # Otherwise it would be held while the next one is made.
            del piece


def _parts(blocks: Iterable[bytes], without: Sequence[str]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for block in blocks:
        waiting.extend(batches(block))
        rows += waiting[-1].num_rows
        if rows >= _ROWS_AT_ONCE:
            yield _compact(waiting, without)
            waiting, rows = [], 0
    yield _compact(waiting, without)


def _compact(batches: list[pa.RecordBatch], without: Sequence[str]) -> pa.Table:
    table = pa.Table.from_batches(batches, FACTS).drop_columns(list(without))
    return table.unify_dictionaries().combine_chunks()


def _bytes(digits: str | None) -> bytes | None:
    return None if digits is None else bytes.fromhex(digits)


# A row's values in the order of `FACTS`.
_values = operator.attrgetter(*FACTS.names)
