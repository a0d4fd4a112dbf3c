from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from beam_pipelines.cache import storage, thumbnails
from beam_pipelines.cache.layout import Layout
from beam_pipelines.planning import kin_tasks
from beam_pipelines.similarity import leakage
from beam_pipelines.steps.measure_leaks import expect_readings
from tests.support.pictures.thumbnails import random_thumbnails
from tfrecords.images.decode_pool import Watch


@pytest.mark.parametrize("pictures_of_a_task", [1, 25, 1_000])
def test_what_tasks_expect_is_what_the_whole_is_expected_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures_of_a_task: int
) -> None:
    """Pictures of five classes lie in three packs; every other one is nearly the one before."""
    monkeypatch.setattr(kin_tasks, "_LEAST_LEAK_PICTURES", pictures_of_a_task)
    monkeypatch.setattr(kin_tasks, "_LEAK_TASKS", 100)
    layout = Layout(str(tmp_path), "c", "d")
    storage.make_directory(layout.canonical_dir)
    small = random_thumbnails(60)[np.arange(120) // 2]
    names = [f"{row % 3}-of-3" for row in range(120)]
    for pack in range(3):
        path = storage.join(layout.canonical_dir, f"{pack}-of-3")
        thumbnails.write(path, [each.tobytes() for each in small[pack::3]])
    facts = pa.table(
        {
            "pack": pa.array(names).dictionary_encode(),
            "index": pa.array(np.arange(120) // 3, pa.int32()),
        }
    )
    rows = np.arange(0, 120)[3:]
    label, group = (rows % 5).astype(np.int32), rows - rows % 7
    label[10:14] = label[10]
    whole = leakage.expected_share(lambda some: small[rows[some]], label, group, 0.8)
    tasks = list(kin_tasks.expect_tasks(facts, layout, rows, label, group, 0.8))
    assert len(tasks) == {1: 5, 25: 3, 1_000: 1}[pictures_of_a_task]
    assert sum(len(task.pictures) for task in tasks) == len(rows)
    parts = [expect_readings(task, Watch()) for task in reversed(tasks)]
    assert leakage.mean_reading(parts) == whole
    assert sum(map(len, parts)) == len(rows)
