"""Configurations of a training that is never run."""

from __future__ import annotations

import dataclasses

from trainer.config import TrainConfig


def config(**changes: object) -> TrainConfig:
    return dataclasses.replace(TrainConfig(data_dir="data", run_dir="run"), **changes)
