from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from beam_pipelines.planning import split
from beam_pipelines.similarity import appearance, leakage
from beam_pipelines.similarity.leak_meter import EDGES, NEAR, LeakMeter
from tests.support.datasets import fakes
from tests.support.pictures.thumbnails import random_thumbnails, variants
from tfrecords.images import fingerprints
from tfrecords.sharding import stable_hash

SPLITS, FRACTIONS = ("train", "validation", "test"), (0.8, 0.1, 0.1)
CLASSES, OBJECTS, FRAMES = 3, 16, 25


def track(label: int, number: int) -> list[np.ndarray]:
    """Frames of one object: the camera shakes by a hundredth of the picture, light drifts."""
    rng = np.random.default_rng(stable_hash("track", label, number))
    scene = Image.blend(
        fakes.picture(f"class {label}", 96, 96), fakes.picture(f"{label}/{number}", 96, 96), 0.7
    )
    frames, place, light = [], rng.uniform(0.1, 0.2, 2), 1.0
    for _ in range(FRAMES):
        place = np.clip(place + rng.normal(0, 0.01, 2), 0, 0.3)
        light = float(np.clip(light + rng.normal(0, 0.05), 0.7, 1.3))
        box = (*(place * 96), *((place + 0.7) * 96))
        frame = np.asarray(scene.resize((64, 64), Image.Resampling.BILINEAR, box=box), float)
        lit = (255 * (frame / 255) ** light).astype(np.uint8)
        frames.append(fingerprints.thumbnail(Image.fromarray(lit)))
    return frames


