"""Clusters of pictures that look alike, for a split that divides none of them.

Frames of one video, or photographs of one object on one day, belong together although neither
names nor hashes may show it. Assigned one by one they end up in several splits, and accuracy
then measures memory. Clusters of each class by layout and colour keep most of them together.

Every distance here is a sum of products of small whole numbers, exact in floating point in
any order: the clusters do not depend on the BLAS or the machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from beam_pipelines.cache.thumbnails import LoadThumbnails
from beam_pipelines.similarity.ward import Tree, silhouettes
from tfrecords.images import fingerprints
from tfrecords.sharding import stable_hash

# A class has at least so many clusters, or a split of it could get none. The tracks of a small
# class are few: more clusters than this would divide them.
MIN_CLUSTERS = 5

# Mean sizes of clusters to choose among. Frames of fish in 3,243 tracks of 3.3 separate best at
# 3, drawn road signs in tracks of 30 at 28. Larger ones tell looks of a class apart, not tracks.
SIZES = (2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 50)

# So many clusters leave each of the usual splits some; with the 5 of a small class, 80% of the
# pictures, then 10% and 10%, would be 4, 1 and none. Half of all pictures are in such classes.
_ENOUGH_CLUSTERS = 10

# How far below the best mean silhouette, as a share of it, a larger size still counts as fitting.
# At 0.05 clusters divide more tracks, and a split claims more, on all six sets of tracks of
# docs/duplicates.md; at 0.25 some clusters hold whole kinds of pictures, and it claims too little.
_TOLERANCE = 0.2

# Ward needs all distances of a part: 2,000 pictures are 32 MB in float64.
MAX_WARD = 2_000

# Pictures of a part whose silhouettes are computed: with all, they would take as long as Ward.
_SCORED = 400

# Pixels are in units of 1/32 of a picture's own deviation, up to 4 deviations.
_UNIT, _CLIP = 32, 127

# Contrast below this many grey levels is grain, and is not stretched to full contrast.
_MIN_DEVIATION = 4

# Two histograms without a common colour are as far apart as two unrelated layouts. Frames of
# one track are then divided by a split in 20% of cases, against 30% at 600 and 57%
# without colour, where the camera shakes by a thirtieth of the picture. See docs/duplicates.md.
_HISTOGRAM_UNIT = 900
_LEVELS = 4

# Features of a picture: its layout and its colours.
_COLUMNS = fingerprints.THUMBNAIL_SIDE**2 * 3 + _LEVELS**3

_BISECTING_ROUNDS = 8

# Pictures whose thumbnails are held at a time: 6 MB. A larger class is held whole.
_LOAD = 8_192

# Pictures whose features are computed at a time: intermediate 64-bit numbers take 30 kB each.
_FEATURES = 128

# Queries, and references, compared at a time: as float32 their features take 4 MB.
_QUERIES_AT_ONCE, _REFERENCES_AT_ONCE = 1_024, 256

# Shares of the pixels, in 1/256, → what a histogram says of a colour.
_COLOURS = np.rint(np.sqrt(np.arange(fingerprints.THUMBNAIL_SIDE**2 + 1)
                           / fingerprints.THUMBNAIL_SIDE**2) * _HISTOGRAM_UNIT)  # fmt: skip


def features(thumbnails: np.ndarray) -> np.ndarray:
    """Returns int16[n, 832], whose squared distances say how unlike two pictures look.

    768 numbers are the 16×16 pixels less the picture's mean, divided by its deviation: light and
    contrast do not count. 64 are the square roots of a 4×4×4 colour histogram.

    Args:
      thumbnails: uint8[n, 16, 16, 3], `tfrecords.images.fingerprints.thumbnail`.
    """
    # Filled part by part: joined parts would be there twice, 33 MB of a class of 20,000.
    result = np.empty((len(thumbnails), _COLUMNS), np.int16)
    for start in range(0, len(thumbnails), _FEATURES):
        part = slice(start, start + _FEATURES)
        result[part] = _features(thumbnails[part])
    return result


def _features(thumbnails: np.ndarray) -> np.ndarray:
    size = fingerprints.THUMBNAIL_SIDE**2 * 3
    pixels = thumbnails.reshape(len(thumbnails), size).astype(np.int32)
    total = pixels.sum(axis=1, keepdims=True)
    # size² times the variance, in whole numbers; the sum of squares itself stays below 2^26.
    squares = np.einsum("ij,ij->i", pixels, pixels).astype(np.int64)[:, None]
    deviation = np.maximum(np.sqrt(size * squares - total**2), _MIN_DEVIATION * size)
    pixels *= size
    pixels -= total.astype(np.int32)
    pixels *= _UNIT
    layout = pixels / deviation
    np.clip(np.rint(layout, out=layout), -_CLIP, _CLIP, out=layout)
    return np.concatenate([layout, _COLOURS[_histograms(thumbnails)]], axis=1, dtype=np.int16,
                          casting="unsafe")  # fmt: skip


def squared_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns float32[l, r] between `features`; exact, since every sum stays below 2^24."""
    left, right = (table.astype(np.float32, copy=False) for table in (left, right))
    result: np.ndarray = left @ right.T
    result *= -2
    result += np.einsum("ij,ij->i", right, right)
    result += np.einsum("ij,ij->i", left, left)[:, None]
    return np.maximum(result, 0, out=result)


