"""--augment=auto where a mirror makes one class of another: settled once, kept by the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import fakes
from tfrecords.errors import TrainerError
from trainer.choices import WITHOUT_FLIPS
from trainer.config import TrainConfig
from trainer.data import mirror
from trainer.data.mirror import Exchange
from trainer.runs.config_file import RunConfig
from trainer.train import prepare as preparing
from trainer.train.run import run

COUNTS = {"train": (24, 24), "validation": (4, 4)}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    fakes.write_dataset(folder, COUNTS)
    return folder


def config(data_dir: Path, run_dir: Path, **flags: object) -> TrainConfig:
    return TrainConfig(
        data_dir=str(data_dir),
        run_dir=str(run_dir),
        model="tests.support.networks.tiny:network",
        batch_size="8",
        progress="none",
        **({"epochs": 1} | flags),  # type: ignore[arg-type]  # Values of a table.
    )


@pytest.fixture
def exchanged(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Calls of the check, which finds that two classes are exchanged."""
    calls: list[bool] = []

    def found(source: object) -> Exchange:
        calls.append(True)
        return Exchange(("left", "right"), 0.6)

    monkeypatch.setattr(mirror, "exchanged", found)
    return calls


def test_a_run_says_that_it_does_not_flip_and_keeps_to_it(
    data_dir: Path, tmp_path: Path, exchanged: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = config(data_dir, tmp_path / "run", epochs=2, stop_after_epoch=1)
    task = preparing.prepare(asked)
    assert task.config.augmentations == WITHOUT_FLIPS
    assert "mirrored ones of 'left' look like 'right'" in task.flips
    run(asked, report=False)
    assert RunConfig.read(tmp_path / "run").flags.augment == WITHOUT_FLIPS
    # Whatever is found later: the run goes on as it began.
    monkeypatch.setattr(mirror, "exchanged", lambda source: None)
    resumed = run(config(data_dir, tmp_path / "run", epochs=2), report=False)
    assert resumed.epochs == 2
    assert RunConfig.read(tmp_path / "run").flags.augment == WITHOUT_FLIPS


@pytest.mark.parametrize(
    "flags",
    [
        {"augment": ("flip",)},
        {"augment": ()},
        {"model": "efficientnet-lite0", "weights": "imagenet", "freeze": "backbone", "epochs": 30},
    ],
)
def test_what_is_named_or_not_augmented_is_not_checked(
    data_dir: Path, tmp_path: Path, exchanged: list[bool], flags: dict[str, object]
) -> None:
    asked = config(data_dir, tmp_path / "run")
    asked = TrainConfig(**(vars(asked) | flags))
    settled, line = preparing._without_wrong_flips(asked, preparing.prepare(asked).train)
    assert (settled.augment, line) == (asked.augment, "")
    assert not exchanged


def test_few_pictures_are_not_read(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "FEWEST", 25)
    monkeypatch.setattr(mirror, "_thumbnails", lambda source: pytest.fail("read"))
    source = preparing.prepare(config(data_dir, data_dir / "none", augment=())).train
    assert mirror.exchanged(source) is None


def test_a_damaged_shard_is_named(data_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    fakes.write_dataset(folder, COUNTS)
    source = preparing.prepare(config(folder, tmp_path / "run", augment=())).train
    shard = next(path for path in source.shard_paths)
    content = bytearray(Path(str(shard)).read_bytes())
    content[len(content) // 2] ^= 0xFF
    Path(str(shard)).write_bytes(bytes(content))
    with pytest.raises(TrainerError, match=Path(str(shard)).name):
        mirror.exchanged(source)


def test_noise_is_flipped(data_dir: Path, tmp_path: Path) -> None:
    task = preparing.prepare(config(data_dir, tmp_path / "run"))
    assert "flip" in task.config.augmentations and task.flips == ""
    assert np.isfinite(task.steps)
