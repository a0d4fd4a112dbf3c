"""What is said at the start of a run of flags that reach farther than it."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.config import TrainConfig
from trainer.train import describe


@pytest.mark.parametrize(
    ("given", "frozen", "warm"),
    [
        ({"epochs": 10}, "", ""),
        ({"epochs": 2}, "", ""),  # The default of --warmup_epochs is no wish.
        ({"epochs": 10, "warmup_epochs": 1}, "", ""),
        ({"epochs": 10, "warmup_epochs": 3}, "", "above a fifth of the run's 10 epochs: the warm-"),
        ({"epochs": 3, "freeze_epochs": 1, "weights": "w.keras"}, "", ""),
        ({"epochs": 3, "freeze_epochs": 3, "weights": "w.keras"}, "all of the run's 3 epochs", ""),
        ({"freeze": "backbone", "weights": "imagenet"}, "", ""),
    ],
)
def test_what_is_cut_off_by_the_end_of_the_run_is_said(
    given: dict[str, Any], frozen: str, warm: str
) -> None:
    config = TrainConfig(data_dir="o", run_dir="r", **given)
    for said, text in ((describe._frozen(config), frozen), (describe._warm_up(config), warm)):
        assert text in said
        assert bool(said) == bool(text)