def by_class(
    thumbnails: LoadThumbnails, class_ids: np.ndarray, most: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields of each class its rows, the indices of those looked at, and their thumbnails.

    Loads several classes at a time, up to `_LOAD` pictures: packs hold pictures of all classes,
    so each load reads all packs, and loading everything at once would take 768 bytes a picture.

    Args:
      thumbnails: loads uint8[k, 16, 16, 3] of k rows.
      class_ids: int32[n].
      most: pictures of a class to look at, a `sample`; None for all.

    Yields:
      int64[k] rows, int64[m] indices into them, uint8[m, 16, 16, 3].
    """
    order = np.argsort(class_ids, kind="stable")
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    held = 0
    for rows in np.split(order, np.cumsum(np.bincount(class_ids))[:-1]) if len(order) else ():
        some = np.arange(len(rows))
        some = some if most is None else sample(some, most)
        if waiting and held + len(some) > _LOAD:
            yield from _loaded(thumbnails, waiting)
            waiting, held = [], 0
        if len(some):
            waiting.append((rows, some))
            held += len(some)
    yield from _loaded(thumbnails, waiting)


def _loaded(
    thumbnails: LoadThumbnails, classes: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    if classes:
        small = thumbnails(np.concatenate([rows[some] for rows, some in classes]))
        end = 0
        for rows, some in classes:
            end += len(some)
            yield rows, some, small[end - len(some) : end]


def sample(rows: np.ndarray, size: int) -> np.ndarray:
    """Returns at most `size` of int64[n] rows, in order; the same of equally many rows."""
    if len(rows) <= size:
        return rows
    rng = np.random.default_rng(stable_hash("leaks", len(rows), size))
    return rows[np.sort(rng.choice(len(rows), size, replace=False))]


def sweep(
    thumbnails: np.ndarray, query: np.ndarray, references: np.ndarray
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Yields which queries, which references and float32[q, r], their squared distances.

    Blocks of both: as float32 the features of a large class would take four times the memory of
    its thumbnails, and to compute them again takes a tenth of the time of the distances.

    Args:
      thumbnails: uint8[n, 16, 16, 3].
      query, references: int64, rows of them.
    """
    for start in range(0, len(query), _QUERIES_AT_ONCE):
        some = slice(start, start + _QUERIES_AT_ONCE)
        asked = features(thumbnails[query[some]]).astype(np.float32)
        for first in range(0, len(references), _REFERENCES_AT_ONCE):
            block = slice(first, first + _REFERENCES_AT_ONCE)
            yield some, block, squared_distances(asked, features(thumbnails[references[block]]))


def cluster(
    thumbnails: LoadThumbnails, class_ids: np.ndarray, target_size: int | None = None
) -> np.ndarray:
    """Returns int64[n], the smallest row of each row's cluster; no cluster spans classes.

    Ward's clusters of about `target_size`; smaller ones in classes that would have fewer than 5.
    Classes of more than 2,000 are halved by 2-means first until their parts are not.
    Clusters depend on all pictures of a class: an added one may move others to another
    cluster, so this split is not as stable as the one by groups.

    Args:
      thumbnails: loads uint8[k, 16, 16, 3] of k rows.
      class_ids: int32[n].
      target_size: 1 or more; None for the one of `SIZES` that fits the pictures (`fitting_size`).

    Raises:
      ValueError: a size below 1.
    """
    if target_size is not None and target_size < 1:
        raise ValueError(f"clusters must be of 1 picture or more, not {target_size}")
    parts: list[_Part] = []
    scores = np.zeros(len(SIZES))
    for rows, _, small in by_class(thumbnails, class_ids):
        table = features(small)
        for part in _parts(np.arange(len(rows)), table):
            squared = squared_distances(table[part], table[part])
            found = _Part(rows[part], len(rows), Tree.of(squared))
            parts.append(found)
            if target_size is None:
                scores += found.scores(squared)
    size = target_size or fitting_size(scores, np.bincount(class_ids))
    result = np.arange(len(class_ids))
    for found in parts:
        result[found.rows] = found.rows[found.cut(size)]
    return result


def fitting_size(scores: np.ndarray, counts: np.ndarray) -> int:
    """Returns the mean size of clusters that fits a data set: one of `SIZES`.

    The largest whose clusters are about as well separated as the best ones: too large a
    cluster costs a little accuracy of the estimate, too small a one leaks.

    Args:
      scores: float64[len(SIZES)], sums of the silhouettes of all pictures.
      counts: int64[classes], pictures of each class.
    """
    ascending = np.sort(counts)
    half = np.searchsorted(np.cumsum(ascending), counts.sum() / 2)
    most = ascending[half] // _ENOUGH_CLUSTERS if len(counts) else 0
    considered = max(1, int(np.searchsorted(SIZES, most, side="right")))
    # The last digits may depend on the machine.
    mean = np.rint(scores[:considered] / max(counts.sum(), 1) * 1e6)
    best = mean.max()
    return SIZES[int(np.flatnonzero(mean >= best - _TOLERANCE * abs(best))[-1])]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A class, or a part of a large one, and its clusters of every size.

    Attributes:
      rows: int64[k], ascending.
      of_class: pictures of the whole class.
      tree: of the part.
    """

    rows: np.ndarray
    of_class: int
    tree: Tree

    def cut(self, size: int) -> np.ndarray:
        """Returns int64[k], the first of each one's cluster, for clusters of a mean size.

        Each part gets its share of the clusters of its class, so all have about the same size.
        """
        clusters = max(-(-self.of_class // size), min(self.of_class, MIN_CLUSTERS))
        return self.tree.cut(max(1, round(clusters * len(self.rows) / self.of_class)))

    def scores(self, squared: np.ndarray) -> np.ndarray:
        """Returns float64[len(SIZES)], the sum of the silhouettes at each size, from a sample."""
        items = np.arange(0, len(squared), -(-len(squared) // _SCORED))
        distance = np.rint(np.sqrt(squared[items])).astype(np.int32)
        found = (silhouettes(distance, self.cut(size), items) for size in SIZES)
        weight = len(squared) / len(items)
        return np.array([math.fsum(each.tolist()) * weight for each in found])


def keep_whole(clusters: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Returns int64[n], clusters after each group has moved to one of them as a whole.

    A group goes where its smallest row is. Joining clusters that share a group would instead
    chain them: one false match of near duplicates would make one cluster of two.

    Args:
      clusters: int64[n], as `cluster` returns it.
      group: int64[n], the smallest row of each row's group.

    Returns:
      The smallest row of each row's cluster.
    """
    _, first, member = np.unique(clusters[group], return_index=True, return_inverse=True)
    return first[member]


def _parts(rows: np.ndarray, table: np.ndarray) -> list[np.ndarray]:
    """Returns the rows in parts of at most 2,000, by repeated halving."""
    if len(rows) <= MAX_WARD:
        return [rows] if len(rows) else []
    is_left = _halve(table)
    return _parts(rows[is_left], table[is_left]) + _parts(rows[~is_left], table[~is_left])


def _halve(table: np.ndarray) -> np.ndarray:
    """Returns bool[n], which rows go to the first of two parts by 2-means.

    The first centres are far apart: the row farthest from the mean and the one farthest from
    that. Each part gets at least a tenth of the rows, so that the recursion stays shallow.
    """
    farthest = int(_squared_from(table, table.mean(axis=0)).argmax())
    opposite = int(_squared_from(table, table[farthest]).argmax())
    centres = np.stack([table[farthest], table[opposite]]).astype(np.float64)
    for _ in range(_BISECTING_ROUNDS):
        difference = _squared_from(table, centres[0]) - _squared_from(table, centres[1])
        is_left = difference < 0
        if is_left.all() or not is_left.any():
            break
        centres = np.stack([table[is_left].mean(axis=0), table[~is_left].mean(axis=0)])
    smallest = len(table) // 10
    position = np.argsort(np.argsort(difference, kind="stable"), kind="stable")
    return (is_left | (position < smallest)) & (position < len(table) - smallest)


def _squared_from(table: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Returns float32[n], squared distances from a centre, rounded to whole numbers first."""
    return squared_distances(table, np.rint(centre)[None])[:, 0]


def _histograms(thumbnails: np.ndarray) -> np.ndarray:
    """Returns int64[n, 64], how many of the pixels have each of 4×4×4 colours."""
    levels = thumbnails // (256 // _LEVELS)
    colour = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
    colour = colour.reshape(len(thumbnails), fingerprints.THUMBNAIL_SIDE**2)
    cells = np.arange(len(colour), dtype=np.int32)[:, None] * _LEVELS**3 + colour
    counts = np.bincount(cells.ravel(), minlength=len(colour) * _LEVELS**3)
    return counts.reshape(len(colour), _LEVELS**3)
