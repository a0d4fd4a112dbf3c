"""The leak meter: how much of a held-out split a model could answer from memory.

A held-out picture leaks if a train picture of its class looks almost the same. Where data are
independent that is rare under any split; where they are frames of tracks, a random split
leaks nearly all of them and its accuracy is worth nothing.

`measure` works on arrays. In a bake its workers measure: a `LeakTask` holds some classes, and
`meters` adds up what was found. The meter sees likeness, not kinship: it says how bad a split is,
not that one is clean. After a split by appearance it is low by construction, as that keeps the
same distances large.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from beam_pipelines.cache.thumbnails import LoadThumbnails, gather
from beam_pipelines.planning.split import TRAIN_INDEX
from beam_pipelines.similarity import appearance
from beam_pipelines.workers.pool import Watch
from tfrecords.sharding import stable_hash

# Two pictures are suspiciously near below this share of the median distance in their class.
# After a random split 3% of pictures of 60 kinds of objects are, 13% of plankton on white,
# and of frames of tracks 95% and more, or 60% where the camera shakes. See docs/duplicates.md.
NEAR = 0.3

MAX_QUERIES = 20_000
MAX_REFERENCES = 20_000

# Queries, and references, compared at a time: as floats, and their squares beside them, the
# features of a large class would take ten times the memory of its thumbnails.
_CHUNK, _BLOCK = 128, 1_024
_TYPICAL_SAMPLE = 400
_MAX_PAIRS = 24

# Edges of the histograms of distances; the last bin takes what is beyond.
EDGES = tuple(index / 20 for index in range(31))


@dataclass(frozen=True, slots=True)
class LeakPair:
    """A held-out picture and the train picture nearest to it: keys, and their distance."""

    held_out: str
    train: str
    distance: float


@dataclass(frozen=True, slots=True)
class LeakMeter:
    """How much one held-out split gives away, for people to read; plain JSON values.

    Attributes:
      split: the held-out split that was measured.
      pictures: how many of its pictures were compared with train pictures of their class.
      near: how many of them are suspiciously near to one.
      random_near: how many would be after a random split, in expectation.
      train_near: share of the train pictures that are as near to another train picture.
      histogram, train_histogram: number of held-out pictures, and of train pictures, by the
        distance to the nearest other train picture, between the `EDGES`.
      pairs: the nearest pairs, nearest first.
      sampled: whether the data set was too large to be measured whole; numbers are then too low.
    """

    split: str
    pictures: int
    near: int
    random_near: int
    train_near: float
    histogram: tuple[int, ...]
    train_histogram: tuple[int, ...]
    pairs: tuple[LeakPair, ...]
    sampled: bool = False

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> LeakMeter:
        """Returns the meter that `dataclasses.asdict` and JSON took apart."""
        return cls(
            **{
                **fields,
                "histogram": tuple(fields["histogram"]),
                "train_histogram": tuple(fields["train_histogram"]),
                "pairs": tuple(LeakPair(**pair) for pair in fields["pairs"]),
            }
        )

    @property
    def note(self) -> str:
        """The reading in one line."""
        share, random = (
            f"{count / max(self.pictures, 1):.1%}" for count in (self.near, self.random_near)
        )
        return (
            f"leak meter: {share} of {self.pictures:,} {self.split} pictures are suspiciously near "
            f"to a train picture of their class ({random} after a random split)"
        )


@dataclass(frozen=True, slots=True)
class LeakTask:
    """Some classes whose held-out pictures are to be compared with their train pictures.

    Attributes:
      packs: paths of the packs beside which the thumbnails lie, without suffix.
      pack, index: of each picture: its pack's place in `packs`, its record there.
      label, split: of each picture; train is split 0.
      keys: of the pictures.
      totals: pictures in each split, those of other tasks too.
      sampled: whether pictures were left out.
    """

    packs: tuple[str, ...]
    pack: tuple[int, ...]
    index: tuple[int, ...]
    label: tuple[int, ...]
    split: tuple[int, ...]
    keys: tuple[str, ...]
    totals: tuple[int, ...]
    sampled: bool


@dataclass(frozen=True, slots=True)
class LeakPart:
    """What a task found in one held-out split; plain values, added up by `meters`.

    Attributes:
      held_out: split index.
      train_pictures: how many train pictures were compared with other train pictures.
      train_near: how many of them are near one.
      pictures, near, histogram, train_histogram, pairs, sampled: of a `LeakMeter`.
      random_near: of a `LeakMeter`, before rounding.
    """

    held_out: int
    pictures: int
    near: int
    random_near: float
    train_pictures: int
    train_near: int
    histogram: tuple[int, ...]
    train_histogram: tuple[int, ...]
    pairs: tuple[LeakPair, ...]
    sampled: bool


def measure_leaks(task: LeakTask, watch: Watch) -> tuple[LeakPart, ...]:
    """Measures the classes of a task, in a worker; one part for each held-out split."""
    del watch  # Nothing is decoded here.
    pack, index = np.array(task.pack, np.int32), np.array(task.index, np.int32)
    reports = measure(
        lambda rows: gather(task.packs, pack[rows], index[rows]),
        np.array(task.label, np.int32),
        np.array(task.split, np.int8),
        range(1, len(task.totals)),
        totals=task.totals,
    )
    return tuple(_part(report, task) for report in reports)


def _part(report: LeakReport, task: LeakTask) -> LeakPart:
    pairs = zip(report.query, report.match, report.distance.tolist(), strict=True)
    return LeakPart(
        report.held_out,
        report.pictures,
        report.near,
        report.random_near,
        report.train_pictures,
        report.train_near,
        tuple(report.histogram.tolist()),
        tuple(report.train_histogram.tolist()),
        tuple(LeakPair(task.keys[query], task.keys[match], far) for query, match, far in pairs),
        task.sampled,
    )


def meters(parts: Iterable[LeakPart], splits: Sequence[str]) -> tuple[LeakMeter, ...]:
    """Adds up what tasks found, in whatever order; one meter for each held-out split.

    Args:
      parts: of all tasks.
      splits: names of all splits, train first.
    """
    parts = list(parts)
    return tuple(
        _meter([part for part in parts if part.held_out == index], name)
        for index, name in enumerate(splits)
        if index != TRAIN_INDEX
    )


def _meter(parts: Sequence[LeakPart], split: str) -> LeakMeter:
    pairs = sorted(
        (pair for part in parts for pair in part.pairs),
        key=lambda pair: (pair.distance, pair.held_out),
    )
    compared = sum(part.train_pictures for part in parts)
    return LeakMeter(
        split=split,
        pictures=sum(part.pictures for part in parts),
        near=sum(part.near for part in parts),
        # Exact, hence the same in any order.
        random_near=round(math.fsum(part.random_near for part in parts)),
        train_near=sum(part.train_near for part in parts) / max(compared, 1),
        histogram=_sum(part.histogram for part in parts),
        train_histogram=_sum(part.train_histogram for part in parts),
        pairs=tuple(pairs[:_MAX_PAIRS]),
        sampled=any(part.sampled for part in parts),
    )


def _sum(histograms: Iterable[Sequence[int]]) -> tuple[int, ...]:
    bins = len(EDGES) - 1
    return tuple(np.array([[0] * bins, *histograms], np.int64).sum(axis=0).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class LeakReport:
    """How near the held-out pictures are to train pictures of their class.

    Distances are shares of the median distance between two pictures of the class: 0 is the
    same picture, 1 as unlike as any two.

    Attributes:
      held_out: split index that was measured.
      pictures: held-out pictures that were compared; a sample of `MAX_QUERIES` if there are more.
      near: how many of them are nearer than `NEAR` to a train picture of their class.
      random_near: how many would be after a random split of the same size, in expectation.
      train_pictures: train pictures that were compared with the other ones.
      train_near: how many of them are as near to one.
      median_distance: of the held-out pictures to their nearest train picture.
      train_median_distance: of train pictures to their nearest other train picture.
      histogram, train_histogram: int64[30], the same distances, counted between the `EDGES`.
      query: int64[k], rows of the held-out pictures of the nearest pairs, nearest first.
      match: int64[k], row of the train picture of each pair.
      distance: float64[k].
    """

    held_out: int
    pictures: int
    near: int
    random_near: float
    train_pictures: int
    train_near: int
    median_distance: float
    train_median_distance: float
    histogram: np.ndarray
    train_histogram: np.ndarray
    query: np.ndarray
    match: np.ndarray
    distance: np.ndarray

    @property
    def share(self) -> float:
        """Share of the held-out pictures that are suspiciously near, 0 to 1."""
        return self.near / max(self.pictures, 1)

    @property
    def random_share(self) -> float:
        """The same after a random split."""
        return self.random_near / max(self.pictures, 1)

    @property
    def train_share(self) -> float:
        """Share of the train pictures that are as near to another train picture."""
        return self.train_near / max(self.train_pictures, 1)


def measure(
    thumbnails: LoadThumbnails,
    class_ids: np.ndarray,
    split: np.ndarray,
    held_out: Sequence[int],
    max_pairs: int = _MAX_PAIRS,
    totals: Sequence[int] | None = None,
) -> tuple[LeakReport, ...]:
    """Measures how much a split gives away; one report for each of `held_out`.

    Args:
      thumbnails: loads uint8[k, 16, 16, 3], `tfrecords.images.fingerprints.thumbnail`, of k rows.
      class_ids: int32[n].
      split: int8[n], split index; train is 0.
      held_out: the splits to measure.
      max_pairs: the nearest pairs to return, no picture twice.
      totals: pictures in each split; more than here if these are some classes of a set.

    The expectation for a random split needs no second split: of a picture with k near
    pictures in its class, one at least lands in train with probability 1 - (1 - f)^k, for
    train's share f.
    """
    if TRAIN_INDEX in held_out:
        raise ValueError("the held-out split must be another than train")
    parts: dict[int, list[_ClassLeaks]] = {index: [] for index in held_out}
    if totals is None:
        totals = np.bincount(split, minlength=max(held_out, default=0) + 1).tolist()
    for rows, small in appearance.by_class(thumbnails, class_ids):
        queries = {index: _queries(split[rows], index, totals[index]) for index in held_out}
        for part in _measure_class(small, split[rows], rows, queries):
            parts[part.held_out].append(part)
    return tuple(_report(index, parts[index], max_pairs) for index in held_out)


def _queries(split: np.ndarray, held_out: int, every: int) -> int:
    """Returns how many held-out pictures of a class to compare."""
    own = int((split == held_out).sum())
    if not own or not (split == TRAIN_INDEX).any():
        return 0
    return min(own, max(1, own * MAX_QUERIES // every))


def _report(held_out: int, parts: Sequence[_ClassLeaks], max_pairs: int) -> LeakReport:
    query, match, distance = (_joined([getattr(p, name) for p in parts]) for name in _COLUMNS)
    inside = _joined([part.inside for part in parts])
    pairs = _worst(query, match, distance, max_pairs)
    return LeakReport(
        held_out=held_out,
        pictures=len(query),
        near=int((distance < NEAR).sum()),
        random_near=float(sum(part.random_near for part in parts)),
        train_pictures=len(inside),
        train_near=int((inside < NEAR).sum()),
        median_distance=float(np.median(distance)) if len(distance) else 1.0,
        train_median_distance=float(np.median(inside)) if len(inside) else 1.0,
        histogram=_histogram(distance),
        train_histogram=_histogram(inside),
        query=query[pairs].astype(np.int64),
        match=match[pairs].astype(np.int64),
        distance=distance[pairs].astype(np.float64),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _ClassLeaks:
    """Nearest train picture of each query of a class, and the same inside train."""

    held_out: int
    query: np.ndarray
    match: np.ndarray
    distance: np.ndarray
    inside: np.ndarray
    random_near: float


_COLUMNS = ("query", "match", "distance")


def _measure_class(
    thumbnails: np.ndarray, split: np.ndarray, rows: np.ndarray, queries: Mapping[int, int]
) -> Iterator[_ClassLeaks]:
    """Measures one class: thumbnails, splits and rows of its pictures.

    Args:
      queries: held-out split → how many of its pictures to compare; those with none are left out.
    """
    if not any(queries.values()):
        return
    if len(rows) > MAX_REFERENCES:
        chosen = _sample(np.arange(len(rows)), MAX_REFERENCES)
        thumbnails, split, rows = thumbnails[chosen], split[chosen], rows[chosen]
    table = appearance.features(thumbnails)
    train = np.flatnonzero(split == TRAIN_INDEX)
    train_share = len(train) / len(rows)
    typical = _typical_distance(table)
    for held_out, count in queries.items():
        if not count:
            continue
        query = _sample(np.flatnonzero(split == held_out), count)
        distance, nearest = _nearest(table, query, train)
        inside, _ = _nearest(table, _sample(train, count), train)
        near = _count_near(table, query, (NEAR * typical) ** 2)
        yield _ClassLeaks(
            held_out,
            query=rows[query],
            match=rows[nearest],
            distance=distance / typical,
            inside=inside[np.isfinite(inside)] / typical,
            random_near=float((1 - (1 - train_share) ** near).sum()),
        )


def _sample(rows: np.ndarray, size: int) -> np.ndarray:
    """Returns at most `size` rows, in order; the same ones for the same number of rows."""
    if len(rows) <= size:
        return rows
    rng = np.random.default_rng(stable_hash("leaks", len(rows), size))
    return rows[np.sort(rng.choice(len(rows), size, replace=False))]


def _typical_distance(table: np.ndarray) -> float:
    """Returns the median distance of two pictures; at least 1, for a class of equal pictures."""
    some = table[_sample(np.arange(len(table)), _TYPICAL_SAMPLE)]
    squared = appearance.squared_distances(some, some)[np.triu_indices(len(some), 1)]
    return float(np.sqrt(max(np.median(squared), 1))) if len(squared) else 1.0


def _nearest(
    table: np.ndarray, query: np.ndarray, references: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distance of each query to its nearest other reference, and which that is."""
    distances, nearest = [np.zeros(0)], [np.zeros(0, np.int64)]
    for chunk, squared in _compared(table, query, references):
        squared[chunk[:, None] == references] = np.inf
        best = squared.argmin(axis=1)
        distances.append(np.sqrt(squared[np.arange(len(chunk)), best]))
        nearest.append(references[best])
    return np.concatenate(distances), np.concatenate(nearest)


