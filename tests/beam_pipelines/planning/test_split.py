from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.planning import split
from tfrecords.schema import TRAIN_INDEX
from tfrecords.sharding import stable_hash

FRACTIONS = (0.8, 0.1, 0.1)
fraction_lists = (
    st.lists(st.integers(0, 9), min_size=1, max_size=5)
    .filter(any)
    .map(lambda parts: [part / sum(parts) for part in parts])
)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, (0, 0, 0)),
        (1, (1, 0, 0)),
        (2, (2, 0, 0)),
        (3, (3, 0, 0)),
        (4, (3, 1, 0)),
        (5, (4, 1, 0)),
        (6, (5, 1, 0)),
        (7, (5, 1, 1)),
        (8, (6, 1, 1)),
        (10, (8, 1, 1)),
        (2_003, (1_603, 200, 200)),
        (50_000_005, (40_000_004, 5_000_001, 5_000_000)),
    ],
)
def test_quotas(count: int, expected: tuple[int, ...]) -> None:
    assert split.quotas(count, FRACTIONS) == expected


def test_train_gets_one_even_where_its_fraction_is_small() -> None:
    assert split.quotas(1, (0.1, 0.9)) == (1, 0)
    assert split.quotas(3, (0.1, 0.6, 0.3)) == (1, 1, 1)


@given(count=st.integers(0, 10**8), fractions=fraction_lists)
def test_quotas_are_within_one_of_the_fractions(count: int, fractions: list[float]) -> None:
    result = split.quotas(count, fractions)
    assert sum(result) == count
    assert result[0] >= min(count, 1)
    slack = 1 if result[0] > 1 else 2  # Train's first picture may be taken from another.
    assert all(abs(q - count * f) < slack + 1e-6 for q, f in zip(result, fractions, strict=True))


@pytest.mark.parametrize("fractions", [(), (0.5, 0.4), (1.1, -0.1), (1 / 20,) * 20])
def test_fractions_that_make_no_whole_are_refused(fractions: Sequence[float]) -> None:
    with pytest.raises(ValueError, match="add up to 1"):
        split.quotas(3, fractions)
    with pytest.raises(ValueError, match="add up to 1"):
        split.assign(np.zeros(0, int), np.zeros(0, np.int32), np.zeros(0, np.uint64), fractions)


