from __future__ import annotations

import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.choices import ConflictPolicy
from beam_pipelines.similarity import banding, duplicates


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


@st.composite
def near_hashes(draw: st.DrawFn, words: int) -> np.ndarray:
    """Up to 30 fingerprints around three centres, a few bits away."""
    bits = 64 * words
    centres = [0, 0xFFFF_0000_AAAA_5555, draw(st.integers(0, 2**bits - 1))]
    flips = st.lists(st.integers(0, bits - 1), max_size=6 * words)
    rows = draw(st.lists(st.tuples(st.sampled_from(centres), flips), min_size=1, max_size=30))
    values = [centre ^ sum({1 << bit for bit in flipped}) for centre, flipped in rows]
    table = [[(value >> 64 * word) % 2**64 for word in range(words)] for value in values]
    return np.array(table, np.uint64)


def distance(a: list[int], b: list[int]) -> int:
    differing = sum((x ^ y).bit_count() for x, y in zip(a, b, strict=True))
    union = sum((x | y).bit_count() for x, y in zip(a, b, strict=True))
    return math.ceil(differing * Fraction(32 * len(a), min(max(union, 1), 32 * len(a))))


def links_by_all_pairs(table: np.ndarray, limit: int, first_limit: int) -> list[tuple[int, int]]:
    rows = table.tolist()
    return [
        (i, j)
        for i, a in enumerate(rows)
        for j, b in enumerate(rows[:i])
        if (a[0] ^ b[0]).bit_count() <= first_limit and distance(a, b) <= limit
    ]


@given(table=near_hashes(1), limit=st.integers(0, 12))
@settings(max_examples=100)
def test_every_hash_within_the_distance_is_found(table: np.ndarray, limit: int) -> None:
    found = duplicates.near_groups(
        table[:, 0], np.zeros(len(table), np.int32), limit, max_group_fraction=1
    )
    assert found.group.tolist() == joined(len(table), links_by_all_pairs(table, limit, limit))
    assert found.tightened == ()


@given(table=near_hashes(4), limit=st.integers(0, 40))
@settings(max_examples=100)
def test_every_fingerprint_within_the_distance_is_found(table: np.ndarray, limit: int) -> None:
    class_ids = (np.arange(len(table)) % 3).astype(np.int32)
    found = duplicates.near_groups(table, class_ids, limit, max_group_fraction=1)
    links = links_by_all_pairs(table, limit, banding.LOOKUP_DISTANCE)
    assert found.group.tolist() == joined(len(table), links)


def random_fingerprints(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, (count, 4), np.uint64)


