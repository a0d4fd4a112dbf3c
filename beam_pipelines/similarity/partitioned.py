"""Near duplicates of more pictures than one worker should hold: a join in parts.

It finds the same links as `banding.near_pairs`, from blocks of *marks*, a fingerprint and an id
for each picture, in four rounds:

1. Marks of equal fingerprints meet. One goes on, the others are its *twins*.
2. The sets of masks are compared by the pairs they would yield, each counted in parts.
3. Under each mask of the best set, marks that agree on its bits meet, and near pairs are
   verified. A crowded bucket is whole in one part, so it is bounded as in a single process.
4. Pairs that several masks found meet and become one.

Only twins and pairs are left for a single process: none of the pictures that look like no other.
Pure functions of arrays; `beam_join` makes Beam steps of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from beam_pipelines.cache import facts_table
from beam_pipelines.choices import ConflictPolicy
from beam_pipelines.similarity import banding, duplicates
from tfrecords.images import fingerprints
from tfrecords.sharding import stable_hash

# A picture: its fingerprint, and `picture_ids`.
MARK = np.dtype([("words", "<u8", (4,)), ("id", "<i8")])

# The same, with its digest and a hash of its class, for dropping equal files of two classes.
LABELLED_MARK = np.dtype(
    [("words", "<u8", (4,)), ("id", "<i8"), ("sha256", "S32"), ("label", "<u8")]
)

# The smallest id of a fingerprint, and another.
TWIN = np.dtype([("first", "<i8"), ("id", "<i8")])

# Two ids, the smaller one first, and the distance between their fingerprints.
PAIR = np.dtype([("left", "<i8"), ("right", "<i8"), ("distance", "<i2")])

# Rows of a part: 40 MB of marks, and four times that while they are sorted and compared.
PART_ROWS = 1 << 20

# Below 1.5 to 3 million files one worker takes a minute, and less is shuffled.
LEAST_BUNDLES = 1 << 14
_BUNDLE_ROWS = 192

# Odd numbers whose bits show no pattern. Source: the primes of xxHash64.
_FACTORS = np.array(
    [0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63], np.uint64
)


def count_parts(bundles: int, workers: int) -> int:
    """Returns how many parts to join in, 0 if the planner should search alone.

    Args:
      bundles: of the bake.
      workers: processes that decode; if there are any, all of Beam runs on one machine.
    """
    if workers or bundles < LEAST_BUNDLES:
        return 0
    return -(-bundles * _BUNDLE_ROWS // PART_ROWS)


def picture_ids(packs: pa.DictionaryArray, index: np.ndarray) -> np.ndarray:
    """Returns int64[n], a unique id of each picture: the number of its bundle, and its index there.

    Args:
      packs: names, as of `make_tasks.bundle_tasks`; none is null.
      index: int[n], record number in the pack.
    """
    names = packs.dictionary.to_pylist()
    bundles = np.array([int(name.partition("-")[0]) for name in names], np.int64)
    return (bundles[packs.indices.to_numpy()] << 32) + index


def marks(facts: pa.RecordBatch, *, labelled: bool) -> np.ndarray:
    """Returns MARK[n] of the pictures among some facts, or LABELLED_MARK[n]."""
    is_picture = facts["reason"].is_null()
    pictures = facts.filter(is_picture)
    result = np.empty(len(pictures), LABELLED_MARK if labelled else MARK)
    if not len(pictures):
        return result
    result["words"] = fingerprints.columns(facts_table.binary(pictures["fingerprint"]))
    result["id"] = picture_ids(pictures["pack"], pictures["index"].to_numpy())
    if labelled:
        result["sha256"] = facts_table.binary(pictures["sha256"])
        names = pictures["class_name"].dictionary.to_pylist()
        labels = np.array([stable_hash("class", name) for name in names], np.uint64)
        result["label"] = labels[pictures["class_name"].indices.to_numpy()]
    return result


def parts(keys: np.ndarray, count: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yields each of `count` parts that has rows, and its rows; equal keys share a part.

    Args:
      keys: uint64[n], or uint64[n, words].
    """
    columns = keys if keys.ndim == 2 else keys[:, None]
    mixed = (columns * _FACTORS[: columns.shape[1]]).sum(axis=1, dtype=np.uint64)
    # The high bits of a product depend on all bits of its factors.
    mixed = (mixed ^ mixed >> np.uint64(32)) * _FACTORS[0] >> np.uint64(32)
    part = (mixed % np.uint64(count)).astype(np.int64)
    by_part = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part, minlength=count))
    for number, rows in enumerate(np.split(by_part, ends[:-1])):
        if len(rows):
            yield number, rows


