"""The benchmark of the ends of epochs: it reads every batch, and counts what takes long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.train import epoch_ends
from tests.support.datasets import fakes
from trainer.data import selection
from trainer.data.stream import steps_per_epoch


def test_every_batch_of_all_epochs_is_read(tmp_path: Path) -> None:
    manifest = fakes.write_dataset(tmp_path)
    source = selection.open_split(manifest, tmp_path, "train", selection.select(manifest))
    steps = []
    reading = epoch_ends.read(source, 3, lambda: steps.append(1))
    # The first batch, which starts everything, is not timed.
    assert len(steps) == 3 * steps_per_epoch(source, epoch_ends.BATCH) - 1
    assert reading.stops == () and reading.seconds > 0


def test_a_batch_that_takes_over_a_second_is_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: 2.0 * next(clock))
    manifest = fakes.write_dataset(tmp_path)
    source = selection.open_split(manifest, tmp_path, "train", selection.select(manifest))
    reading = epoch_ends.read(source, 2, lambda: None)
    assert reading.stops and all(stop == 2.0 for stop in reading.stops)
