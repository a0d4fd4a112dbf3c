"""Ward's clusters: the whole tree once, then as few or as many clusters as wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beam_pipelines.similarity import duplicates


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """The order in which items join.

    Attributes:
      merges: int64[n - 1, 2], two clusters that join, each named by one of its items.
      heights: float64[n - 1], how much variance each of them adds, up to a constant factor.
    """

    merges: np.ndarray
    heights: np.ndarray

    @classmethod
    def of(cls, squared: np.ndarray) -> Tree:
        """Returns the tree of items.

        A chain of nearest neighbours finds the same tree as the greedy search, in n² steps.
        Source: Müllner, "Modern hierarchical, agglomerative clustering algorithms" (2011).

        Args:
          squared: float[n, n] squared distances.
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
        return cls(merges, heights)

    def cut(self, clusters: int) -> np.ndarray:
        """Returns int64[n], the smallest item of each one's cluster.

        Args:
          clusters: 1 to n.
        """
        count = len(self.merges) + 1
        kept = np.argsort(self.heights, kind="stable")[: count - clusters]
        return duplicates.components(count, *self.merges[kept].T)


def silhouettes(distance: np.ndarray, clusters: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Returns float64[k], how well some items sit in their clusters: -1 to 1, 0 if alone.

    (b - a) / max(a, b), where a is the mean distance to the others of its cluster and b that to
    the items of the nearest other cluster. Source: Rousseeuw, "Silhouettes" (1987).

    Args:
      distance: int32[k, n] of the items to all, whole numbers, so that sums are the same in any
        order.
      clusters: int64[n], a name of each one's cluster.
      items: int64[k].
    """
    _, member, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return np.zeros(len(items))
    starts = np.cumsum(sizes) - sizes
    by_cluster = np.argsort(member, kind="stable")
    sums = np.add.reduceat(distance[:, by_cluster], starts, axis=1, dtype=np.int64)
    rows, own_cluster = np.arange(len(items)), member[items]
    own = sums[rows, own_cluster] / np.maximum(sizes[own_cluster] - 1, 1)
    means = sums / sizes
    means[rows, own_cluster] = np.inf
    other = means.min(axis=1)
    result = (other - own) / np.maximum(np.maximum(own, other), 1)
    return np.where(sizes[own_cluster] > 1, result, 0.0)


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
