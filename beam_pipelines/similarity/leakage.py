"""Measures how near held-out pictures are to train pictures of their class: `LeakMeter`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from beam_pipelines.cache.thumbnails import LoadThumbnails
from beam_pipelines.similarity import appearance
from beam_pipelines.similarity.leak_meter import (
    EDGES,
    MAX_PAIRS,
    NEAR,
    LeakMeter,
    LeakPair,
    total_of_splits,
)
from tfrecords.schema import TRAIN_INDEX

MAX_QUERIES = 20_000
MAX_REFERENCES = 20_000

# Pictures that the expected reading is an average of: an error of a hundredth.
_EXPECTED_QUERIES = 2_000

MEDIAN_SAMPLE = 400


def measure(
    thumbnails: LoadThumbnails,
    keys: Sequence[str],
    class_ids: np.ndarray,
    split: np.ndarray,
    splits: Sequence[str],
    totals: Sequence[int] | None = None,
) -> tuple[LeakMeter, ...]:
    """Measures how much a split gives away; returns one meter for each held-out split.

    Args:
      thumbnails: loads uint8[k, 16, 16, 3], `tfrecords.images.fingerprints.thumbnail`, of k rows.
      keys: of n pictures.
      class_ids: int32[n].
      split: int8[n], split index.
      splits: names of all splits, train first.
      totals: pictures in each split; more than here if these are some classes of a data set.
    """
    if totals is None:
        totals = np.bincount(split, minlength=len(splits)).tolist()
    parts: list[LeakMeter] = []
    for rows, some, of_class in appearance.by_class(thumbnails, class_ids, MAX_REFERENCES):
        # Of a huge class, the sample may have no train picture.
        if TRAIN_INDEX in split[rows[some]]:
            queries = {
                index: _query_count(split[rows], index, total) for index, total in enumerate(totals)
            }
            parts += _measure_class(of_class, split[rows[some]], rows[some], queries, splits, keys)
    return total_of_splits(parts, splits)


def expected_share(
    thumbnails: LoadThumbnails, class_ids: np.ndarray, group: np.ndarray, train_share: float
) -> float:
    """Returns what the meter will read, 0 to 1, where groups are dealt at random, before they are.

    Args:
      thumbnails, class_ids, group, train_share: as of `expected_readings`, of all pictures.
    """
    return mean_reading(
        [expected_readings(thumbnails, class_ids, group, train_share, len(class_ids))]
    )


def expected_readings(
    thumbnails: LoadThumbnails,
    class_ids: np.ndarray,
    group: np.ndarray,
    train_share: float,
    total: int,
) -> np.ndarray:
    """Returns float64[q], for a sample of some classes, the probability to be near a train picture.

    A picture with k near ones of its class in other groups meets at least one of them in train
    with probability 1 - (1 - f)^k.

    Args:
      thumbnails: loads uint8[k, 16, 16, 3] of k rows.
      class_ids: int32[n].
      group: int64[n], which pictures stay in one split.
      train_share: f, 0 to 1.
      total: number of pictures, with those of other classes.
    """
    expected: list[np.ndarray] = [np.zeros(0)]
    for rows, some, of_class in appearance.by_class(thumbnails, class_ids, MAX_REFERENCES):
        own, every = group[rows[some]], np.arange(len(some))
        limit = (NEAR * median_distance(of_class)) ** 2
        queries = max(1, len(some) * _EXPECTED_QUERIES // total)
        query = appearance.sample(every, queries)
        near = np.zeros(len(query), np.int64)
        for asked, block, squared in appearance.sweep(of_class, query, every):
            is_near = (squared < limit) & (own[query[asked]][:, None] != own[block])
            near[asked] += is_near.sum(axis=1)
        expected.append(1 - (1 - train_share) ** near)
    return np.concatenate(expected)


def mean_reading(parts: Iterable[np.ndarray]) -> float:
    """Returns the mean of float64[n] of `expected_readings`, in any order and any parts."""
    readings = np.concatenate([np.zeros(0), *parts])
    # The last digits of a power may depend on the machine, and a split must not.
    return round(math.fsum(readings.tolist()) / max(len(readings), 1), 6)


def _query_count(split: np.ndarray, held_out: int, total: int) -> int:
    """Returns how many pictures of a split to compare in a class whose splits these are."""
    own = int((split == held_out).sum())
    if held_out == TRAIN_INDEX or not own or not (split == TRAIN_INDEX).any():
        return 0
    return min(own, max(1, own * MAX_QUERIES // total))


def _measure_class(
    thumbnails: np.ndarray,
    split: np.ndarray,
    row: np.ndarray,
    queries: Mapping[int, int],
    splits: Sequence[str],
    keys: Sequence[str],
) -> Iterator[LeakMeter]:
    """Compares some held-out pictures of one class, and as many of train, with train.

    The expectation for a random split needs no second split: of a picture with k near
    pictures in its class, at least one is in train with probability 1 - (1 - f)^k, where f is
    train's share of the class.

    Args:
      thumbnails: uint8[k, 16, 16, 3].
      split: int8[k], with a train picture.
      row: int64[k], of each among all pictures.
      queries: split → how many of its pictures to compare.
      splits, keys: of `measure`.
    """
    train = np.flatnonzero(split == TRAIN_INDEX)
    asked: dict[tuple[int, bool], np.ndarray] = {}
    for index, count in queries.items():
        if count:
            asked[index, True] = appearance.sample(np.flatnonzero(split == index), count)
            asked[index, False] = appearance.sample(train, count)
    if not asked:
        return
    median = median_distance(thumbnails)
    # All at once: each picture of the class is compared once with each query.
    found = _Neighbours.of(
        thumbnails, np.concatenate(list(asked.values())), split, (NEAR * median) ** 2
    )
    parts = dict(zip(asked, found.divided([len(rows) for rows in asked.values()]), strict=True))
    for index in sorted({index for index, _ in asked}):
        query, held_out, inside = asked[index, True], parts[index, True], parts[index, False]
        distance = held_out.distance / median
        own = inside.distance[np.isfinite(inside.distance)] / median
        pairs = [
            LeakPair(
                keys[row[query[pair]]], keys[row[held_out.nearest[pair]]], float(distance[pair])
            )
            for pair in _nearest_pairs(query, held_out.nearest, distance)
        ]
        yield LeakMeter(
            split=splits[index],
            pictures=len(query),
            near=int((distance < NEAR).sum()),
            random_near=float((1 - (1 - len(train) / len(row)) ** held_out.near).sum()),
            train_pictures=len(own),
            train_near=int((own < NEAR).sum()),
            histogram=_histogram(distance),
            train_histogram=_histogram(own),
            pairs=tuple(pairs),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Neighbours:
    """What some pictures of a class, the queries, have around them.

    Attributes:
      distance: float64[q], to the nearest other train picture; infinite if there is none.
      nearest: int64[q], which that is.
      near: int64[q], how many other pictures of the class are within a distance.
    """

    distance: np.ndarray
    nearest: np.ndarray
    near: np.ndarray

    @classmethod
    def of(
        cls, thumbnails: np.ndarray, query: np.ndarray, split: np.ndarray, squared_limit: float
    ) -> _Neighbours:
        best, nearest = np.full(len(query), np.inf, np.float32), np.zeros(len(query), np.int64)
        near = np.full(len(query), -1, np.int64)  # Each counts itself.
        for asked, block, squared in appearance.sweep(thumbnails, query, np.arange(len(split))):
            near[asked] += (squared < squared_limit).sum(axis=1)
            squared[:, split[block] != TRAIN_INDEX] = np.inf
            own = query[asked] - block.start
            itself = np.flatnonzero((own >= 0) & (own < squared.shape[1]))
            squared[itself, own[itself]] = np.inf
            rows = np.arange(block.start, block.start + squared.shape[1])
            keep_nearest(squared, rows, best[asked], nearest[asked])
        return cls(np.sqrt(best).astype(np.float64), nearest, near)

    def divided(self, sizes: Sequence[int]) -> Iterator[_Neighbours]:
        """Yields those of the first queries, of the next ones, and so on."""
        bounds = np.cumsum(sizes)[:-1]
        columns = (np.split(part, bounds) for part in (self.distance, self.nearest, self.near))
        yield from map(_Neighbours, *columns)


def median_distance(thumbnails: np.ndarray) -> float:
    """Returns the median distance of two of uint8[n, 16, 16, 3] thumbnails; at least 1."""
    some = appearance.sample(np.arange(len(thumbnails)), MEDIAN_SAMPLE)
    table = appearance.features(thumbnails[some]).astype(np.float32)
    squared = appearance.squared_distances(table, table)[np.triu_indices(len(some), 1)]
    return float(np.sqrt(max(np.median(squared), 1))) if len(squared) else 1.0


def keep_nearest(
    squared: np.ndarray, references: np.ndarray, best: np.ndarray, nearest: np.ndarray
) -> None:
    """Takes what a block of references has nearer than others; of equals, the smallest index.

    Args:
      squared: float32[q, r] of the block.
      references: int64[r], their indices, ascending.
      best, nearest: float32[q] and int64[q], changed in place: squared distance and index of the
        nearest so far.
    """
    of_block = squared.argmin(axis=1)
    distance = squared[np.arange(len(squared)), of_block]
    index = references[of_block]
    is_nearer = (distance < best) | ((distance == best) & (index < nearest))
    best[is_nearer] = distance[is_nearer]
    nearest[is_nearer] = index[is_nearer]


def _histogram(distance: np.ndarray) -> tuple[int, ...]:
    return tuple(np.histogram(np.minimum(distance, EDGES[-1]), EDGES)[0].tolist())


def _nearest_pairs(query: np.ndarray, nearest: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Returns the indices of the nearest pairs, at most one for each train picture."""
    ascending = np.lexsort((query, distance))
    _, first = np.unique(nearest[ascending], return_index=True)
    return ascending[np.sort(first)][:MAX_PAIRS]
