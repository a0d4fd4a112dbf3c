"""The learning-rate schedule and the optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from trainer.config import TrainConfig

# Where the step schedule multiplies the rate by 0.1, as fractions of the run.
STEP_BOUNDARIES = (0.6, 0.8, 0.9)

# Warm-up takes at most this fraction of the run.
MAX_WARMUP = 0.2

# Weight decay of biases and normalisation parameters costs accuracy.
# Source: Jia et al. 2018, section 3.3; He et al. 2018, "Bag of tricks", section 3.1.
NOT_DECAYED = ("bias", "gamma", "beta", "scale")


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then one of cosine, step, constant.

    Attributes:
      peak: learning rate after warm-up.
      total_steps: of the run.
      warmup_steps: until `peak`.
      kind: "cosine" (to 0), "step" (×0.1 at `STEP_BOUNDARIES`) or "constant".
    """

    peak: float
    total_steps: int
    warmup_steps: int = 0
    kind: str = "cosine"

    def at(self, step: int) -> float:
        """Returns the learning rate of step `step`, counted from 0."""
        if step < self.warmup_steps:
            return self.peak * (step + 1) / (self.warmup_steps + 1)
        if self.kind == "constant":
            return self.peak
        progress = (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        if self.kind == "step":
            return self.peak * 0.1 ** sum(progress >= bound for bound in STEP_BOUNDARIES)
        return self.peak * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class KerasSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """`Schedule` computed in the graph, so that a step needs nothing from Python."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns float32, the learning rate of step `step`."""
        schedule = self.schedule
        step = tf.cast(step, tf.float32)
        warm = schedule.peak * (step + 1) / (schedule.warmup_steps + 1)
        rest = max(1, schedule.total_steps - schedule.warmup_steps)
        progress = (step - schedule.warmup_steps) / rest
        factor = tf.ones_like(step)
        if schedule.kind == "step":
            passed = [tf.cast(progress >= bound, tf.float32) for bound in STEP_BOUNDARIES]
            factor = 0.1 ** tf.add_n(passed)
        elif schedule.kind == "cosine":
            factor = 0.5 * (1 + tf.cos(math.pi * tf.minimum(1.0, progress)))
        return tf.where(step < schedule.warmup_steps, warm, schedule.peak * factor)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild it; part of Keras' interface."""
        schedule = self.schedule
        return {
            "peak": schedule.peak,
            "total_steps": schedule.total_steps,
            "warmup_steps": schedule.warmup_steps,
            "kind": schedule.kind,
        }


def build(config: TrainConfig, steps_per_epoch: int) -> Schedule:
    """Returns the schedule that the flags ask for."""
    total = config.epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), int(MAX_WARMUP * total))
    return Schedule(config.peak_learning_rate, total, warmup, config.schedule)


def build_optimizer(config: TrainConfig, schedule: Schedule) -> keras.optimizers.Optimizer:
    """Returns the optimizer that the flags ask for; decay spares biases and normalisation.

    Under mixed_float16 it scales the loss dynamically.
    """
    rate = KerasSchedule(schedule)
    optimizer = _plain_optimizer(config, rate)
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    if keras.mixed_precision.dtype_policy().name == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _plain_optimizer(config: TrainConfig, rate: KerasSchedule) -> keras.optimizers.Optimizer:
    decay = config.decay or None
    if config.optimizer == "sgd":
        momentum = config.momentum
        return keras.optimizers.SGD(rate, momentum, nesterov=momentum > 0, weight_decay=decay)
    if config.optimizer == "lamb":
        return keras.optimizers.Lamb(rate, weight_decay=decay)
    if config.optimizer == "lion":
        return keras.optimizers.Lion(rate, weight_decay=decay)
    return keras.optimizers.AdamW(rate, beta_2=0.999, weight_decay=config.decay)