def as_smallest_rows(labels: Sequence[int] | np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(np.asarray(labels), return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def random_order(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(stable_hash("order", seed)).integers(0, 2**64, count, np.uint64)


def table(result: np.ndarray, class_ids: np.ndarray, splits: int = 3) -> np.ndarray:
    counts = np.zeros((class_ids.max() + 1, splits), np.int64)
    np.add.at(counts, (class_ids, result), 1)
    return counts


@st.composite
def columns(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group, class and order of up to 80 rows; groups of several rows may span classes."""
    count = draw(st.integers(1, 80))
    class_ids = draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    span = draw(st.integers(1, 100))
    labels = draw(st.lists(st.integers(0, span), min_size=count, max_size=count))
    seed = draw(st.integers(0, 5))
    return (as_smallest_rows(labels), np.array(class_ids, np.int32), random_order(count, seed))


def check_assignment(
    result: np.ndarray, group: np.ndarray, class_ids: np.ndarray, fractions: Sequence[float]
) -> None:
    """Groups whole, every class in train, quotas exact wherever the groups leave room."""
    assert result.dtype == np.int8
    assert result.min() >= 0
    assert len(split.divided_groups(group, result)) == 0
    counts = table(result, class_ids, len(fractions))
    present = counts.sum(axis=1) > 0
    assert np.all(counts[present, 0] > 0)
    is_grouped = np.bincount(group)[group] > 1
    grouped = np.zeros_like(counts)
    np.add.at(grouped, (class_ids[is_grouped], result[is_grouped]), 1)
    for label, row in enumerate(counts):
        wanted = split.quotas(int(row.sum()), fractions)
        if np.all(grouped[label] <= wanted):
            assert tuple(row) == wanted


@given(data=columns(), fractions=fraction_lists)
@settings(max_examples=300)
def test_assignment(
    data: tuple[np.ndarray, np.ndarray, np.ndarray], fractions: list[float]
) -> None:
    group, class_ids, order = data
    result = split.assign(group, class_ids, order, fractions)
    check_assignment(result, group, class_ids, fractions)


@given(counts=st.lists(st.integers(0, 60), min_size=1, max_size=6).filter(any))
def test_single_pictures_meet_the_quotas_exactly(counts: list[int]) -> None:
    class_ids = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    result = split.assign(
        np.arange(len(class_ids)), class_ids, random_order(len(class_ids)), FRACTIONS
    )
    got = table(result, class_ids)
    assert got.tolist() == [list(split.quotas(n, FRACTIONS)) for n in counts[: len(got)]]


@given(
    sizes=st.lists(st.integers(2, 8), max_size=30), spare=st.integers(0, 9), seed=st.integers(0, 9)
)
def test_quotas_are_exact_when_singles_can_make_up_for_the_largest_group(
    sizes: list[int], spare: int, seed: int
) -> None:
    singles = 10 * (max(sizes, default=0) + 1) + spare
    group = as_smallest_rows(np.repeat(np.arange(len(sizes) + singles), [*sizes, *[1] * singles]))
    class_ids = np.zeros(len(group), np.int32)
    result = split.assign(group, class_ids, random_order(len(group), seed), FRACTIONS)
    assert tuple(table(result, class_ids)[0]) == split.quotas(len(group), FRACTIONS)


@given(tracks=st.integers(1, 40), frames=st.integers(2, 30), seed=st.integers(0, 9))
def test_tracks_of_one_length_are_dealt_by_largest_remainder(
    tracks: int, frames: int, seed: int
) -> None:
    group = np.arange(tracks * frames) // frames * frames
    class_ids = np.zeros(len(group), np.int32)
    result = split.assign(group, class_ids, random_order(len(group), seed), FRACTIONS)
    wanted = [frames * quota for quota in split.quotas(tracks, FRACTIONS)]
    assert table(result, class_ids)[0].tolist() == wanted


def test_a_group_that_holds_a_class_goes_to_train() -> None:
    # Class 1 lies whole in groups that class 0 dominates, wherever their hashes put them.
    group = as_smallest_rows(np.repeat(np.arange(50), 4))
    class_ids = np.zeros(200, np.int32)
    class_ids[8] = class_ids[9] = 1
    for seed in range(20):
        result = split.assign(group, class_ids, random_order(200, seed), FRACTIONS)
        assert result[8] == result[9] == TRAIN_INDEX


def test_a_split_given_by_hand_stays_and_its_groups_follow() -> None:
    group = as_smallest_rows([0, 0, 1, 1, 1, 2, 2, 3, 4, 5])
    fixed = np.array([2, -1, 0, -1, -1, 0, 1, -1, -1, -1], np.int8)
    result = split.assign(group, np.zeros(10, np.int32), random_order(10), FRACTIONS, fixed)
    assert np.array_equal(result[fixed >= 0], fixed[fixed >= 0])
    assert result[1] == 2
    assert result[3] == result[4] == 0
    assert split.divided_groups(group, result).tolist() == [5]


def test_validation_is_carved_out_beside_a_given_test_split() -> None:
    fixed = np.full(100, -1, np.int8)
    fixed[:20] = 2
    result = split.assign(
        np.arange(100), np.zeros(100, np.int32), random_order(100), FRACTIONS, fixed
    )
    assert np.bincount(result).tolist() == [71, 9, 20]


@given(data=columns(), fixed_seed=st.integers(0, 9))
def test_fixed_rows_never_move(
    data: tuple[np.ndarray, np.ndarray, np.ndarray], fixed_seed: int
) -> None:
    group, class_ids, order = data
    fixed = np.random.default_rng(fixed_seed).integers(-1, 3, len(group)).astype(np.int8)
    result = split.assign(group, class_ids, order, FRACTIONS, fixed)
    assert np.array_equal(result[fixed >= 0], fixed[fixed >= 0])
    assert result.min() >= 0
    free = np.flatnonzero(np.bincount(group, fixed >= 0, len(group))[group] == 0)
    assert len(split.divided_groups(group[free], result[free])) == 0


def test_a_fixed_split_beyond_the_fractions_is_refused() -> None:
    with pytest.raises(ValueError, match="fixed splits must be -1 to 2, not 0, 3"):
        split.assign(
            np.arange(2), np.zeros(2, np.int32), random_order(2), FRACTIONS, np.array([0, 3])
        )


SHAPES = {
    "singles in classes of 3 to 2,000": ([3, 8, 20, 50, 120, 400, 2_000], 1, 1.0),
    "400 classes of 3 to 10": ([3, 5, 7, 10] * 100, 1, 1.0),
    "a third in pairs and triples": ([40, 90, 300, 1_500], 3, 0.33),
    "tracks of up to 25 frames, nothing else": ([300, 800, 2_500], 25, 0.0),
    "tracks and singles": ([300, 800, 2_500], 25, 0.5),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_one_percent_of_new_pictures_moves_under_two_percent_of_the_old(shape: str) -> None:
    counts, longest, singles_share = SHAPES[shape]
    moved, total = 0, 0
    for seed in range(8):
        before, after, is_old = _grown(counts, longest, singles_share, seed)
        moved += int((before != after[is_old]).sum())
        total += len(before)
    assert 0 < moved / total < 0.02


def _grown(
    counts: Sequence[int], longest: int, singles_share: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Splits a set without and with 1% more rows, which join groups or found new ones."""
    rng = np.random.default_rng(stable_hash("grown", seed))
    class_ids = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    count = len(class_ids)
    sizes = rng.integers(min(2, longest), longest + 1, count)
    sizes[rng.random(count) < singles_share] = 1
    labels = np.repeat(np.arange(count), sizes)[:count]
    labels = labels * len(counts) + class_ids  # Groups end where their class does.
    is_old = np.ones(count, bool)
    is_old[rng.choice(count, max(1, count // 100), replace=False)] = False
    order = random_order(count, seed)
    after = split.assign(as_smallest_rows(labels), class_ids, order, FRACTIONS)
    before = split.assign(
        as_smallest_rows(labels[is_old]), class_ids[is_old], order[is_old], FRACTIONS
    )
    return before, after, is_old


@pytest.mark.parametrize("classes", [2, 3, 4, 7])
@pytest.mark.parametrize("groups", [2, 3, 5, 6])
def test_no_split_is_empty_where_each_class_is_a_few_groups(classes: int, groups: int) -> None:
    """As of 5 patients with 8 pictures each: in each class alone, the test split gets none."""
    size = 8
    rows = classes * groups * size
    group = np.arange(rows) // size * size
    class_ids = (np.arange(rows) // (groups * size)).astype(np.int32)
    order = np.array([stable_hash("carry", row) for row in range(rows)], np.uint64)
    found = split.assign(group, class_ids, order, FRACTIONS)
    assert not len(split.divided_groups(group, found))
    counts = np.bincount(found, minlength=3)
    assert counts[0] > counts[1:].max() and (counts[1:].min() > 0 or classes * groups < 7)
    assert set(class_ids[found == 0].tolist()) == set(range(classes))
