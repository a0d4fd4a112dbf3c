"""What a run found on its validation split with the weights of one of its checkpoints.

A checkpoint holds the rows of metrics.csv up to its epoch, so weights and numbers cannot part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.metrics import probabilities
from trainer.metrics.probabilities import Temperature
from trainer.runs.checkpoints import Checkpoint
from trainer.runs.config_file import RunConfig


@dataclass(frozen=True)
class Validation:
    """The validation of the weights that were loaded.

    Attributes:
      row: of metrics.csv; empty where these weights were not validated.
      temperature: that was fitted, or 1 with the reason.
    """

    row: Mapping[str, Any] = field(default_factory=dict)
    temperature: Temperature = Temperature(note="these weights were not validated")


def of_checkpoint(
    stored: RunConfig, checkpoint: Checkpoint, *, averaged: bool = True
) -> Validation:
    """Returns the validation of a checkpoint's weights.

    Args:
      stored: the run's config.json.
      checkpoint: that the weights come from.
      averaged: whether they are the moving average, in a run with --ema, which validates that.
    """
    if stored.flags.ema and not averaged:
        note = "with --ema the average of the weights is validated, and these are the last ones"
        return Validation(temperature=Temperature(note=note))
    # The best is saved at the end of its epoch, others between epochs or in the midst of one.
    closed = checkpoint.step == 0 or len(checkpoint.history) > checkpoint.epoch
    if not checkpoint.history or not closed:
        return Validation()
    row = checkpoint.history[-1]
    return Validation(row, temperature_of(stored, row))


def temperature_of(stored: RunConfig, row: Mapping[str, Any]) -> Temperature:
    """Returns the temperature that the validation of an epoch gave.

    Earlier versions kept one whatever it was fitted on: it is held to what a fit needs today.

    Args:
      stored: the run's config.json.
      row: of metrics.csv.
    """
    split = stored.manifest.split(stored.flags.validation_split)
    rows = sum(stored.selection.natural().originals(split))
    top1, value = _number(row.get("val_top1")), _number(row.get("val_temperature"))
    mistakes = rows if top1 is None else round(rows * (1 - top1))
    return probabilities.recorded(value, rows, mistakes)


def _number(value: object) -> float | None:
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None