def flipped(table: np.ndarray, bits: int, seed: int = 0) -> np.ndarray:
    """Returns fingerprints that differ in `bits` bits each, none of them in the first word."""
    rng = np.random.default_rng(seed)
    result = table.copy()
    for row in result:
        for bit in rng.choice(192, bits, replace=False).tolist():
            row[1 + bit // 64] ^= np.uint64(1 << bit % 64)
    return result


def test_pictures_far_apart_stay_apart_and_copies_join_across_classes() -> None:
    originals = random_fingerprints(3_000)
    table = np.concatenate([originals, flipped(originals[:50], 24), flipped(originals[:50], 42, 1)])
    class_ids = np.zeros(len(table), np.int32)
    class_ids[3_000:] = 1
    group = duplicates.near_groups(table, class_ids).group
    expected = np.arange(len(table))
    expected[3_000:3_050] = np.arange(50)
    assert group.tolist() == expected.tolist()


def chain(count: int, step: int) -> np.ndarray:
    """Fingerprints of which each differs from the one before in `step` new bits."""
    table = random_fingerprints(count, seed=9)
    for row in range(1, count):
        table[row] = table[row - 1]
        for bit in range((row - 1) * step, row * step):
            table[row, 1 + bit % 192 // 64] ^= np.uint64(1 << bit % 64)
    return table


def test_a_chain_over_a_fifth_of_its_class_is_cut() -> None:
    table = np.concatenate([chain(12, 16), random_fingerprints(28)])
    found = duplicates.near_groups(table, np.zeros(40, np.int32))
    assert found.group.tolist() == list(range(40))
    (tightened,) = found.tightened
    assert (tightened.class_id, tightened.max_distance) == (0, 15)
    roomy = duplicates.near_groups(
        np.concatenate([table, random_fingerprints(20, 1)]), np.zeros(60, np.int32)
    )
    assert roomy.tightened == ()
    assert np.bincount(roomy.group).max() == 12


def test_a_small_group_is_no_chain() -> None:
    found = duplicates.near_groups(chain(9, 16), np.zeros(9, np.int32))
    assert found.group.tolist() == [0] * 9


def test_the_cut_of_one_class_leaves_the_others_alone() -> None:
    pairs = random_fingerprints(30)
    table = np.concatenate([chain(12, 16), pairs, flipped(pairs, 30)])
    class_ids = np.repeat([0, 1], [12, 60]).astype(np.int32)
    found = duplicates.near_groups(table, class_ids)
    assert [cut.class_id for cut in found.tightened] == [0]
    assert found.group[12:].tolist() == list(range(12, 42)) * 2


def test_where_most_pictures_are_blank_blankness_says_nothing() -> None:
    table = np.concatenate([np.zeros((15, 4), np.uint64), random_fingerprints(15)])
    class_ids = np.zeros(30, np.int32)
    class_ids[14] = 1  # One more blank picture, in a class of its own: joined to nothing then.
    found = duplicates.near_groups(table, class_ids)
    assert found.group.tolist() == list(range(30))
    assert [(cut.class_id, cut.max_distance) for cut in found.tightened] == [(0, -1)]


def smallest_rows(names: list[int]) -> np.ndarray:
    return np.array([names.index(name) for name in names], np.int64)


def beyond_the_bound(
    group: np.ndarray, named: np.ndarray, class_ids: np.ndarray
) -> list[tuple[int, int]]:
    """Returns the (group, class) whose rows beyond a group by name are too many, slowly."""
    bound = duplicates.MAX_GROUP_FRACTION
    result = []
    for name in set(group.tolist()):
        for label in set(class_ids.tolist()):
            total = int((class_ids == label).sum())
            rows = np.flatnonzero((group == name) & (class_ids == label))
            own = max(np.bincount(named[rows]).tolist(), default=0)
            size = len(rows) - (own if own > bound * total else 0)
            if size >= duplicates.MIN_GUARDED_GROUP and size > bound * total:
                result.append((name, label))
    return result


@st.composite
def named_chains(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fingerprints in chains, groups by name across them and classes."""
    lengths = draw(st.lists(st.integers(1, 20), min_size=1, max_size=5))
    table = np.concatenate(
        [chain(length, draw(st.sampled_from([0, 8, 20]))) ^ random_fingerprints(1, seed)
         for seed, length in enumerate(lengths)]
    )  # fmt: skip
    names = draw(st.lists(st.integers(0, 12), min_size=len(table), max_size=len(table)))
    labels = draw(st.lists(st.integers(0, 2), min_size=len(table), max_size=len(table)))
    return table, smallest_rows(names), np.array(labels, np.int32)


@given(made=named_chains())
@settings(max_examples=60, deadline=None)
def test_near_duplicates_never_chain_groups_by_name_beyond_the_bound(
    made: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    table, named, class_ids = made
    near = duplicates.near_groups(table, class_ids, named=named).group
    group = duplicates.merge(near, named)
    assert beyond_the_bound(group, named, class_ids) == []
    # Groups by name are whole, and no link was made up.
    assert np.array_equal(group[named], group)
    free = duplicates.near_groups(table, class_ids, max_group_fraction=1).group
    assert np.array_equal(free[near], free)


@given(made=named_chains())
@settings(max_examples=40, deadline=None)
def test_groups_by_name_of_single_pictures_change_nothing(
    made: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    table, _, class_ids = made
    alone = duplicates.near_groups(table, class_ids)
    named = duplicates.near_groups(table, class_ids, named=np.arange(len(table)))
    assert named.group.tolist() == alone.group.tolist()
    assert named.tightened == alone.tightened


def test_links_between_groups_by_name_are_dropped_where_they_would_join_a_third_of_a_class() -> (
    None
):
    pairs = random_fingerprints(3)
    table = np.concatenate([random_fingerprints(54, 1), pairs, flipped(pairs, 30)])
    # Six tracks of ten; one picture of each of three is nearly one of another three.
    named = smallest_rows([*(row // 9 for row in range(54)), *range(6)])
    class_ids = np.zeros(60, np.int32)
    found = duplicates.near_groups(table, class_ids, named=named)
    assert np.array_equal(duplicates.merge(found.group, named), named)
    assert [cut.max_distance for cut in found.tightened] == [25]


def test_a_huge_group_by_name_is_respected_and_keeps_its_near_duplicates() -> None:
    table = np.concatenate([random_fingerprints(40), flipped(random_fingerprints(1), 30)])
    named = smallest_rows([0] * 30 + list(range(1, 12)))
    found = duplicates.near_groups(table, np.zeros(41, np.int32), named=named)
    assert found.tightened == ()
    assert np.bincount(duplicates.merge(found.group, named)).max() == 31


def test_the_class_whose_links_join_is_cut_and_not_the_one_that_is_crowded() -> None:
    """Tracks 0 and 1 are a fifth of class 0 each, and pictures of class 1 link them."""
    pair = random_fingerprints(1)
    table = np.concatenate([random_fingerprints(50, 1), pair, flipped(pair, 30)])
    named = smallest_rows([*([0] * 10), *([1] * 10), *range(2, 32), 0, 1])
    class_ids = np.repeat([0, 1], [50, 2]).astype(np.int32)
    found = duplicates.near_groups(table, class_ids, named=named)
    assert [cut.class_id for cut in found.tightened] == [1]


def test_a_hundred_thousand_blank_pictures_are_one_comparison() -> None:
    table = np.concatenate([np.zeros((100_000, 4), np.uint64), random_fingerprints(500)])
    distinct = np.unique(table, axis=0)
    assert len(distinct) == 501
    group = duplicates.near_groups(
        table, np.zeros(len(table), np.int32), max_group_fraction=1
    ).group
    assert np.all(group[:100_000] == 0)
    assert np.all(group[100_000:] == np.arange(100_000, 100_500))


def test_a_crowded_bucket_is_compared_in_bounded_steps() -> None:
    # 3,000 pictures that differ in up to 3 of the same 40 bits: a cloud, not a chain.
    rng = np.random.default_rng(0)
    cloud = np.repeat(random_fingerprints(1), 3_000, axis=0)
    for row in cloud:
        for bit in rng.integers(0, 40, 3).tolist():
            row[1] ^= np.uint64(1 << bit)
    cloud = np.unique(cloud, axis=0)
    assert len(cloud) > 4 * banding.MAX_STEPS
    left, _, _ = banding.near_pairs(cloud, 6)
    tables = 7 + 4 * 84  # more than the largest number of masks for 6 bits
    assert len(left) <= len(cloud) * banding.MAX_STEPS * tables
    group = duplicates.near_groups(cloud, np.zeros(len(cloud), np.int32), 6, 1.0).group
    assert group.tolist() == [0] * len(cloud)


def test_faint_pictures_must_agree_in_what_little_they_show() -> None:
    faint = np.zeros((4, 4), np.uint64)
    faint[:, 1] = [0b1111_0000_0000, 0b0000_1111_0000, 0b0000_1111_0000, 0]
    found = duplicates.near_groups(faint, np.zeros(4, np.int32))
    assert found.group.tolist() == [0, 1, 1, 3]


def test_no_pictures_make_no_groups() -> None:
    found = duplicates.near_groups(np.zeros((0, 4), np.uint64), np.zeros(0, np.int32))
    assert found.group.tolist() == []


@pytest.mark.parametrize("distance", [-1, 65])
def test_a_distance_beyond_a_quarter_of_the_bits_is_refused(distance: int) -> None:
    with pytest.raises(ValueError, match=f"0 to 64 bits, not {distance}"):
        duplicates.near_groups(random_fingerprints(3), np.zeros(3, np.int32), distance)