@pytest.fixture(scope="module")
def tracks() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thumbnails, class and true track of every frame."""
    frames = [f for c in range(CLASSES) for o in range(OBJECTS) for f in track(c, o)]
    rows = np.arange(len(frames))
    class_ids = (rows // (OBJECTS * FRAMES)).astype(np.int32)
    return np.stack(frames), class_ids, rows // FRAMES * FRAMES


def measure(
    thumbnails: np.ndarray,
    class_ids: np.ndarray,
    split_index: np.ndarray,
    held_out: str = "validation",
) -> LeakMeter:
    """Measures one held-out split of pictures that are all in memory; keys are row numbers."""
    keys = [str(row) for row in range(len(class_ids))]
    meters = leakage.measure(thumbnails.__getitem__, keys, class_ids, split_index, SPLITS)
    return {meter.split: meter for meter in meters}[held_out]


def median_of(histogram: Sequence[int]) -> float:
    """The median distance, to the width of a bin."""
    return float(np.median(np.repeat(EDGES[:-1], histogram)))


def seeded_order(count: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 2**64, count, np.uint64)


def share_with_their_track_in_train(true_track: np.ndarray, split_index: np.ndarray) -> float:
    return float(np.isin(true_track[split_index == 1], true_track[split_index == 0]).mean())


def test_the_meter_shows_what_a_random_split_of_tracks_hides(
    tracks: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    thumbnails, class_ids, true_track = tracks
    every = np.arange(len(class_ids))
    groupings = {
        "random": every,
        "appearance": appearance.cluster(thumbnails.__getitem__, class_ids),
        "track": true_track,
    }
    meters: dict[str, LeakMeter] = {}
    divided: dict[str, float] = {}
    for name, group in groupings.items():
        split_index = split.assign(group, class_ids, seeded_order(len(group)), FRACTIONS)
        meters[name] = measure(thumbnails, class_ids, split_index)
        divided[name] = share_with_their_track_in_train(true_track, split_index)
    assert divided["random"] > 0.95
    assert divided["appearance"] < 0.2
    assert divided["track"] == 0
    assert meters["random"].share > 0.9
    assert meters["appearance"].share < 0.2
    assert meters["track"].share < 0.1
    # Whatever the split, the meter says what a random one would have given.
    for meter in meters.values():
        assert abs(meter.random_share - meters["random"].share) < 0.1
        assert meter.train_share > 0.9
    of_tracks = meters["track"]
    assert median_of(of_tracks.histogram) > 2 * median_of(of_tracks.train_histogram)


def test_independent_pictures_do_not_leak() -> None:
    thumbnails = random_thumbnails(900)
    class_ids = (np.arange(900) % 3).astype(np.int32)
    split_index = split.assign(np.arange(900), class_ids, seeded_order(900), FRACTIONS)
    meter = measure(thumbnails, class_ids, split_index, held_out="test")
    assert meter.pictures == meter.train_pictures == 90
    assert meter.near == meter.train_near == meter.random_near == 0
    assert median_of(meter.histogram) == pytest.approx(median_of(meter.train_histogram), abs=0.051)


def test_the_nearest_pairs_lead_to_the_pictures() -> None:
    thumbnails = random_thumbnails(60)
    split_index = np.repeat([0, 1], [50, 10]).astype(np.int8)
    thumbnails[53] = thumbnails[7]
    thumbnails[55] = thumbnails[7]
    thumbnails[58] = variants(thumbnails[20:21], 1)[0]
    meter = measure(thumbnails, np.zeros(60, np.int32), split_index)
    pairs = meter.pairs
    assert [(pair.held_out, pair.train) for pair in pairs[:2]] == [("53", "7"), ("58", "20")]
    assert len(pairs) == len({pair.train for pair in pairs}) > 4
    assert pairs[0].distance == 0 < pairs[1].distance < NEAR < pairs[2].distance
    assert (meter.pictures, meter.near) == (10, 3)
    # 53, 55 and 7 have two near others each, 58 has one; train's share is 5/6.
    assert meter.random_near == pytest.approx(2 * (1 - (1 / 6) ** 2) + 5 / 6)


def test_other_classes_do_not_count() -> None:
    thumbnails = random_thumbnails(40)
    thumbnails[30:] = thumbnails[:10]
    class_ids = np.repeat([0, 1], [30, 10]).astype(np.int32)
    split_index = np.zeros(40, np.int8)
    split_index[[5, 35]] = 1
    assert measure(thumbnails, class_ids, split_index).near == 0


def test_large_sets_are_sampled_the_same_way_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage, "MAX_QUERIES", 40)
    monkeypatch.setattr(leakage, "MAX_REFERENCES", 100)
    thumbnails = random_thumbnails(600)
    class_ids = (np.arange(600) % 2).astype(np.int32)
    split_index = (np.arange(600) // 2 % 3).astype(np.int8)
    first, second = (measure(thumbnails, class_ids, split_index) for _ in range(2))
    assert 20 <= first.pictures <= 40
    assert first == second
    assert first.pairs
    assert all(split_index[int(pair.held_out)] == 1 for pair in first.pairs)
    assert all(split_index[int(pair.train)] == 0 for pair in first.pairs)


def test_a_sample_of_a_huge_class_may_have_no_train_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leakage, "MAX_REFERENCES", 10)
    sampled = appearance.sample(np.arange(200), 10)
    split_index = np.ones(200, np.int8)
    split_index[np.setdiff1d(np.arange(200), sampled)[0]] = 0
    meter = measure(random_thumbnails(200), np.zeros(200, np.int32), split_index)
    assert meter.pictures == 0


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_nothing_to_compare(rows: int) -> None:
    columns = random_thumbnails(rows), np.zeros(rows, np.int32), np.zeros(rows, np.int8)
    meter = measure(*columns)
    assert (meter.pictures, meter.near, meter.share, meter.random_share) == (0, 0, 0, 0)
    assert meter.pairs == ()


def test_one_train_picture_is_enough() -> None:
    thumbnails = random_thumbnails(2)
    meter = measure(thumbnails, np.zeros(2, np.int32), np.array([0, 1], np.int8))
    assert (meter.pictures, meter.near, meter.train_near) == (1, 0, 0)


def test_the_expected_reading_is_that_of_a_random_split(
    tracks: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    thumbnails, class_ids, true_track = tracks
    every = np.arange(len(class_ids))
    expected = leakage.expected_share(thumbnails.__getitem__, class_ids, every, FRACTIONS[0])
    dealt = split.assign(every, class_ids, seeded_order(len(class_ids)), FRACTIONS)
    assert expected == pytest.approx(measure(thumbnails, class_ids, dealt).share, abs=0.1)
    # What is in one group is never divided, and so gives nothing away.
    kept = leakage.expected_share(thumbnails.__getitem__, class_ids, true_track, FRACTIONS[0])
    assert kept < 0.1


def test_unrelated_pictures_are_expected_to_leak_nothing() -> None:
    thumbnails, class_ids = random_thumbnails(300), np.repeat([0, 1], 150).astype(np.int32)
    found = leakage.expected_share(thumbnails.__getitem__, class_ids, np.arange(300), 0.8)
    assert found == 0
