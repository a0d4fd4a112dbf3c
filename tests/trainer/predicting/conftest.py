from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tfrecords.schema import TRAIN
from trainer.config import TrainConfig
from trainer.train.run import run as train


@pytest.fixture(scope="package")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose data set is gone."""
    root = tmp_path_factory.mktemp("trained")
    fakes.write_dataset(root / "data", {TRAIN: (9, 12, 5), "validation": (4, 3, 2)})
    config = TrainConfig(
        data_dir=str(root / "data"),
        run_dir=str(root / "run"),
        model="tests.support.networks.tiny:network",
        batch_size="8",
        epochs=2,
        ema=0.5,
        progress="none",
    )
    train(config)
    shutil.rmtree(root / "data")
    return root / "run"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Good pictures, most of them in folders, and three files that are none."""
    root = tmp_path / "in"
    for number in range(20):
        path = root / f"d{number % 3}" / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fakes.picture_bytes(number, height=20 + number, width=50))
    (root / "bad.jpg").write_bytes(b"not a picture")
    (root / "cut.jpg").write_bytes(fakes.picture_bytes(0, height=99, width=99)[:500])
    (root / "empty.png").write_bytes(b"")
    return root
