from __future__ import annotations

import dataclasses
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beam_pipelines.cache import facts_table, storage, thumbnails
from beam_pipelines.planning import make_tasks, split
from beam_pipelines.planning.make_tasks import Layout
from beam_pipelines.planning.plan import Plan, make_plan
from beam_pipelines.similarity import appearance, leakage
from beam_pipelines.similarity.leakage import LeakMeter, LeakReport
from beam_pipelines.workers.pool import Watch
from tests.support import fakes, image_facts
from tests.support.thumbnails import random_thumbnails, variants
from tfrecords.images import fingerprints
from tfrecords.sharding import stable_hash

FRACTIONS = (0.8, 0.1, 0.1)
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
    held_out: int = 1,
    max_pairs: int = 24,
) -> LeakReport:
    """Measures one held-out split of pictures that are all in memory."""
    (report,) = leakage.measure(
        thumbnails.__getitem__, class_ids, split_index, [held_out], max_pairs
    )
    return report


def seeded_order(count: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 2**64, count, np.uint64)


def share_with_a_mate_in_train(true_track: np.ndarray, split_index: np.ndarray) -> float:
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
    reports: dict[str, LeakReport] = {}
    mates: dict[str, float] = {}
    for name, group in groupings.items():
        split_index = split.assign(group, class_ids, seeded_order(len(group)), FRACTIONS)
        reports[name] = measure(thumbnails, class_ids, split_index)
        mates[name] = share_with_a_mate_in_train(true_track, split_index)
    assert mates["random"] > 0.95
    assert mates["appearance"] < 0.2
    assert mates["track"] == 0
    assert reports["random"].share > 0.9
    assert reports["appearance"].share < 0.2
    assert reports["track"].share < 0.1
    # Whatever the split, the report says what a random one would have given.
    for report in reports.values():
        assert abs(report.random_share - reports["random"].share) < 0.1
        assert report.train_share > 0.9
    assert reports["track"].median_distance > 2 * reports["track"].train_median_distance


def test_independent_pictures_do_not_leak() -> None:
    thumbnails = random_thumbnails(900)
    class_ids = (np.arange(900) % 3).astype(np.int32)
    split_index = split.assign(np.arange(900), class_ids, seeded_order(900), FRACTIONS)
    report = measure(thumbnails, class_ids, split_index, held_out=2)
    assert report.pictures == 90
    assert report.near == report.train_near == 0
    assert report.train_pictures == 90
    assert report.random_near == 0
    assert report.median_distance == pytest.approx(report.train_median_distance, abs=0.05)


def test_the_worst_pairs_lead_to_the_pictures() -> None:
    thumbnails = random_thumbnails(60)
    split_index = np.repeat([0, 1], [50, 10]).astype(np.int8)
    thumbnails[53] = thumbnails[7]
    thumbnails[55] = thumbnails[7]
    thumbnails[58] = variants(thumbnails[20:21], 1)[0]
    report = measure(thumbnails, np.zeros(60, np.int32), split_index, max_pairs=4)
    pairs = list(zip(report.query.tolist(), report.match.tolist(), strict=True))
    assert pairs[:2] == [(53, 7), (58, 20)]
    assert len(pairs) == len({match for _, match in pairs}) == 4
    assert report.distance[0] == 0 < report.distance[1] < leakage.NEAR < report.distance[2]
    assert (report.pictures, report.near) == (10, 3)
    # 53, 55 and 7 have two near others each, 58 has one; train's share is 5/6.
    assert report.random_near == pytest.approx(2 * (1 - (1 / 6) ** 2) + 5 / 6)


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
    assert first.query.tolist() == second.query.tolist()
    assert first.distance.tolist() == second.distance.tolist()
    assert np.all(split_index[first.query] == 1)
    assert np.all(split_index[first.match] == 0)


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_nothing_to_compare(rows: int) -> None:
    columns = random_thumbnails(rows), np.zeros(rows, np.int32), np.zeros(rows, np.int8)
    report = measure(*columns)
    assert (report.pictures, report.near, report.share, report.random_share) == (0, 0, 0, 0)
    assert len(report.query) == len(report.match) == len(report.distance) == 0


def test_one_train_picture_is_enough() -> None:
    thumbnails = random_thumbnails(2)
    report = measure(thumbnails, np.zeros(2, np.int32), np.array([0, 1], np.int8))
    assert (report.pictures, report.near, report.train_near) == (1, 0, 0)


