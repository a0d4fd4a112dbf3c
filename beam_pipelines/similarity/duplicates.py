"""Finds pictures that are equal, or nearly so."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from beam_pipelines.choices import MAX_DISTANCE, ConflictPolicy
from beam_pipelines.similarity import banding


@dataclass(frozen=True, slots=True, eq=False)
class ExactDuplicates:
    """Pictures with the same bytes.

    Attributes:
      keeper: int64[n], the row kept in place of each row; itself if kept, -1 if none is.
      conflict: bool[n], whether the row's bytes also occur in another class.
    """

    keeper: np.ndarray
    conflict: np.ndarray


def exact(
    sha256: np.ndarray, class_ids: np.ndarray, policy: ConflictPolicy = ConflictPolicy.KEEP_FIRST
) -> ExactDuplicates:
    """Finds pictures with the same bytes; the first row of each set is kept.

    Args:
      sha256: 'S32'[n], digests, rows in the order of their keys.
      class_ids: int32[n].
      policy: for bytes in several classes. keep_first keeps the first row whatever its
        class; drop_all keeps none, since one of the labels is wrong and nobody knows which.
    """
    first = _first_equal(sha256)
    conflict = np.zeros(len(first), bool)
    conflict[first[class_ids != class_ids[first]]] = True
    conflict = conflict[first]
    keeper = np.where(conflict, -1, first) if policy is ConflictPolicy.DROP_ALL else first
    return ExactDuplicates(keeper, conflict)


def merge(*groupings: np.ndarray) -> np.ndarray:
    """Joins groupings of the same rows: rows that share a group in one share it in the result.

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
      max_distance: the largest distance of a link that still counts; -1 if none does.
    """

    class_id: int
    max_distance: int


@dataclass(frozen=True, slots=True, eq=False)
class NearGroups:
    """Pictures that are nearly the same.

    Attributes:
      group: int64[n], the smallest row of each row's group.
      tightened: the classes where the distance had to be cut.
    """

    group: np.ndarray
    tightened: tuple[Tightened, ...]


# A smaller group is no sign of chaining, however large its share of a small class.
MIN_GUARDED_GROUP = 10

# The largest share of a class that one group may have.
MAX_GROUP_FRACTION = 0.2


def near_groups(
    fingerprints: np.ndarray,
    class_ids: np.ndarray,
    max_distance: int = MAX_DISTANCE,
    max_group_fraction: float = MAX_GROUP_FRACTION,
    named: np.ndarray | None = None,
) -> NearGroups:
    """Groups pictures whose fingerprints differ in few bits, through any chain of such links.

    Args:
      fingerprints: uint64[n, words], `tfrecords.images.fingerprints.words`; or uint64[n], hashes of
        64 bits, where 4 is a sensible distance.
      class_ids: int32[n]; a group may span classes.
      max_distance: as `banding.distances` counts, 0 to a quarter of the bits. Unrelated
        pictures differ in half of them.
      max_group_fraction: the largest share of its class that a group of 10 or more may have.
        Where it has more, links in between chain unlike pictures: the distance is reduced for
        the class, an eighth at a time, until none has. A link between classes must be within
        the distance of both. A class that has too many equal fingerprints loses all its
        links: there they mean nothing.
      named: int64[n], the smallest row of each row's group by name, if there are such groups.
        The bound then holds for groups of both together: near duplicates that join groups by
        name into a larger one count, a group by name that is larger by itself does not.

    Raises:
      ValueError: a distance out of range.
    """
    table = fingerprints if fingerprints.ndim == 2 else fingerprints[:, None]
    widest = table.shape[1] * banding.WORD_BITS // 4
    if not 0 <= max_distance <= widest:
        raise ValueError(f"fingerprints may differ in 0 to {widest} bits, not {max_distance}")
    distinct, node = distinct_rows(table)
    links = banding.near_pairs(distinct, max_distance)
    return groups_of_links(
        links, node, len(distinct), class_ids, max_distance, max_group_fraction, named
    )


def groups_of_links(
    links: tuple[np.ndarray, np.ndarray, np.ndarray],
    node: np.ndarray,
    nodes: int,
    class_ids: np.ndarray,
    max_distance: int,
    max_group_fraction: float = MAX_GROUP_FRACTION,
    named: np.ndarray | None = None,
) -> NearGroups:
    """Returns the groups of `near_groups` from links that have been found.

    Args:
      links: of `banding.near_pairs`, between distinct fingerprints.
      node: int64[n], fingerprint of each row.
      nodes: number of distinct fingerprints.
      class_ids, max_distance, max_group_fraction, named: as there.
    """
    counts = np.bincount(class_ids)
    limits = np.full(len(counts), max_distance)
    while True:
        group = _groups_within(links, node, limits[class_ids], nodes)
        if named is None:
            chained = _largest_shares(group, class_ids, counts) > max_group_fraction
        else:
            chained = _chained(group, named, class_ids, counts, max_group_fraction)
        chained &= limits >= 0
        if not chained.any():
            return NearGroups(group, _tightened(limits, max_distance))
        step = max(1, max_distance // 8)
        limits[chained] = np.where(limits > 0, np.maximum(limits - step, 0), -1)[chained]


def _first_equal(digests: np.ndarray) -> np.ndarray:
    """Returns int64[n], the first row with the same 32 bytes."""
    table = np.ascontiguousarray(digests, "S32").view(np.uint64).reshape(-1, 4)
    if not len(table):
        return np.zeros(0, np.int64)
    order, is_new = sorted_rows(table)
    firsts = np.minimum.reduceat(order, np.flatnonzero(is_new))
    result = np.empty(len(order), np.int64)
    result[order] = firsts[np.cumsum(is_new) - 1]
    return result


def _links_of(grouping: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = np.flatnonzero(grouping >= 0)
    _, first, inverse = np.unique(grouping[rows], return_index=True, return_inverse=True)
    firsts = rows[first[inverse]]
    is_link = firsts != rows
    return firsts[is_link], rows[is_link]


def _largest_shares(group: np.ndarray, class_ids: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns float64[classes], the share of each class in its largest group of 10 or more."""
    # A smaller group has no class 10 times: that settles most rows.
    rows = np.flatnonzero((np.bincount(group) >= MIN_GUARDED_GROUP)[group])
    cells, sizes = np.unique(
        group[rows].astype(np.int64) * len(counts) + class_ids[rows], return_counts=True
    )
    largest = np.zeros(len(counts), np.int64)
    np.maximum.at(largest, cells % len(counts), sizes)
    return np.where(largest >= MIN_GUARDED_GROUP, largest / np.maximum(counts, 1), 0.0)


