"""Which pictures are the same picture, or nearly so."""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

HASH_BITS = 64


class ConflictPolicy(str, enum.Enum):
    """What becomes of equal bytes under different classes."""

    KEEP_FIRST = "keep_first"
    DROP_ALL = "drop_all"


@dataclass(frozen=True, slots=True, eq=False)
class ExactDuplicates:
    """Pictures with the same bytes.

    Attributes:
      keeper: int64[n], the row kept in place of each row; itself if kept, -1 if none is.
      conflict: bool[n], whether the row's bytes also occur under another class.
    """

    keeper: np.ndarray
    conflict: np.ndarray


def exact(
    sha256: np.ndarray, class_ids: np.ndarray, policy: ConflictPolicy = ConflictPolicy.KEEP_FIRST
) -> ExactDuplicates:
    """Finds pictures with the same bytes; of each, the row that comes first is kept.

    Args:
      sha256: 'S32'[n], digests, rows in the order of their keys.
      class_ids: int32[n].
      policy: for bytes under several classes. keep_first keeps the first row whatever its
        class; drop_all keeps none, since one of the labels is wrong and nobody knows which.
    """
    first = _first_equal(sha256)
    conflict = np.zeros(len(first), bool)
    conflict[first[class_ids != class_ids[first]]] = True
    conflict = conflict[first]
    keeper = np.where(conflict, -1, first) if policy is ConflictPolicy.DROP_ALL else first
    return ExactDuplicates(keeper, conflict)


def merge(*groupings: np.ndarray) -> np.ndarray:
    """Joins groupings of the same rows: rows together in one of them are together in the result.

    Args:
      groupings: int64[n] each, equal labels for rows of one group; -1 for a row on its own.

    Returns:
      int64[n], the smallest row of each row's group.

    Raises:
      ValueError: no grouping, or different lengths.
    """
    if not groupings or len({len(grouping) for grouping in groupings}) > 1:
        raise ValueError(
            f"need one or more groupings of the same rows, not {[len(g) for g in groupings]}"
        )
    links = [_links_of(grouping) for grouping in groupings]
    left, right = (np.concatenate(side) for side in zip(*links, strict=True))
    return components(len(groupings[0]), left, right)


