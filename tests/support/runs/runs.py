"""Whole runs of a tiny network: how they are configured, called and compared."""

from __future__ import annotations

import csv
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import TrainConfig
from trainer.runs.checkpoints import Store


def config(data_dir: Path, run_dir: Path, **changes: Any) -> TrainConfig:
    start = TrainConfig(
        data_dir=str(data_dir),
        run_dir=str(run_dir),
        model="tests.support.networks.tiny:network",
        batch_size="8",
        epochs=3,
        learning_rate=0.02,
        progress="none",
    )
    return dataclasses.replace(start, **changes)


def final_state(run_dir: Path) -> dict[str, np.ndarray]:
    checkpoint = Store(run_dir / "checkpoints").latest()
    assert checkpoint is not None
    return dict(checkpoint.arrays)


def assert_same_end(run_dir: Path, other: Path) -> None:
    """Every variable and every metric but the clock's, bit for bit."""
    first, second = final_state(run_dir), final_state(other)
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
    clock = {"images_per_second", "input_wait", "seconds"}
    rows = [
        [{k: v for k, v in row.items() if k not in clock} for row in read_metrics(folder)]
        for folder in (run_dir, other)
    ]
    assert rows[0] == rows[1]


def read_metrics(run_dir: Path) -> list[dict[str, str]]:
    with open(run_dir / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def command(settings: TrainConfig) -> list[str]:
    """Returns the command that trains so."""
    argv = [
        f"--{name}={','.join(value) if isinstance(value, list) else value}"
        for name, value in settings.to_dict().items()
        if value is not None
    ]
    return [sys.executable, "-m", "trainer.train", *argv]


def fine_tuning(run_dir: Path) -> dict[str, Any]:
    """Returns the flags of a run with the weights of another, which unfreezes after one epoch."""
    weights = str(run_dir / "model.keras")
    return {"weights": weights, "freeze_epochs": 1, "checkpoint_steps": 2, "layer_decay": 0.7}