def _chained(
    near: np.ndarray,
    named: np.ndarray,
    class_ids: np.ndarray,
    counts: np.ndarray,
    max_group_fraction: float,
) -> np.ndarray:
    """Returns bool[classes], those whose near duplicates chain groups by name into too large a one.

    A group by name is respected, however large it is. So what counts of a joined group is its rows
    beyond the largest group by name in it that is over the bound by itself. Where they are too
    many of a class, that class is cut if its own near duplicates join groups by name; else the
    classes are whose do.

    Args:
      near: int64[n], the smallest row of each row's group of near duplicates.
      named: int64[n], the same of groups by name.
      class_ids: int32[n].
      counts: int64[classes].
      max_group_fraction: as for `near_groups`.
    """
    group = merge(near, named)
    respected: dict[tuple[int, int], int] = defaultdict(int)
    for (first, label), size in crowded(named, class_ids, counts, max_group_fraction).items():
        cell = int(group[first]), label
        respected[cell] = max(respected[cell], size)
    excess = {
        cell: size - respected.get(cell, 0)
        for cell, size in crowded(group, class_ids, counts, max_group_fraction).items()
    }
    result = np.zeros(len(counts), bool)
    joins = _joining(near, named)
    for (first, label), size in excess.items():
        if size >= MIN_GUARDED_GROUP and size / counts[label] > max_group_fraction:
            joined_by = np.unique(class_ids[joins & (group == first)])
            result[label if label in joined_by else joined_by] = True
    return result


