"""Clusters of pictures that look alike, for a split that divides none of them.

Frames of one video, or photographs of one object on one day, belong together although neither
names nor hashes may show it. Assigned one by one they end up in several splits, and accuracy
then measures memory. Clusters of each class by layout and colour keep most of them together.

Every distance here is a sum of products of small whole numbers, exact in floating point in
any order: the clusters do not depend on the BLAS or the machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from beam_pipelines.cache.thumbnails import LoadThumbnails
from beam_pipelines.similarity import duplicates
from tfrecords.images import fingerprints

# A split of 0.1 needs about this many clusters of a class to come near its quota.
MIN_CLUSTERS = 10

# Ward needs all distances of a part: 2,000 pictures are 32 MB in float64.
MAX_WARD = 2_000

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
    # size² times the variance, in whole numbers.
    spread = size * np.square(pixels, dtype=np.int64).sum(axis=1, keepdims=True) - total**2
    deviation = np.maximum(np.sqrt(spread), _MIN_DEVIATION * size)
    layout = np.clip(np.rint((size * pixels - total) * _UNIT / deviation), -_CLIP, _CLIP)
    colours = np.rint(np.sqrt(_histograms(thumbnails)) * _HISTOGRAM_UNIT)
    return np.concatenate([layout, colours], axis=1).astype(np.int16)


def squared_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns float32[l, r] between `features`; exact, since every sum stays below 2^24."""
    left, right = (table.astype(np.float32, copy=False) for table in (left, right))
    norms = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)
    return np.maximum(norms - 2 * (left @ right.T), 0)


def by_class(
    thumbnails: LoadThumbnails, class_ids: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the rows of each class and their thumbnails, uint8[k, 16, 16, 3].

    Loads several classes at a time, up to `_LOAD` pictures: packs hold pictures of all classes,
    so each load reads all packs, and loading everything at once would take 768 bytes a picture.
    """
    order = np.argsort(class_ids, kind="stable")
    ends = np.unique(np.cumsum(np.bincount(class_ids))).tolist()
    start = 0
    while start < len(order):
        fitting = [end for end in ends if start < end <= start + _LOAD]
        end = fitting[-1] if fitting else next(end for end in ends if end > start)
        small = thumbnails(order[start:end])
        bounds = [start, *(bound for bound in ends if start < bound <= end)]
        for low, high in itertools.pairwise(bounds):
            yield order[low:high], small[low - start : high - start]
        start = end


def cluster(thumbnails: LoadThumbnails, class_ids: np.ndarray, target_size: int = 50) -> np.ndarray:
    """Returns int64[n], the smallest row of each row's cluster; no cluster spans classes.

    Ward's clusters of about `target_size`; smaller ones in classes that would have fewer than 10.
    Classes of more than 2,000 are halved by 2-means first until their parts are not.
    Clusters depend on all pictures of a class: an added one may move others to another
    cluster, so this split is not as stable as the one by groups.

    Args:
      thumbnails: loads uint8[k, 16, 16, 3] of k rows.
      class_ids: int32[n].
      target_size: 1 or more.

    Raises:
      ValueError: a size below 1.
    """
    if target_size < 1:
        raise ValueError(f"clusters must be of 1 picture or more, not {target_size}")
    result = np.arange(len(class_ids))
    for rows, small in by_class(thumbnails, class_ids):
        table = features(small)
        clusters = max(-(-len(rows) // target_size), min(len(rows), MIN_CLUSTERS))
        for part in _parts(np.arange(len(rows)), table):
            # Each part gets its share of the clusters, so all have about the same size.
            share = max(1, round(clusters * len(part) / len(rows)))
            squared = squared_distances(table[part], table[part])
            result[rows[part]] = rows[part[ward(squared, share)]]
    return result


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


def ward(squared: np.ndarray, clusters: int) -> np.ndarray:
    """Returns int64[n], the smallest member of each item's cluster, by Ward's method.

    A chain of nearest neighbours finds the same tree as the greedy search, in n² steps.
    Source: Müllner, "Modern hierarchical, agglomerative clustering algorithms" (2011).

    Args:
      squared: float[n, n] squared distances.
      clusters: 1 to n.
    """
    count = len(squared)
    distance = squared.astype(np.float64)
    np.fill_diagonal(distance, np.inf)
    sizes = np.ones(count)
    merges = np.zeros((max(count - 1, 0), 2), np.int64)
    heights = np.zeros(len(merges))
    chain: list[int] = []
    for step in range(len(merges)):
        left, right = _nearest_pair(distance, sizes, chain)
        merges[step], heights[step] = (left, right), distance[left, right]
        _join(distance, sizes, left, right)
    kept = np.argsort(heights, kind="stable")[: count - clusters]
    return duplicates.components(count, *merges[kept].T)


def _nearest_pair(distance: np.ndarray, sizes: np.ndarray, chain: list[int]) -> tuple[int, int]:
    """Follows nearest neighbours until two clusters are each other's; removes and returns them."""
    if not chain:
        chain.append(int(np.argmax(sizes > 0)))
    while True:
        last = chain[-1]
        row = distance[last]
        nearest = int(row.argmin())
        # On a tie the previous one wins, or the chain could run in a circle.
        if len(chain) > 1 and row[chain[-2]] == row[nearest]:
            nearest = chain[-2]
            del chain[-2:]
            return min(last, nearest), max(last, nearest)
        chain.append(nearest)


def _join(distance: np.ndarray, sizes: np.ndarray, left: int, right: int) -> None:
    """Replaces the left of two clusters by their union: Lance and Williams' update."""
    union = sizes[left] + sizes[right]
    merged = (
        (sizes[left] + sizes) * distance[left]
        + (sizes[right] + sizes) * distance[right]
        - sizes * distance[left, right]
    ) / (union + sizes)
    merged[[left, right]] = np.inf
    distance[left], distance[:, left] = merged, merged
    distance[right], distance[:, right] = np.inf, np.inf
    sizes[left], sizes[right] = union, 0


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
    """Returns float64[n, 64], shares of the pixels in each of 4×4×4 colours."""
    levels = (thumbnails // (256 // _LEVELS)).astype(np.int64)
    colour = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
    colour = colour.reshape(len(thumbnails), fingerprints.THUMBNAIL_SIDE**2)
    cells = np.arange(len(colour))[:, None] * _LEVELS**3 + colour
    counts = np.bincount(cells.ravel(), minlength=len(colour) * _LEVELS**3)
    return counts.reshape(len(colour), _LEVELS**3) / colour.shape[1]
