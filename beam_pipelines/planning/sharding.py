"""How many shards a split has, and which record goes where.

Records are put in the order of a seeded hash, and that order is cut into equal lengths, so that
any shard is a random sample of its split: a reader that sees one shard sees every class in
proportion, and a shuffle buffer only has to mix within a shard.
"""

from __future__ import annotations

import numpy as np

# Source: TensorFlow's input guide asks for files of 10 MB to 100 MB and more; 64 MiB streams
# well from a bucket and keeps the loss from one damaged shard small.
TARGET_SHARD_BYTES = 64 * 2**20

# Enough for an interleaved read on the 2 to 8 cores that feed one GPU.
MIN_SHARDS = 8

# Below this, another shard costs an open file and gains no parallelism.
MIN_SHARD_RECORDS = 64


def count_shards(
    total_bytes: int,
    records: int,
    minimum: int = MIN_SHARDS,
    target_bytes: int = TARGET_SHARD_BYTES,
) -> int:
    """Returns the number of shards for a split of `records` records and `total_bytes`.

    Shards hold about `target_bytes`, and there are at least `minimum` of them unless that
    would leave fewer than 64 records in each. Always at least 1, never more than `records`.

    Raises:
      ValueError: a negative amount, or a minimum or target below 1.
    """
    if total_bytes < 0 or records < 0:
        raise ValueError(f"bytes and records must be 0 or more, not {total_bytes} and {records}")
    if minimum < 1 or target_bytes < 1:
        raise ValueError(
            f"minimum shards and target bytes must be 1 or more, not {minimum} and {target_bytes}"
        )
    by_bytes = -(-total_bytes // target_bytes)
    by_readers = min(minimum, records // MIN_SHARD_RECORDS)
    return max(1, min(max(by_bytes, by_readers), records))


def shard_sizes(records: int, num_shards: int) -> np.ndarray:
    """Returns int64[num_shards] that add up to `records`; the earlier ones hold at most 1 more.

    Raises:
      ValueError: fewer than one shard, or a negative number of records.
    """
    if num_shards < 1 or records < 0:
        raise ValueError(f"need 1 shard or more and 0 records or more, not {num_shards}, {records}")
    sizes = np.full(num_shards, records // num_shards, np.int64)
    sizes[: records % num_shards] += 1
    return sizes


def assign(position_hash: np.ndarray, num_shards: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Assigns the records of one split to its shards, in the order of a hash.

    Args:
      position_hash: uint64[m], a seeded hash of each record's id.
      num_shards: 1 or more.

    Returns:
      int64[m], the records in the order of shard and position; and, of each in that order,
      int32[m] shard and int32[m] position in the shard. Shard sizes differ by at most 1.

    Raises:
      ValueError: fewer than one shard.
    """
    sizes = shard_sizes(len(position_hash), num_shards)
    starts = (np.cumsum(sizes) - sizes).astype(np.int32)
    shard = np.repeat(np.arange(num_shards, dtype=np.int32), sizes)
    position = np.arange(len(position_hash), dtype=np.int32) - starts[shard]
    return np.argsort(position_hash, kind="stable"), shard, position
