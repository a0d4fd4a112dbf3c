from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines import duplicates
from beam_pipelines.duplicates import ConflictPolicy


def digests(contents: list[int]) -> np.ndarray:
    return np.array([hashlib.sha256(bytes([c])).digest() for c in contents], "S32")


@given(rows=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2)), min_size=1, max_size=40))
def test_exact_against_a_dictionary(rows: list[tuple[int, int]]) -> None:
    contents, labels = zip(*rows, strict=True)
    class_ids = np.array(labels, np.int32)
    first = [contents.index(content) for content in contents]
    conflict = [len({la for c, la in rows if c == content}) > 1 for content in contents]
    kept = duplicates.exact(digests(list(contents)), class_ids, ConflictPolicy.KEEP_FIRST)
    assert kept.keeper.tolist() == first
    assert kept.conflict.tolist() == conflict
    dropped = duplicates.exact(digests(list(contents)), class_ids, ConflictPolicy.DROP_ALL)
    assert dropped.keeper.tolist() == [
        -1 if bad else row for row, bad in zip(first, conflict, strict=True)
    ]


def test_exact_tells_digests_apart_that_end_in_zeros() -> None:
    data = np.array([b"a" * 31, b"a" * 31 + b"\0", b"a" * 30 + b"\0a", b"a" * 30], "S32")
    found = duplicates.exact(data, np.zeros(4, np.int32))
    assert found.keeper.tolist() == [0, 0, 2, 3]


def test_exact_of_nothing() -> None:
    found = duplicates.exact(np.zeros(0, "S32"), np.zeros(0, np.int32))
    assert found.keeper.tolist() == found.conflict.tolist() == []


def joined(count: int, links: list[tuple[int, int]]) -> list[int]:
    """Smallest row of each row's component, by repeated passes."""
    label = list(range(count))
    for _ in range(count):
        for a, b in links:
            label[a] = label[b] = min(label[a], label[b])
    return label


@given(data=st.data(), count=st.integers(1, 30))
def test_components_against_repeated_passes(data: st.DataObject, count: int) -> None:
    row = st.integers(0, count - 1)
    links = data.draw(st.lists(st.tuples(row, row), max_size=40))
    left, right = np.array(links, np.int64).reshape(-1, 2).T
    assert duplicates.components(count, left, right).tolist() == joined(count, links)


def test_components_of_a_long_chain_in_bad_order() -> None:
    nodes = np.random.default_rng(0).permutation(100_000)
    assert duplicates.components(100_000, nodes[:-1], nodes[1:]).tolist() == [0] * 100_000


@given(
    count=st.integers(0, 20),
    data=st.data(),
)
def test_merge_joins_what_any_grouping_joins(count: int, data: st.DataObject) -> None:
    column = st.lists(st.integers(-1, 6), min_size=count, max_size=count)
    groupings = data.draw(st.lists(column, min_size=1, max_size=3))
    links = [
        (a, b)
        for labels in groupings
        for a in range(count)
        for b in range(a)
        if labels[a] == labels[b] >= 0
    ]
    merged = duplicates.merge(*(np.array(labels, np.int64) for labels in groupings))
    assert merged.tolist() == joined(count, links)


def test_merge_refuses_other_lengths() -> None:
    with pytest.raises(ValueError, match=r"same rows, not \[2, 3\]"):
        duplicates.merge(np.zeros(2, int), np.zeros(3, int))


def distances(phash: np.ndarray) -> np.ndarray:
    return np.bitwise_count(phash[:, None] ^ phash[None, :]).astype(int)


@st.composite
def near_hashes(draw: st.DrawFn) -> np.ndarray:
    """Up to 40 hashes around three centres, a few bits away."""
    centres = [0, 0xFFFF_0000_AAAA_5555, draw(st.integers(0, 2**64 - 1))]
    flips = st.lists(st.integers(0, 63), max_size=7).map(lambda bits: sum({1 << b for b in bits}))
    rows = draw(st.lists(st.tuples(st.sampled_from(centres), flips), min_size=1, max_size=40))
    return np.array([centre ^ flip for centre, flip in rows], np.uint64)


@given(phash=near_hashes(), limit=st.integers(0, 10))
@settings(max_examples=200)
def test_near_groups_find_every_link_within_the_distance(phash: np.ndarray, limit: int) -> None:
    left, right = np.nonzero(distances(phash) <= limit)
    links = list(zip(left.tolist(), right.tolist(), strict=True))
    found = duplicates.near_groups(
        phash, np.zeros(len(phash), np.int32), limit, max_group_fraction=1
    )
    assert found.group.tolist() == joined(len(phash), links)
    assert found.tightened == ()