def test_train_is_not_held_out() -> None:
    with pytest.raises(ValueError, match="another than train"):
        measure(random_thumbnails(1), np.zeros(1, np.int32), np.zeros(1, np.int8), held_out=0)


@pytest.fixture
def track_plan(tmp_path: Path) -> tuple[Plan, Layout]:
    """A plan of 3 classes of 60 pictures, each in six tracks of ten equal frames."""
    rows = [
        dataclasses.replace(
            image_facts.picture(f"{name}/{i:03d}"), pack=f"{i % 4}-of-4", index=label * 15 + i // 4
        )
        for label, name in enumerate(("apu", "bart", "carl"))
        for i in range(60)
    ]
    facts = facts_table.facts_table([facts_table.facts_block(rows)])
    config = dataclasses.replace(image_facts.CONFIG, output_dir=str(tmp_path))
    layout = Layout.of(config)
    storage.make_directory(layout.canonical_dir)
    scenes = random_thumbnails(18)[np.arange(180) // 10]
    for pack in range(4):
        small = [scenes[i].tobytes() for i, row in enumerate(rows) if row.pack == f"{pack}-of-4"]
        thumbnails.write(storage.join(layout.canonical_dir, f"{pack}-of-4"), small)
    return make_plan(facts, config), layout


def meters(plan: Plan, layout: Layout) -> tuple[LeakMeter, ...]:
    """Measures as workers do, in an order that no runner promises."""
    parts = [leakage.measure_leaks(task, Watch()) for task in make_tasks.leak_tasks(plan, layout)]
    return leakage.meters(itertools.chain(*reversed(parts)), plan.config.split_names)


def test_meters_of_a_plan_name_files(track_plan: tuple[Plan, Layout]) -> None:
    found = meters(*track_plan)
    assert [meter.split for meter in found] == ["validation", "test"]
    rows = {row["key"]: row for row in track_plan[0].sources.to_pylist()}
    for meter in found:
        assert meter.pictures == meter.near == meter.histogram[0] == 18
        assert meter.random_near == 18 and meter.train_near == 1 and not meter.sampled
        assert sum(meter.train_histogram) == 18
        assert meter.pairs
        for pair in meter.pairs:
            assert rows[pair.held_out]["split"] == meter.split
            assert rows[pair.train]["split"] == "train"
            assert pair.held_out[:-1] == pair.train[:-1] and pair.distance == 0
    assert "100.0% of 18 validation pictures are suspiciously near" in found[0].note


def test_parts_of_a_set_say_what_the_whole_does(
    track_plan: tuple[Plan, Layout], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, layout = track_plan
    (whole,) = make_tasks.leak_tasks(plan, layout)
    assert len(whole.keys) == 180
    expected = meters(plan, layout)
    monkeypatch.setattr(make_tasks, "_LEAST_LEAK_PICTURES", 1)
    several = list(make_tasks.leak_tasks(plan, layout))
    assert [sorted({key[0] for key in task.keys}) for task in several] == [["a"], ["b"], ["c"]]
    assert {task.totals for task in several} == {whole.totals}
    assert meters(plan, layout) == expected


def test_a_meter_survives_json(track_plan: tuple[Plan, Layout]) -> None:
    for meter in meters(*track_plan):
        fields = json.loads(json.dumps(dataclasses.asdict(meter)))
        assert LeakMeter.from_fields(fields) == meter


def test_of_a_large_set_whole_packs_are_measured(
    track_plan: tuple[Plan, Layout], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_tasks, "MAX_LEAK_PICTURES", 100)
    (task,) = make_tasks.leak_tasks(*track_plan)
    assert [os.path.basename(pack) for pack in task.packs] == ["0-of-4", "1-of-4"]
    assert {int(key[-3:]) % 4 for key in task.keys} == {0, 1}
    assert len(task.keys) == 90 and task.sampled
    assert all(meter.sampled for meter in meters(*track_plan))


def test_without_a_held_out_split_there_is_nothing_to_measure(
    track_plan: tuple[Plan, Layout],
) -> None:
    plan, layout = track_plan
    config = dataclasses.replace(plan.config, splits=(("train", 1.0),))
    alone = make_plan(plan.facts, config)
    assert list(make_tasks.leak_tasks(alone, layout)) == []
    assert leakage.meters([], config.split_names) == ()