def _joining(near: np.ndarray, named: np.ndarray) -> np.ndarray:
    """Returns bool[n], the rows of the groups of near duplicates that span groups by name."""
    result = np.zeros(len(near), bool)
    result[near[named[near] != named]] = True
    return result[near]


def crowded(
    group: np.ndarray,
    class_ids: np.ndarray,
    counts: np.ndarray,
    max_group_fraction: float = MAX_GROUP_FRACTION,
) -> dict[tuple[int, int], int]:
    """Returns (group, class) → rows, where they are more than a fraction of the class.

    Args:
      group: int64[n], the smallest row of each row's group.
      class_ids: int32[n].
      counts: int64[classes], rows of each class.
      max_group_fraction: 0 to 1.
    """
    cells, sizes = np.unique(group.astype(np.int64) * len(counts) + class_ids, return_counts=True)
    is_crowded = sizes / counts[cells % len(counts)] > max_group_fraction
    groups, labels = np.divmod(cells[is_crowded], len(counts))
    pairs = zip(groups.tolist(), labels.tolist(), strict=True)
    return dict(zip(pairs, sizes[is_crowded].tolist(), strict=True))


def distinct_rows(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct rows, sorted, and int64[n], the index of each row among them.

    A million equal fingerprints of blank pictures count as one from here on.
    """
    order, is_new = sorted_rows(table)
    node = np.empty(len(order), np.int64)
    node[order] = np.cumsum(is_new) - 1
    return table[order[is_new]], node


def sorted_rows(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns int64[n], an order by all columns, and bool[n], where in it a new row begins.

    Sorts by the first column, and by the others only the rows that it leaves tied.
    """
    order = np.argsort(table[:, 0])
    first = table[order, 0]
    differs = first[1:] != first[:-1]
    is_unique = np.ones(len(order), bool)
    is_unique[1:] &= differs
    is_unique[:-1] &= differs
    tied = np.flatnonzero(~is_unique)
    rows = order[tied]
    order[tied] = rows[np.lexsort(table[rows].T[::-1])]
    is_new = np.ones(len(order), bool)
    is_new[1:] = differs
    same = np.flatnonzero(~is_new)
    is_new[same] = (table[order[same]] != table[order[same - 1]]).any(axis=1)
    return order, is_new


def _groups_within(
    links: tuple[np.ndarray, np.ndarray, np.ndarray],
    node: np.ndarray,
    limit: np.ndarray,
    nodes: int,
) -> np.ndarray:
    """Returns int64[n], the smallest row of each group.

    Args:
      links: between distinct fingerprints, and their distance.
      node: int64[n], fingerprint of each row.
      limit: int64[n], the distance that each row allows; -1 for a row on its own.
      nodes: number of distinct fingerprints.
    """
    # Equal fingerprints are one group, so a link counts if any row of each end allows it.
    limit_of_node = np.full(nodes, -1)
    np.maximum.at(limit_of_node, node, limit)
    left, right, distance = links
    is_near = distance <= np.minimum(limit_of_node[left], limit_of_node[right])
    left, right = left[is_near], right[is_near]
    # Most rows have a fingerprint of their own that is linked to none.
    is_grouped = np.bincount(node, minlength=nodes) > 1
    is_grouped[left] = is_grouped[right] = True
    rows = np.flatnonzero(is_grouped[node] & (limit >= 0))
    joined = components(nodes, left, right)[node[rows]]
    result = np.arange(len(node))
    result[rows] = rows[merge(joined)]
    return result


def _tightened(limits: np.ndarray, max_distance: int) -> tuple[Tightened, ...]:
    reduced = np.flatnonzero(limits < max_distance).tolist()
    return tuple(Tightened(label, int(limits[label])) for label in reduced)
