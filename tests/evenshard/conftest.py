"""One small world for all tests of the face: pictures, a data set baked of them, a trained run."""

from __future__ import annotations

from pathlib import Path

import pytest

import evenshard
from tests.support.datasets import fakes

COUNTS = {"apu": 40, "bart": 15, "lisa": 6}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures/ of three classes, unlabelled/ and shards/ baked of the first."""
    root = tmp_path_factory.mktemp("world")
    fakes.write_folders(root / "pictures", COUNTS)
    (root / "pictures" / "bart" / "broken.jpg").write_bytes(b"not a picture")
    (root / "unlabelled").mkdir()
    for number, hue in enumerate((0, 85), start=1):
        fakes.picture(f"new {number}", hue=hue).save(root / "unlabelled" / f"{number}.jpg")
    evenshard.bake(
        root / "pictures", root / "shards", image_size=16, per_class=20, encoding="png", workers=1
    )
    return root


@pytest.fixture(scope="session")
def trained(world: Path) -> Path:
    """The world, with runs/a trained in it."""
    evenshard.train(
        world / "shards",
        world / "runs" / "a",
        model="tests.support.networks.tiny:network",
        epochs=2,
        batch_size=16,
        learning_rate=0.02,
        progress="none",
    )
    return world


@pytest.fixture
def dataset(world: Path) -> evenshard.Dataset:
    return evenshard.open(world / "shards")


@pytest.fixture
def run(trained: Path) -> evenshard.Run:
    return evenshard.load_run(trained / "runs" / "a")
