"""Finds all pairs of near hashes among millions without comparing every pair.

If two 64-bit words differ in at most d bits and the word is cut into d + k blocks, at least k
blocks are equal. So one sort for every choice of k blocks brings every near pair into one
bucket, and only pairs in the same bucket are compared. Source: Manku, Jain and Das Sarma,
"Detecting near-duplicates for web crawling" (2007).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

WORD_BITS = 64

# Longer fingerprints are looked up by their first word, which holds the lowest frequencies.
# At 6 bits this misses 1% of pictures re-encoded at JPEG quality 50 and 2% of plankton at half
# size, and yields 25 candidates for each of 30,336 plankton pictures.
LOOKUP_DISTANCE = 6

# In a bucket with more members, each is compared only with this many that follow it in the
# order of the fingerprints. That keeps 100,000 nearly blank pictures from costing 5·10^9
# comparisons; in a cloud that dense the short links chain everything together anyway.
MAX_STEPS = 256


def near_pairs(
    fingerprints: np.ndarray, max_distance: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the pairs within a distance: left, right and their `distances`, int64[m] each.

    Complete for pairs whose first words differ in at most `lookup_distance`, except in buckets
    of more than 256 fingerprints. A pair may occur several times.

    Args:
      fingerprints: uint64[n, words], distinct and sorted.
      max_distance: 0 or more.
    """
    masks = choose_masks(
        np.ascontiguousarray(fingerprints[:, 0]), max_distance, fingerprints.shape[1]
    )
    return pairs_under(masks, fingerprints, max_distance)


def pairs_under(
    masks: Sequence[np.uint64], fingerprints: np.ndarray, max_distance: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the `near_pairs` whose first words agree on every bit of one of the masks."""
    pairs = [np.zeros((3, 0), np.int64)]
    first = np.ascontiguousarray(fingerprints[:, 0])
    lookup = lookup_distance(max_distance, fingerprints.shape[1])
    for mask in masks:
        for left, right in _pairs_in_buckets(first, mask, lookup):
            bits = distances(fingerprints[left], fingerprints[right])
            near = bits <= max_distance
            pairs.append(np.stack([left[near], right[near], bits[near]]))
    left, right, bits = np.concatenate(pairs, axis=1)
    return left, right, bits


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns int64[m], how many bits differ, scaled up where few bits are set.

    A picture rich in detail sets about half of its bits; a faint line on plain paper, about ten.
    Two such lines differ in 20 bits at most and are still not the same picture. So where fewer
    than half of the bits are set in either of a pair, the difference is scaled as if half were.

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


def choose_masks(first: np.ndarray, max_distance: int, words: int) -> Sequence[np.uint64]:
    """Returns masks such that first words near enough agree on every bit of at least one.

    Of such sets, the one that is the least work on these data: pairs are counted rather than
    estimated from uniform bits, since pictures of dark objects on white share half their bits.

    Args:
      first: uint64[n], first words of the distinct fingerprints.
      max_distance: between fingerprints of `words` words.
    """
    choices = mask_choices(lookup_distance(max_distance, words))
    pairs = [[count_pairs(first & mask) for mask in choice.samples] for choice in choices]
    return cheapest(choices, len(first), pairs)


@dataclass(frozen=True, slots=True)
class Masks:
    """A set of masks: words within a distance agree on every bit of at least one."""

    masks: tuple[np.uint64, ...]

    @property
    def samples(self) -> tuple[np.uint64, ...]:
        """Three of the masks, which represent all when pairs are counted."""
        return self.masks[0], self.masks[len(self.masks) // 2], self.masks[-1]


def mask_choices(distance: int) -> list[Masks]:
    """Returns the sets to choose from, for words that differ in at most `distance` bits."""
    return [Masks(_masks_of(blocks, distance)) for blocks in range(distance + 1, distance + 5)]


def _masks_of(blocks: int, distance: int) -> tuple[np.uint64, ...]:
    edges = [WORD_BITS * i // blocks for i in range(blocks + 1)]
    parts = [(1 << high) - (1 << low) for low, high in itertools.pairwise(edges)]
    kept = itertools.combinations(parts, blocks - distance)
    return tuple(np.uint64(sum(some)) for some in kept)


def cheapest(
    choices: Sequence[Masks], words: int, pairs: Sequence[Sequence[float]]
) -> tuple[np.uint64, ...]:
    """Returns the masks that are the least work, sorting and comparing pairs together.

    Args:
      words: number of distinct fingerprints.
      pairs: of each choice, `count_pairs` under each of its sampled masks.
    """
    sorting = words * math.log2(words + 2)
    costs = [
        len(choice.masks) * (sorting + 4 * (sum(of_samples) / len(of_samples)))
        for choice, of_samples in zip(choices, pairs, strict=True)
    ]
    return choices[costs.index(min(costs))].masks


def count_pairs(keys: np.ndarray) -> float:
    """Returns how many pairs of equal keys, uint64[n], are compared; a whole number or a half."""
    counts = np.unique(keys, return_counts=True)[1].astype(np.float64)
    return float((counts * np.minimum(counts - 1, 2 * MAX_STEPS)).sum() / 2)


def _pairs_in_buckets(
    first: np.ndarray, mask: np.uint64, lookup: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields pairs that agree under the mask and differ in few bits, as int64[m] columns."""
    order = np.argsort(first & mask, kind="stable")
    words = first[order]
    keys = words & mask
    left = np.flatnonzero(keys[1:] == keys[:-1])
    for step in range(1, MAX_STEPS + 1):
        if not len(left):
            return
        near = left[np.bitwise_count(words[left] ^ words[left + step]) <= lookup]
        yield order[near], order[near + step]
        left = left[left + step + 1 < len(keys)]
        left = left[keys[left] == keys[left + step + 1]]
