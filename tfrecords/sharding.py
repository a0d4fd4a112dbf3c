"""Stable hashes and the names of shards.

Every order and every seed of a bake is a function of names through `stable_hash`; Python's
`hash()` differs from process to process and is never used.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Callable, Iterable

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
        digest.update(_framed(str(part)))
    return int.from_bytes(digest.digest(), "big")


def stable_hashes(parts: Iterable[str | int], names: Iterable[str]) -> array[int]:
    """Returns `stable_hash(*parts, name)` of each name, as an array of uint64.

    For millions of names: what they have in common is hashed once, which takes half the time.
    """
    common = hashlib.blake2b(b"".join(_framed(str(part)) for part in parts), digest_size=8)
    return array("Q", map(_hasher_after(common), names))


def _hasher_after(common: hashlib.blake2b) -> Callable[[str], int]:
    def hash_of(name: str) -> int:
        digest = common.copy()
        digest.update(_framed(name))
        return int.from_bytes(digest.digest(), "big")

    return hash_of


def _framed(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return len(data).to_bytes(8, "little") + data


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
