"""Measures how near held-out pictures are to train pictures of their class: `LeakMeter`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
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
from tfrecords.sharding import stable_hash

MAX_QUERIES = 20_000
MAX_REFERENCES = 20_000

# Pictures that the expected reading is an average of: an error of a hundredth.
_EXPECTED_QUERIES = 2_000

# Queries, and references, compared at a time: as floats, with their squares beside them, the
# features of a large class would take ten times the memory of its thumbnails.
_QUERIES_AT_ONCE, _REFERENCES_AT_ONCE = 128, 1_024
_MEDIAN_SAMPLE = 400


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
    for rows, of_class in appearance.by_class(thumbnails, class_ids):
        queries = [_query_count(split[rows], index, total) for index, total in enumerate(totals)]
        if any(queries):
            pictures = _ClassPictures.of(of_class, split[rows], rows)
            parts += (
                _measure_class(pictures, index, splits[index], count, keys)
                for index, count in enumerate(queries)
                # Of a huge class, the sample may have no train picture.
                if count and TRAIN_INDEX in pictures.split
            )
    return total_of_splits(parts, splits)


def expected_share(
    thumbnails: LoadThumbnails, class_ids: np.ndarray, group: np.ndarray, train_share: float
) -> float:
    """Returns what the meter will read where groups are dealt at random, before they are.

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
    expected = [np.zeros(0)]
    for rows, of_class in appearance.by_class(thumbnails, class_ids):
        some = sample(np.arange(len(rows)), MAX_REFERENCES)
        features, own = appearance.features(of_class[some]), group[rows[some]]
        limit = (NEAR * median_distance(features)) ** 2
        queries = max(1, len(some) * _EXPECTED_QUERIES // total)
        query = sample(np.arange(len(some)), queries)
        for some_queries, squared in _squared_distances(features, query, np.arange(len(some))):
            is_near = (squared < limit) & (own[some_queries][:, None] != own)
            expected.append(1 - (1 - train_share) ** is_near.sum(axis=1))
    return np.concatenate(expected)


def mean_reading(parts: Iterable[np.ndarray]) -> float:
    """Returns the mean of `expected_readings` of all classes, in any order and any parts."""
    readings = np.concatenate([np.zeros(0), *parts])
    # The last digits of a power may depend on the machine, and a split must not.
    return round(math.fsum(readings.tolist()) / max(len(readings), 1), 6)


def _query_count(split: np.ndarray, held_out: int, total: int) -> int:
    """Returns how many pictures of a split to compare in a class whose splits these are."""
    own = int((split == held_out).sum())
    if held_out == TRAIN_INDEX or not own or not (split == TRAIN_INDEX).any():
        return 0
    return min(own, max(1, own * MAX_QUERIES // total))


@dataclass(frozen=True, slots=True, eq=False)
class _ClassPictures:
    """The pictures of one class.

    Attributes:
      features: int16[k, 832], `appearance.features`.
      split: int8[k].
      row: int64[k], of each among all pictures.
      median: the median distance of two of them.
    """

    features: np.ndarray
    split: np.ndarray
    row: np.ndarray
    median: float

    @classmethod
    def of(cls, thumbnails: np.ndarray, split: np.ndarray, row: np.ndarray) -> _ClassPictures:
        some = sample(np.arange(len(row)), MAX_REFERENCES)
        features = appearance.features(thumbnails[some])
        return cls(features, split[some], row[some], median_distance(features))


def _measure_class(
    pictures: _ClassPictures, held_out: int, name: str, queries: int, keys: Sequence[str]
) -> LeakMeter:
    """Compares some held-out pictures of one class, and as many of train, with train.

    The expectation for a random split needs no second split: of a picture with k near
    pictures in its class, at least one is in train with probability 1 - (1 - f)^k, where f is
    train's share of the class.
    """
    train = np.flatnonzero(pictures.split == TRAIN_INDEX)
    query = sample(np.flatnonzero(pictures.split == held_out), queries)
    features, median = pictures.features, pictures.median
    distance, nearest = _nearest(features, query, train)
    distance = distance / median
    inside, _ = _nearest(features, sample(train, queries), train)
    inside = inside[np.isfinite(inside)] / median
    near = _count_near(features, query, (NEAR * median) ** 2)
    row = pictures.row
    pairs = [
        LeakPair(keys[row[query[pair]]], keys[row[nearest[pair]]], float(distance[pair]))
        for pair in _nearest_pairs(query, nearest, distance)
    ]
    return LeakMeter(
        split=name,
        pictures=len(query),
        near=int((distance < NEAR).sum()),
        random_near=float((1 - (1 - len(train) / len(row)) ** near).sum()),
        train_pictures=len(inside),
        train_near=int((inside < NEAR).sum()),
        histogram=_histogram(distance),
        train_histogram=_histogram(inside),
        pairs=tuple(pairs),
    )


def sample(rows: np.ndarray, size: int) -> np.ndarray:
    """Returns at most `size` rows, in order; the same ones for the same number of rows."""
    if len(rows) <= size:
        return rows
    rng = np.random.default_rng(stable_hash("leaks", len(rows), size))
    return rows[np.sort(rng.choice(len(rows), size, replace=False))]


def median_distance(features: np.ndarray) -> float:
    """Returns the median distance of two pictures; at least 1, for a class of equal pictures."""
    some = features[sample(np.arange(len(features)), _MEDIAN_SAMPLE)]
    squared = appearance.squared_distances(some, some)[np.triu_indices(len(some), 1)]
    return float(np.sqrt(max(np.median(squared), 1))) if len(squared) else 1.0


def _nearest(
    features: np.ndarray, query: np.ndarray, references: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distance of each query to its nearest other reference, and which that is."""
    distances, nearest = [np.zeros(0)], [np.zeros(0, np.int64)]
    for some, squared in _squared_distances(features, query, references):
        squared[some[:, None] == references] = np.inf
        best = squared.argmin(axis=1)
        distances.append(np.sqrt(squared[np.arange(len(some)), best]))
        nearest.append(references[best])
    return np.concatenate(distances), np.concatenate(nearest)


def _count_near(features: np.ndarray, query: np.ndarray, squared_limit: float) -> np.ndarray:
    """Returns int64[q], how many other pictures of the class are within a distance."""
    counts = [np.zeros(0, np.int64)]
    for _, squared in _squared_distances(features, query, np.arange(len(features))):
        counts.append((squared < squared_limit).sum(axis=1) - 1)
    return np.concatenate(counts)


def _squared_distances(
    features: np.ndarray, query: np.ndarray, references: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields some queries at a time and float32[q, r], their squared distances to references."""
    for start in range(0, len(query), _QUERIES_AT_ONCE):
        some = query[start : start + _QUERIES_AT_ONCE]
        squared = np.empty((len(some), len(references)), np.float32)
        for first in range(0, len(references), _REFERENCES_AT_ONCE):
            block = references[first : first + _REFERENCES_AT_ONCE]
            squared[:, first : first + _REFERENCES_AT_ONCE] = appearance.squared_distances(
                features[some], features[block]
            )
        yield some, squared


def _histogram(distance: np.ndarray) -> tuple[int, ...]:
    return tuple(np.histogram(np.minimum(distance, EDGES[-1]), EDGES)[0].tolist())


def _nearest_pairs(query: np.ndarray, nearest: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Returns the indices of the nearest pairs, at most one for each train picture."""
    ascending = np.lexsort((query, distance))
    _, first = np.unique(nearest[ascending], return_index=True)
    return ascending[np.sort(first)][:MAX_PAIRS]