def distinct(marked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round 1: returns MARK[k], one for each fingerprint, and TWIN[m], the others.

    Of LABELLED_MARK[n], files that occur in two classes are left out.
    """
    if marked.dtype == LABELLED_MARK:
        _, labels = np.unique(marked["label"], return_inverse=True)
        exact = duplicates.exact(marked["sha256"], labels.astype(np.int32), ConflictPolicy.DROP_ALL)
        marked = marked[~exact.conflict]
    # By id first, so that the first of each node has the smallest id.
    marked = marked[np.argsort(marked["id"])]
    words, node = duplicates.distinct_rows(marked["words"])
    _, first = np.unique(node, return_index=True)
    kept = np.empty(len(words), MARK)
    kept["words"], kept["id"] = words, marked["id"][first]
    other = np.ones(len(marked), bool)
    other[first] = False
    twins = np.empty(int(other.sum()), TWIN)
    twins["first"], twins["id"] = kept["id"][node[other]], marked["id"][other]
    return kept, twins


@dataclass(frozen=True, slots=True)
class MaskCount:
    """Round 2: what one part adds to the comparison of masks.

    Attributes:
      choice: index into `banding.mask_choices`.
      sample: which of its sampled masks.
      pairs: number of pairs that would be compared.
      words: number of distinct fingerprints.
    """

    choice: int
    sample: int
    pairs: float
    words: int


def masked_words(
    kept: np.ndarray, max_distance: int, count: int
) -> Iterator[tuple[tuple[int, int, int], np.ndarray]]:
    """Yields (choice, sample, part) and the words under that mask of the marks in the part."""
    first = np.ascontiguousarray(kept["words"][:, 0])
    for choice, masks in enumerate(banding.mask_choices(_lookup(max_distance))):
        for sample, mask in enumerate(masks.samples):
            keys = first & mask
            for part, rows in parts(keys, count):
                yield (choice, sample, part), keys[rows]


def best_masks(counts: Sequence[MaskCount], max_distance: int) -> tuple[np.uint64, ...]:
    """Returns the masks that `banding.choose_masks` would choose for all words."""
    choices = banding.mask_choices(_lookup(max_distance))
    pairs = [[0.0] * len(choice.samples) for choice in choices]
    # Whole numbers and halves: exact in any order.
    for part in counts:
        pairs[part.choice][part.sample] += part.pairs
    words = sum(part.words for part in counts if (part.choice, part.sample) == (0, 0))
    return banding.cheapest(choices, words, pairs)


def bands(
    kept: np.ndarray, masks: Sequence[np.uint64], count: int
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Round 3: yields (number of the mask, part) and the marks in it."""
    first = np.ascontiguousarray(kept["words"][:, 0])
    for number, mask in enumerate(masks):
        for part, rows in parts(first & mask, count):
            yield (number, part), kept[rows]


def pairs_of(band: np.ndarray, mask: np.uint64, max_distance: int) -> np.ndarray:
    """Returns PAIR[m], the near pairs among all marks that agree under a mask."""
    order, _ = duplicates.sorted_rows(band["words"])
    words, ids = band["words"][order], band["id"][order]
    left, right, distance = banding.pairs_under([mask], words, max_distance)
    result = np.empty(len(left), PAIR)
    result["left"] = np.minimum(ids[left], ids[right])
    result["right"] = np.maximum(ids[left], ids[right])
    result["distance"] = distance
    return result


def unique_pairs(pairs: np.ndarray) -> np.ndarray:
    """Round 4: returns PAIR[k], each pair once."""
    ordered = pairs[np.lexsort((pairs["right"], pairs["left"]))]
    is_new = np.ones(len(ordered), bool)
    is_new[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_new]


@dataclass(frozen=True, slots=True, eq=False)
class JoinedDuplicates:
    """The near duplicates that the join found.

    Attributes:
      twins: TWIN[m].
      pairs: PAIR[k], between ids that are the first of their fingerprint.
    """

    twins: np.ndarray
    pairs: np.ndarray

    @classmethod
    def of(cls, twins: Sequence[bytes], pairs: Sequence[bytes]) -> JoinedDuplicates:
        """Returns them from blocks in any order."""
        return cls(concatenated(twins, TWIN), concatenated(pairs, PAIR))

    def near_groups(
        self,
        ids: np.ndarray,
        class_ids: np.ndarray,
        max_distance: int,
        named: np.ndarray | None = None,
    ) -> duplicates.NearGroups:
        """Returns the groups that `duplicates.near_groups` finds from all fingerprints.

        Args:
          ids: int64[n], of the pictures to group, in key order.
          class_ids: int32[n].
          max_distance, named: as there.
        """
        first = ids.copy()
        by_id = np.argsort(self.twins["id"])
        index, is_twin = _search(self.twins["id"][by_id], ids)
        first[is_twin] = self.twins["first"][by_id[index[is_twin]]]
        nodes, node = np.unique(first, return_inverse=True)
        left, right = (np.searchsorted(nodes, self.pairs[end]) for end in ("left", "right"))
        links = left, right, self.pairs["distance"].astype(np.int64)
        return duplicates.groups_of_links(
            links, node, len(nodes), class_ids, max_distance, named=named
        )


def concatenated(blocks: Sequence[bytes], kind: np.dtype) -> np.ndarray:
    """Returns the rows of blocks as one array."""
    return np.frombuffer(b"".join(blocks), kind)


def _search(ascending: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the index of each value in an ascending array, and bool, whether it is there."""
    index = np.minimum(np.searchsorted(ascending, values), max(len(ascending) - 1, 0))
    if not len(ascending):
        return index, np.zeros(len(values), bool)
    return index, ascending[index] == values


def _lookup(max_distance: int) -> int:
    return banding.lookup_distance(max_distance, fingerprints.FINGERPRINT_BITS // 64)
