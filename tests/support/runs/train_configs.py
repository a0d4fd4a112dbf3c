"""Configurations of a training that is never run."""

from __future__ import annotations

import dataclasses

from trainer.config import TrainConfig
from trainer.recipes.flags import OWN_MODEL


def config(**changes: object) -> TrainConfig:
    return dataclasses.replace(TrainConfig("data", "run", model=OWN_MODEL), **changes)
