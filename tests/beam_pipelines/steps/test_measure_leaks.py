from __future__ import annotations

import dataclasses
import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from beam_pipelines.cache import facts_table, storage, thumbnails
from beam_pipelines.cache.layout import Layout
from beam_pipelines.planning import kin, kin_tasks
from beam_pipelines.planning.plan import Plan, make_plan
from beam_pipelines.similarity.leak_meter import LeakMeter, total_of_splits
from beam_pipelines.steps.measure_leaks import measure_leaks
from tests.support.bakes import image_facts
from tests.support.pictures.thumbnails import random_thumbnails
from tfrecords.images.decode_pool import Watch


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
    parts = [measure_leaks(task, Watch()) for task in kin_tasks.leak_tasks(plan, layout)]
    return total_of_splits(list(itertools.chain(*reversed(parts))), plan.config.split_names)


def test_meters_of_a_plan_name_files(track_plan: tuple[Plan, Layout]) -> None:
    of_splits = meters(*track_plan)
    assert [meter.split for meter in of_splits] == ["validation", "test"]
    rows = {row["key"]: row for row in track_plan[0].sources.to_pylist()}
    for meter in of_splits:
        assert meter.pictures == meter.near == meter.histogram[0] == 18
        assert round(meter.random_near) == 18 and meter.train_share == 1 and not meter.sampled
        assert sum(meter.train_histogram) == 18
        assert meter.pairs
        for pair in meter.pairs:
            assert rows[pair.held_out]["split"] == meter.split
            assert rows[pair.train]["split"] == "train"
            assert pair.held_out[:-1] == pair.train[:-1] and pair.distance == 0
    assert "100.0% of 18 validation pictures are suspiciously close" in of_splits[0].note()


def test_parts_of_a_set_say_what_the_whole_does(
    track_plan: tuple[Plan, Layout], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, layout = track_plan
    (whole,) = kin_tasks.leak_tasks(plan, layout)
    assert len(whole.keys) == 180
    expected = meters(plan, layout)
    monkeypatch.setattr(kin_tasks, "_LEAST_LEAK_PICTURES", 1)
    several = list(kin_tasks.leak_tasks(plan, layout))
    assert [sorted({key[0] for key in task.keys}) for task in several] == [["a"], ["b"], ["c"]]
    assert {task.totals for task in several} == {whole.totals}
    assert meters(plan, layout) == expected


def test_of_a_large_set_whole_packs_are_measured(
    track_plan: tuple[Plan, Layout], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kin, "MAX_PICTURES", 100)
    (task,) = kin_tasks.leak_tasks(*track_plan)
    assert [os.path.basename(pack) for pack in task.pictures.packs] == ["0-of-4", "1-of-4"]
    assert {int(key[-3:]) % 4 for key in task.keys} == {0, 1}
    assert len(task.keys) == 90 and task.sampled
    assert all(meter.sampled for meter in meters(*track_plan))


def test_without_a_held_out_split_there_is_nothing_to_measure(
    track_plan: tuple[Plan, Layout],
) -> None:
    plan, layout = track_plan
    config = dataclasses.replace(plan.config, splits=(("train", 1.0),))
    alone = make_plan(plan.facts, config)
    assert list(kin_tasks.leak_tasks(alone, layout)) == []
    assert total_of_splits([], config.split_names) == ()
