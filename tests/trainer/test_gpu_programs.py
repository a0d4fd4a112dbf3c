"""What `make test-gpu` starts, as far as a CPU goes: no GPU is needed to find a renamed flag."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.test_gpu import AUGMENTING, FLAGS, PREPARATION, command
from tfrecords.cli import parsing
from trainer.config import TrainConfig


@pytest.mark.parametrize("flags", [(), *FLAGS], ids=" ".join)
def test_its_flags_are_those_of_the_trainer(flags: tuple[str, ...]) -> None:
    (_, _, module, *given) = command(Path("d"), Path("r"), *flags)
    assert module == "trainer.train"
    parsed = parsing.parse(TrainConfig, given)
    assert parsed.device == "gpu" and parsed.fixed_batch_size == 32


def test_its_step_runs() -> None:
    found: dict[str, Any] = {}
    exec(PREPARATION, found)  # noqa: S102  # A program of ours, run elsewhere by `python -c`.
    one = found["stepper"]("cpu", tf.distribute.get_strategy())
    losses = found["three"](one, found["batch"])
    assert len(losses) == 3 and np.isfinite(losses).all() and losses[2] < losses[0]


def test_its_pictures_are_augmented(capsys: pytest.CaptureFixture[str]) -> None:
    exec(AUGMENTING.replace("/GPU:0", "/CPU:0"), {})  # noqa: S102  # As above.
    assert int(capsys.readouterr().out) <= 2
