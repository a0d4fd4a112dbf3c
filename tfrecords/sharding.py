"""Stable hashes and the names of shards.

Every order and every seed of a bake is a function of names through `stable_hash`; Python's
`hash()` differs from process to process and is never used.
"""

from __future__ import annotations

import hashlib
import re

_SHARD_NAME = re.compile(
    r"(?P<name>[A-Za-z0-9_]+)-(?P<split>[A-Za-z0-9_]+)"
    r"\.tfrecord-(?P<index>\d{5,})-of-(?P<count>\d{5,})"
)


def stable_hash(*parts: str | int) -> int:
    """Returns 64 bits that depend on `parts` alone, the same on every machine.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = str(part).encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return int.from_bytes(digest.digest(), "big")


def shard_name(name: str, split: str, index: int, count: int) -> str:
    """Returns the file name of shard `index` of `count`, e.g. `pets-train.tfrecord-00000-of-00016`.

    Raises:
      ValueError: the index is not inside the count.
    """
    if not 0 <= index < count:
        raise ValueError(f"shard index must be 0 to {count - 1}, not {index}")
    return f"{name}-{split}.tfrecord-{index:05d}-of-{count:05d}"


def is_shard_name(filename: str) -> bool:
    """Returns whether `filename` is a name that `shard_name` gives."""
    return _SHARD_NAME.fullmatch(filename) is not None