def components(n: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns int64[n], the smallest row that each row is linked to, over any number of links.

    Union-find over whole columns: every round hooks each root onto its smallest neighbour
    and flattens the trees, so rounds grow with the logarithm of the longest chain.

    Args:
      left, right: int64[m], ends of the links.
    """
    result = np.arange(n)
    nodes, ends = np.unique(np.concatenate([left, right]), return_inverse=True)
    parent = np.arange(len(nodes))
    ends = ends.reshape(2, -1)
    while ends.size:
        ends = np.sort(parent[ends], axis=0)
        ends = ends[:, ends[0] != ends[1]]
        np.minimum.at(parent, ends[1], ends[0])
        while not np.array_equal(flat := parent[parent], parent):
            parent = flat
    result[nodes] = nodes[parent]
    return result


@dataclass(frozen=True, slots=True)
class Tightened:
    """A class whose links chained unlike pictures into one group.

    Attributes:
      class_id: the class.
      max_distance: the distance at which its links stand now; -1 if none does.
      largest_share: of its pictures in the largest group before.
    """

    class_id: int
    max_distance: int
    largest_share: float


@dataclass(frozen=True, slots=True, eq=False)
class NearGroups:
    """Pictures that are nearly the same.

    Attributes:
      group: int64[n], the smallest row of each row's group.
      tightened: the classes where the distance had to be cut.
    """

    group: np.ndarray
    tightened: tuple[Tightened, ...]


# A group below this is no sign of chaining, whatever its share of a small class.
MIN_GUARDED_GROUP = 10


def near_groups(
    phash: np.ndarray,
    class_ids: np.ndarray,
    max_distance: int = 4,
    max_group_fraction: float = 0.2,
) -> NearGroups:
    """Groups pictures whose hashes differ in at most `max_distance` bits, over any chain of links.

    Args:
      phash: uint64[n], perceptual hashes.
      class_ids: int32[n]; a group may span classes.
      max_distance: 0 to 16 bits.
      max_group_fraction: the largest share of its class that a group of 10 or more may have.
        Where it has more, the distance is cut for the class, bit by bit, until it has not.
        A link between classes needs the distance of both.
    """
    if not 0 <= max_distance <= 16:
        raise ValueError(f"hashes may differ by 0 to 16 bits, not {max_distance}")
    counts = np.bincount(class_ids)
    limits = np.full(len(counts), max_distance)
    worst = np.zeros(len(counts))
    left, right, distance = _links(phash, max_distance)
    while True:
        allowed = np.minimum(limits[class_ids[left]], limits[class_ids[right]])
        stands = distance <= allowed
        group = components(len(phash), left[stands], right[stands])
        share = _largest_shares(group, class_ids, counts)
        chained = (share > max_group_fraction) & (limits >= 0)
        if not chained.any():
            break
        worst = np.maximum(worst, np.where(chained, share, 0))
        limits[chained] -= 1
    cut = np.flatnonzero(limits < max_distance)
    tightened = tuple(Tightened(int(c), int(limits[c]), float(worst[c])) for c in cut)
    return NearGroups(group, tightened)


def _first_equal(digests: np.ndarray) -> np.ndarray:
    """Returns int64[n], the first row with the same 32 bytes."""
    words = np.ascontiguousarray(digests, "S32").view(np.uint64).reshape(-1, 4)
    line = np.lexsort(words.T)
    is_new = np.ones(len(line), bool)
    is_new[1:] = (words[line[1:]] != words[line[:-1]]).any(axis=1)
    # lexsort is stable, so the first of a run is the smallest row.
    result = np.empty(len(line), np.int64)
    result[line] = line[is_new][np.cumsum(is_new) - 1]
    return result


def _links_of(grouping: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero(grouping >= 0)
    _, first, inverse = np.unique(grouping[rows], return_index=True, return_inverse=True)
    firsts = rows[first[inverse]]
    is_link = firsts != rows
    return firsts[is_link], rows[is_link]


def _largest_shares(group: np.ndarray, class_ids: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns float64[classes], the share of each class in its largest group of 10 or more."""
    cells, sizes = np.unique(group * len(counts) + class_ids, return_counts=True)
    largest = np.zeros(len(counts), np.int64)
    np.maximum.at(largest, cells % len(counts), sizes)
    return np.where(largest >= MIN_GUARDED_GROUP, largest / np.maximum(counts, 1), 0.0)


def _links(phash: np.ndarray, max_distance: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns every link within `max_distance`: left, right int64[m] and distance int64[m]."""
    values, first, inverse = np.unique(phash, return_index=True, return_inverse=True)
    line = np.lexsort((np.arange(len(phash)), inverse))
    same = inverse[line[1:]] == inverse[line[:-1]]
    lefts, rights = [line[:-1][same]], [line[1:][same]]
    distances = [np.zeros(int(same.sum()), np.int64)]
    for mask in _masks(len(values), max_distance):
        for a, b in _pairs_in_buckets(values & mask):
            bits = np.bitwise_count(values[a] ^ values[b]).astype(np.int64)
            near = bits <= max_distance
            lefts.append(first[a[near]])
            rights.append(first[b[near]])
            distances.append(bits[near])
    return np.concatenate(lefts), np.concatenate(rights), np.concatenate(distances)


def _masks(values: int, max_distance: int) -> list[np.uint64]:
    """Returns bit masks such that hashes within `max_distance` agree on all bits of one."""
    if max_distance == 0:
        return []
    blocks = min(
        range(max_distance + 1, max_distance + 4),
        key=lambda count: _banding_cost(values, count, max_distance),
    )
    edges = [HASH_BITS * i // blocks for i in range(blocks + 1)]
    block_masks = [(1 << high) - (1 << low) for low, high in itertools.pairwise(edges)]
    return [
        np.uint64(sum(chosen))
        for chosen in itertools.combinations(block_masks, blocks - max_distance)
    ]


def _banding_cost(values: int, blocks: int, max_distance: int) -> float:
    tables = math.comb(blocks, max_distance)
    buckets = 2.0 ** (HASH_BITS * (blocks - max_distance) / blocks)
    return tables * values * (math.log2(values + 2) + values / buckets)


def _pairs_in_buckets(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields all pairs of places with equal keys, as int64[m] columns."""
    line = np.argsort(keys, kind="stable")
    ordered = keys[line]
    at = np.arange(len(keys))
    for step in itertools.count(1):
        at = at[at + step < len(keys)]
        at = at[ordered[at] == ordered[at + step]]
        if not len(at):
            return
        yield line[at], line[at + step]