def _count_near(table: np.ndarray, query: np.ndarray, squared_limit: float) -> np.ndarray:
    """Returns int64[q], how many other pictures of the class are within a distance."""
    counts = [np.zeros(0, np.int64)]
    for _, squared in _compared(table, query, np.arange(len(table))):
        counts.append((squared < squared_limit).sum(axis=1) - 1)
    return np.concatenate(counts)


def _compared(
    table: np.ndarray, query: np.ndarray, references: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields some queries at a time and float32[q, r], their squared distances to references."""
    for start in range(0, len(query), _CHUNK):
        chunk = query[start : start + _CHUNK]
        squared = np.empty((len(chunk), len(references)), np.float32)
        for first in range(0, len(references), _BLOCK):
            block = references[first : first + _BLOCK]
            squared[:, first : first + _BLOCK] = appearance.squared_distances(
                table[chunk], table[block]
            )
        yield chunk, squared


def _histogram(distance: np.ndarray) -> np.ndarray:
    return np.histogram(np.minimum(distance, EDGES[-1]), EDGES)[0]


def _worst(
    query: np.ndarray, match: np.ndarray, distance: np.ndarray, max_pairs: int
) -> np.ndarray:
    """Returns the places of the nearest pairs, at most one for each train picture."""
    line = np.lexsort((query, distance))
    _, first = np.unique(match[line], return_index=True)
    return line[np.sort(first)][:max_pairs]


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0)
