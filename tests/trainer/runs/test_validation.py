"""Which numbers belong to the weights of a checkpoint."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.support.datasets import fakes
from tests.support.runs import run_configs
from trainer.config import TrainConfig
from trainer.runs import validation
from trainer.runs.checkpoints import Checkpoint
from trainer.runs.config_file import RunConfig


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """A run with 120 validation pictures."""
    folder = tmp_path_factory.mktemp("data")
    counts = {"train": (2, 2, 2), "validation": (60, 40, 20)}
    manifest = fakes.write_dataset(folder, counts)
    return run_configs.describe(TrainConfig(data_dir=str(folder), run_dir="r"), manifest)


def row(epoch: int, **changes: Any) -> dict[str, Any]:
    return {"epoch": epoch, "val_top1": 0.75, "val_temperature": 1.5} | changes


def checkpoint(epoch: int, step: int, *rows: dict[str, Any]) -> Checkpoint:
    return Checkpoint(epoch, step, global_step=epoch * 4 + step, arrays={}, history=rows)


@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        (checkpoint(2, 0, row(1), row(2)), 2),  # Between epochs.
        (checkpoint(1, 4, row(1), row(2)), 2),  # The best, at the end of its epoch.
        (checkpoint(0, 0, row(1)), 1),  # The best of a head that was fitted without a step.
        (checkpoint(2, 3, row(1), row(2)), None),  # In the midst of the third.
        (checkpoint(0, 0), None),
    ],
)
def test_numbers_are_those_of_the_weights(
    stored: RunConfig, saved: Checkpoint, expected: int | None
) -> None:
    found = validation.of_checkpoint(stored, saved)
    assert found.row.get("epoch") == expected
    if expected is None:
        assert found.temperature.note == "these weights were not validated"
    else:
        assert (found.temperature.value, found.temperature.note) == (1.5, "")


def test_with_an_average_the_last_weights_have_none(stored: RunConfig) -> None:
    averaging = dataclasses.replace(stored, flags=dataclasses.replace(stored.flags, ema=0.9))
    saved = checkpoint(1, 0, row(1))
    assert not validation.of_checkpoint(averaging, saved, averaged=False).row
    assert validation.of_checkpoint(averaging, saved).row == row(1)
    assert validation.of_checkpoint(stored, saved, averaged=False).row == row(1)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"val_temperature": 0.05}, "no best one from 0.05 to 20"),  # The floor, once kept.
        ({"val_temperature": 0.0501}, "no best one from 0.05 to 20"),
        ({"val_temperature": None}, "no best one from 0.05 to 20"),
        ({"val_temperature": float("nan")}, "no best one from 0.05 to 20"),
        ({"val_top1": 1.0}, "needs 10 mistakes on validation, and there are 0 in 120 pictures"),
        ({"val_top1": 0.925}, "there are 9 in 120 pictures"),
        ({"val_top1": 0.9166}, ""),
    ],
)
def test_an_earlier_versions_temperature_is_held_to_what_a_fit_needs(
    stored: RunConfig, changes: dict[str, Any], note: str
) -> None:
    found = validation.temperature_of(stored, row(1, **changes))
    assert note in found.note
    assert (found.value == 1.5) == (not note)
    assert note or not found.note
