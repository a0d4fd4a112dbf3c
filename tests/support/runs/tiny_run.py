"""A small trained run that evaluation and export are tried on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.support.datasets import fakes, ledgers
from trainer.config import TrainConfig
from trainer.metrics import probabilities
from trainer.runs.checkpoints import Store
from trainer.train.run import run

COUNTS = {"train": (12, 8, 5), "validation": (4, 3, 2), "test": (3, 3, 3)}


def write_data(folder: Path, copies: int = 0) -> Path:
    """Writes a data set of `COUNTS` pictures a class with its ledger; returns its folder."""
    ledgers.write(folder, fakes.write_dataset(folder, COUNTS, copies=copies))
    return folder


def train(data_dir: Path, run_dir: Path, precision: str = "float32") -> Path:
    """Trains for three epochs with an average of the weights; returns the run's folder."""
    run(
        TrainConfig(
            data_dir=str(data_dir),
            run_dir=str(run_dir),
            model="tests.support.networks.tiny:network",
            batch_size="8",
            epochs=3,
            learning_rate=0.02,
            ema=0.5,
            precision=precision,
            progress="none",
        )
    )
    return run_dir


def trust_temperature(patch: pytest.MonkeyPatch, run_dir: Path, value: float) -> None:
    """Gives the best epoch of a run a temperature, which so few pictures fit only if trusted."""
    patch.setattr(probabilities, "MIN_ROWS", 1)
    patch.setattr(probabilities, "MIN_MISTAKES", 0)
    store = Store(run_dir / "checkpoints")
    best = store.best()
    if best is None:
        raise ValueError(f"{run_dir} has no best checkpoint")
    history = (*best.history[:-1], {**best.history[-1], "val_temperature": value})
    store.save_best(dataclasses.replace(best, history=history))
