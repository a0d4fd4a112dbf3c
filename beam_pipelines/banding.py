"""All pairs of near hashes among millions, without comparing all pairs.

If two 64-bit words differ in at most d bits and the word is cut into d + k blocks, at least k
blocks are equal. So one sort for every choice of k blocks brings every near pair into one
bucket, and only pairs inside a bucket are compared. Source: Manku, Jain and Das Sarma,
"Detecting near-duplicates for web crawling" (2007).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

WORD_BITS = 64

# Longer fingerprints are looked up by their first word, which holds the lowest frequencies.
# At 6 bits it misses 1% of pictures re-encoded at JPEG quality 50 and 2% of plankton at half
# size, and yields 25 candidates for each of 30,336 plankton pictures.
LOOKUP_DISTANCE = 6

# In a bucket with more members, each is compared with this many that follow it only, in the
# order of the fingerprints. That keeps 100,000 nearly blank pictures from costing 5·10^9
# comparisons; in a cloud that dense the short links chain everything together anyway.
MAX_STEPS = 256


def near_pairs(
    fingerprints: np.ndarray, max_distance: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the pairs within a distance: left, right and their `distances`, int64[m] each.

    Complete for pairs whose first words differ in at most `lookup_distance`, but for buckets
    of more than 256 fingerprints. A pair may come several times.

    Args:
      fingerprints: uint64[n, words], distinct and sorted.
      max_distance: 0 or more.
    """
    found = [np.zeros((3, 0), np.int64)]
    first = np.ascontiguousarray(fingerprints[:, 0])
    lookup = lookup_distance(max_distance, fingerprints.shape[1])
    for mask in _masks(first, lookup):
        for left, right in _pairs_in_buckets(first & mask):
            close = np.bitwise_count(first[left] ^ first[right]) <= lookup
            left, right = left[close], right[close]
            bits = distances(fingerprints[left], fingerprints[right])
            near = bits <= max_distance
            found.append(np.stack([left[near], right[near], bits[near]]))
    left, right, bits = np.concatenate(found, axis=1)
    return left, right, bits


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns int64[m], how many bits differ, counted up where the pictures have few.

    A rich picture sets about half of its bits; a faint line on plain paper, some ten. Two
    such lines differ in 20 bits at most and are yet not the same picture. So where fewer than
    half of the bits are set in either of a pair, the difference counts as if half were.

    Args:
      left, right: uint64[m, words].
    """
    differing = np.bitwise_count(left ^ right).sum(axis=1, dtype=np.int64)
    union = np.bitwise_count(left | right).sum(axis=1, dtype=np.int64)
    half = left.shape[1] * WORD_BITS // 2
    faint = np.clip(union, 1, half)
    return -(-differing * half // faint)


def lookup_distance(max_distance: int, words: int) -> int:
    """Returns how many bits of the first word may differ."""
    return max_distance if words == 1 else min(max_distance, LOOKUP_DISTANCE)


def _masks(first: np.ndarray, distance: int) -> list[np.uint64]:
    """Returns masks such that words within `distance` agree on every bit of at least one."""
    choices = [_masks_of(blocks, distance) for blocks in range(distance + 1, distance + 5)]
    return min(choices, key=lambda masks: _cost(first, masks))


def _masks_of(blocks: int, distance: int) -> list[np.uint64]:
    edges = [WORD_BITS * i // blocks for i in range(blocks + 1)]
    parts = [(1 << high) - (1 << low) for low, high in itertools.pairwise(edges)]
    return [np.uint64(sum(kept)) for kept in itertools.combinations(parts, blocks - distance)]


def _cost(first: np.ndarray, masks: list[np.uint64]) -> float:
    """Returns the work of a set of masks: sorting, and pairs as three of the masks show them.

    Counting the pairs of the data at hand beats assuming uniform bits: pictures of dark
    objects on white share half of their bits.
    """
    sorting = len(first) * math.log2(len(first) + 2)
    shown = [masks[0], masks[len(masks) // 2], masks[-1]]
    pairs = sum(_count_pairs(first & mask) for mask in shown) / len(shown)
    return len(masks) * (sorting + 4 * pairs)


def _count_pairs(keys: np.ndarray) -> float:
    counts = np.unique(keys, return_counts=True)[1].astype(np.float64)
    return float((counts * np.minimum(counts - 1, 2 * MAX_STEPS)).sum() / 2)


def _pairs_in_buckets(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the pairs of places with equal keys, as int64[m] columns."""
    line = np.argsort(keys, kind="stable")
    ordered = keys[line]
    at = np.arange(len(keys))
    for step in range(1, MAX_STEPS + 1):
        at = at[at + step < len(keys)]
        at = at[ordered[at] == ordered[at + step]]
        if not len(at):
            return
        yield line[at], line[at + step]
