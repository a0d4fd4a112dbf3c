from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.similarity import appearance, duplicates
from tests.support.pictures.thumbnails import random_thumbnails, variants


def test_light_and_contrast_do_not_count_for_layout() -> None:
    thumbnail = (random_thumbnails(1) // 2 + 40).astype(np.uint8)
    brighter = (thumbnail + 60).astype(np.uint8)
    flatter = (thumbnail // 2 + 50).astype(np.uint8)
    layout = appearance.features(np.concatenate([thumbnail, brighter, flatter]))[:, :768]
    assert layout[0].tolist() == layout[1].tolist()
    assert np.abs(layout[0] - layout[2]).max() <= 2


def test_grain_of_a_flat_picture_is_not_blown_up() -> None:
    flat = np.full((2, 16, 16, 3), 200, np.uint8)
    flat[1, ::2] += 1
    layout = appearance.features(flat)[:, :768]
    assert np.abs(layout).max() <= 8


@given(seed=st.integers(0, 50))
@settings(max_examples=20)
def test_squared_distances_are_exact(seed: int) -> None:
    table = appearance.features(random_thumbnails(12, seed, grain=16))
    wide = table.astype(np.int64)
    expected = np.square(wide[:, None] - wide[None]).sum(axis=2)
    assert appearance.squared_distances(table, table).tolist() == expected.tolist()


def test_clusters_gather_variants_and_stay_inside_a_class() -> None:
    # Both classes show the same 20 objects, 30 times each.
    thumbnails = np.tile(variants(random_thumbnails(20), 30), (2, 1, 1, 1))
    class_ids = np.repeat([0, 1], 600).astype(np.int32)
    shuffled = np.random.default_rng(0).permutation(1_200)
    group = appearance.cluster(
        thumbnails[shuffled].__getitem__, class_ids[shuffled], target_size=30
    )
    truth = shuffled // 30
    first_of = {}
    for row, label in enumerate(truth.tolist()):
        first_of.setdefault(label, row)
    assert group.tolist() == [first_of[label] for label in truth.tolist()]


def test_large_classes_are_halved_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appearance, "MAX_WARD", 200)
    thumbnails = variants(random_thumbnails(60), 20)
    group = appearance.cluster(thumbnails.__getitem__, np.zeros(1_200, np.int32), target_size=20)
    sizes = np.bincount(group)[np.unique(group)]
    assert 50 <= len(sizes) <= 70
    assert sizes.max() <= 200
    whole = sum(len(np.unique(group[i : i + 20])) == 1 for i in range(0, 1_200, 20))
    assert whole >= 50  # Of 60 objects, some are cut where a class is halved.


def test_ten_thousand_equal_pictures_are_halved_too() -> None:
    group = appearance.cluster(
        np.zeros((5_000, 16, 16, 3), np.uint8).__getitem__, np.zeros(5_000, np.int32)
    )
    sizes = np.bincount(group)[np.unique(group)]
    assert len(sizes) >= appearance.MIN_CLUSTERS
    assert sizes.sum() == 5_000


@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=5).filter(any))
@settings(max_examples=20)
def test_small_classes_get_enough_clusters_to_split(counts: list[int]) -> None:
    class_ids = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    group = appearance.cluster(random_thumbnails(len(class_ids)).__getitem__, class_ids)
    assert np.all(group <= np.arange(len(group)))
    assert np.all(group[group] == group)
    assert np.all(class_ids[group] == class_ids)
    for label, count in enumerate(counts):
        assert len(np.unique(group[class_ids == label])) >= min(count, appearance.MIN_CLUSTERS)


