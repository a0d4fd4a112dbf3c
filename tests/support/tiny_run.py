"""A small trained run that evaluation and export are tried on."""

from __future__ import annotations

from pathlib import Path

from tests.support import fakes, ledgers
from trainer.config import TrainConfig
from trainer.train.run import run

COUNTS = {"train": (12, 8, 5), "validation": (4, 3, 2), "test": (3, 3, 3)}


def write_data(folder: Path, copies: int = 0) -> Path:
    """Writes a data set of `COUNTS` pictures a class with its ledger; returns its folder."""
    ledgers.write(folder, fakes.write_dataset(folder, COUNTS, copies=copies))
    return folder


def train(data_dir: Path, run_dir: Path) -> Path:
    """Trains for three epochs with an average of the weights; returns the run's folder."""
    run(
        TrainConfig(
            data_dir=str(data_dir),
            run_dir=str(run_dir),
            model="tests.support.tiny:network",
            batch_size="8",
            epochs=3,
            learning_rate=0.02,
            ema=0.5,
            progress="none",
        )
    )
    return run_dir
