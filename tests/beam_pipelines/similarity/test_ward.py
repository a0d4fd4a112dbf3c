from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.similarity import ward


def greedy_ward(points: np.ndarray, clusters: int) -> list[int]:
    """Joins the two clusters that add the least variance, again and again."""
    parts = [[i] for i in range(len(points))]

    def cost(pair: tuple[int, int]) -> float:
        a, b = (points[parts[i]] for i in pair)
        between = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
        return float(len(a) * len(b) / (len(a) + len(b)) * between)

    while len(parts) > clusters:
        left, right = min(itertools.combinations(range(len(parts)), 2), key=cost)
        parts[left] += parts.pop(right)
    smallest = {i: min(part) for part in parts for i in part}
    return [smallest[i] for i in range(len(points))]


@given(count=st.integers(1, 14), data=st.data(), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_ward_against_the_greedy_search(count: int, data: st.DataObject, seed: int) -> None:
    clusters = data.draw(st.integers(1, count))
    points = np.random.default_rng(seed).normal(size=(count, 3))
    squared = np.square(points[:, None] - points[None]).sum(axis=2)
    assert ward.Tree.of(squared).cut(clusters).tolist() == greedy_ward(points, clusters)


def test_ward_of_equal_points_ends() -> None:
    assert ward.Tree.of(np.zeros((50, 50))).cut(1).tolist() == [0] * 50
    assert len(np.unique(ward.Tree.of(np.zeros((50, 50))).cut(7))) == 7


def plain_silhouettes(distance: np.ndarray, clusters: list[int]) -> list[float]:
    """Silhouettes by their definition, one item at a time."""
    result = []
    for item, own in enumerate(clusters):
        means = {}
        for name in set(clusters):
            others = [i for i, of in enumerate(clusters) if of == name and i != item]
            if others:
                means[name] = float(np.mean(distance[item, others]))
        if own not in means or len(set(clusters)) < 2:
            result.append(0.0)
            continue
        nearest = min(mean for name, mean in means.items() if name != own)
        result.append((nearest - means[own]) / max(nearest, means[own], 1))
    return result


@settings(deadline=None)  # Other processes share the machine.
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=20))
def test_silhouettes_by_their_definition(items: list[tuple[int, int]]) -> None:
    places, clusters = zip(*items, strict=True)
    points = np.array(places)
    distance = np.abs(points[:, None] - points).astype(np.int32)
    some = np.arange(0, len(items), 2)
    found = ward.silhouettes(distance[some], np.array(clusters), some)
    assert found == pytest.approx(plain_silhouettes(distance, list(clusters))[::2])