@pytest.mark.parametrize("frames", [3, 28])
def test_the_size_of_clusters_is_that_of_the_tracks(frames: int) -> None:
    thumbnails = variants(random_thumbnails(24), frames)
    rows = np.arange(len(thumbnails))
    group = appearance.cluster(thumbnails.__getitem__, np.zeros(len(rows), np.int32))
    assert group.tolist() == (rows // frames * frames).tolist()


def test_of_sizes_that_fit_alike_the_largest_is_taken() -> None:
    scores = np.zeros(len(appearance.SIZES))
    scores[[1, 2, 3]] = 10.0, 8.1, 7.9
    assert appearance.fitting_size(scores, np.array([2000, 30])) == appearance.SIZES[2]


def test_most_pictures_are_in_classes_of_enough_clusters_for_all_splits() -> None:
    scores = np.arange(len(appearance.SIZES)) + 1.0
    sizes = {
        largest: appearance.fitting_size(scores, np.array([largest, largest // 3, largest // 9]))
        for largest in (0, 9, 20, 39, 40, 139, 140, 499, 500, 10_000)
    }
    assert sizes == {
        0: 2,
        9: 2,
        20: 2,
        39: 3,
        40: 4,
        139: 10,
        140: 14,
        499: 40,
        500: 50,
        10_000: 50,
    }
    assert appearance.fitting_size(scores, np.array([], np.int64)) == appearance.SIZES[0]


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="1 picture or more, not 0"):
        appearance.cluster(random_thumbnails(1).__getitem__, np.zeros(1, np.int32), 0)


def test_groups_move_as_a_whole_and_never_chain_clusters() -> None:
    clusters = np.array([0, 0, 0, 3, 3, 3, 6])
    # 2 and 3 are near duplicates of different clusters; 5 and 6 too.
    group = np.array([0, 1, 2, 2, 4, 5, 5])
    kept = appearance.keep_whole(clusters, group)
    assert kept.tolist() == [0, 0, 0, 0, 4, 4, 4]


@settings(deadline=None)  # Other processes share the machine.
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=40))
def test_clusters_after_a_move_are_named_by_their_smallest_row(rows: list) -> None:
    clusters, group = (duplicates.merge(smallest(ids)) for ids in zip(*rows, strict=True))
    kept = appearance.keep_whole(clusters, group)
    for row in range(len(rows)):
        assert kept[row] == np.flatnonzero(kept == kept[row])[0]
        assert np.all(kept[group == group[row]] == kept[row])
    assert len(np.unique(kept)) <= len(np.unique(clusters))


def smallest(ids: tuple[int, ...]) -> np.ndarray:
    return np.array([ids.index(name) for name in ids])


def test_classes_are_loaded_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appearance, "_LOAD", 10)
    class_ids = np.array([4] * 4 + [0] * 25 + [2] * 6 + [6] * 3, np.int32)
    thumbnails, loads = random_thumbnails(len(class_ids)), []

    def load(rows: np.ndarray) -> np.ndarray:
        loads.append(len(rows))
        return thumbnails[rows]

    found = list(appearance.by_class(load, class_ids))
    # A class larger than the bound is alone; the others share a load up to the bound.
    assert loads == [25, 10, 3]
    assert [class_ids[rows].tolist() for rows, _, _ in found] == [
        [0] * 25,
        [2] * 6,
        [4] * 4,
        [6] * 3,
    ]
    for rows, some, small in found:
        assert some.tolist() == list(range(len(rows)))
        assert np.array_equal(small, thumbnails[rows])


def test_of_a_large_class_only_a_sample_is_loaded() -> None:
    class_ids = np.array([0] * 30 + [1] * 5, np.int32)
    thumbnails = random_thumbnails(len(class_ids))
    (rows, some, small), (_, others, _) = appearance.by_class(thumbnails.__getitem__, class_ids, 8)
    assert len(rows) == 30 and len(others) == 5
    assert some.tolist() == appearance.sample(np.arange(30), 8).tolist()
    assert np.array_equal(small, thumbnails[rows[some]])


def test_a_sweep_gives_every_distance_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appearance, "_QUERIES_AT_ONCE", 4)
    monkeypatch.setattr(appearance, "_REFERENCES_AT_ONCE", 3)
    thumbnails = random_thumbnails(11)
    query, references = np.array([3, 0, 7, 9, 10]), np.arange(1, 11)
    table = appearance.features(thumbnails)
    found = np.full((5, 10), -1.0)
    for asked, block, squared in appearance.sweep(thumbnails, query, references):
        found[asked, block] = squared
    assert np.array_equal(found, appearance.squared_distances(table[query], table[references]))
