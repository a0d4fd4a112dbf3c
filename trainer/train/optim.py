"""The learning-rate schedule and the optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from trainer.config import TrainConfig
from trainer.models.build import Network
from trainer.models.head import HEAD, leaves
from trainer.train.loss_scaling import LossScale, Maskable

# Where the step schedule multiplies the rate by 0.1, as fractions of the run.
STEP_BOUNDARIES = (0.6, 0.8, 0.9)

# Warm-up takes at most this fraction of the run.
MAX_WARMUP = 0.2

# Weight decay of biases and normalisation parameters costs accuracy.
# Source: Jia et al. 2018, section 3.3; He et al. 2018, "Bag of tricks", section 3.1.
NOT_DECAYED = ("bias", "gamma", "beta", "scale")

# --layer_decay counts this many groups of layers, as many as a small transformer has blocks.
# Source: Bao et al. 2021, "BEiT", section 3.2; the same number there for its 12 blocks.
LAYER_GROUPS = 12


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


@dataclass(frozen=True)
class Plan:
    """The schedules of a run: one for each of its phases, which follow each other.

    A run with frozen epochs has two phases, if it unfreezes; others have one.
    """

    phases: tuple[Schedule, ...]

    @property
    def total_steps(self) -> int:
        """Of the run."""
        return sum(schedule.total_steps for schedule in self.phases)


class KerasSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A `Plan` computed in the graph, so that a step needs nothing from Python.

    Attributes:
      plan: of the run.
      phase: the current phase, from 0. A graph keeps that in which it was traced.
      first_step: the optimizer's count at the first step of the first phase: more than 0 where
        its state was taken from another run.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.phase = 0
        self.first_step = 0

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns float32, the learning rate of the phase's step `step`."""
        schedule = self.plan.phases[self.phase]
        # Each later phase starts the optimizer anew, its count too.
        step = tf.cast(step, tf.float32) - (0 if self.phase else self.first_step)
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
        return {"plan": self.plan}


class PacedOptimizer(Maskable):
    """Mixed into an optimizer of Keras: rates and decoupled decay for each variable, and phases.

    Keras has one rate for all variables, in its weight decay too, so decay is applied here.
    """

    # Keras' own.
    learning_rate: tf.Tensor
    variables: Sequence[keras.Variable]

    def pace(self, schedule: KerasSchedule, decay: float, factors: Mapping[int, float]) -> None:
        """Sets the schedule, the decay, and the factors on the rate by a variable's identity."""
        self._schedule, self._decay, self._factors = schedule, decay, factors

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the optimizer's variables; part of Keras' interface."""
        # A mixin: the optimizer of Keras that stands behind it has the method.
        super().build(variables)  # type: ignore[misc]
        self._rates = [self._factors.get(id(variable), 1.0) for variable in variables]
        self._decays = [0.0 if v.name in NOT_DECAYED else self._decay for v in variables]

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Updates one variable; part of Keras' interface."""
        index = self._get_variable_index(variable)  # type: ignore[attr-defined]
        rate = tf.cast(learning_rate * self._rates[index], variable.dtype)
        if self._decays[index]:
            self.assign_sub(variable, variable * self._decays[index] * rate)
        super().update_step(gradient, variable, rate)  # type: ignore[misc]

    def enter(self, phase: int) -> None:
        """Makes the schedule that of a phase; what was compiled before is of the old one."""
        self._schedule.phase = phase

    def count_from(self, steps: int) -> None:
        """Begins the schedule where the optimizer has counted so many steps."""
        self._schedule.first_step = steps

    def forget(self) -> None:
        """Starts anew: moments that were gathered in one phase mislead the next.

        Layers that were frozen have none, which the optimizers correct for in their first steps
        only.
        """
        for variable in self.variables:
            variable.assign(tf.zeros(variable.shape, variable.dtype))


class AdamW(PacedOptimizer, keras.optimizers.Adam):
    """Adam (Kingma 2014) with decoupled decay (Loshchilov 2017)."""


class SGD(PacedOptimizer, keras.optimizers.SGD):
    """Stochastic gradient descent with Nesterov momentum."""


class Lamb(PacedOptimizer, keras.optimizers.Lamb):
    """Adam by layer (You 2019)."""


class Lion(PacedOptimizer, keras.optimizers.Lion):
    """Signs of momentum (Chen 2023)."""


def build(config: TrainConfig, steps_per_epoch: int) -> Plan:
    """Returns the schedules that the flags ask for."""
    frozen = config.frozen_epochs
    lengths = [epochs for epochs in (frozen, config.epochs - frozen) if epochs]
    return Plan(tuple(_schedule(config, epochs, steps_per_epoch) for epochs in lengths))


def phase_of(config: TrainConfig, epoch: int) -> int:
    """Returns the phase of `Plan` that an epoch, from 0, belongs to."""
    return int(0 < config.frozen_epochs <= epoch)


def rate_factors(network: Network, config: TrainConfig) -> dict[int, float]:
    """Returns the factors on the rate of the weights that were loaded, by identity.

    New layers have the whole rate. Loaded ones have --backbone_rate of it, and the groups before
    the last one --layer_decay of the next group's.
    """
    if network.loaded is None:
        return {}
    backbone = [layer for layer in leaves(network.model) if layer.weights and layer.name != HEAD]
    factors = dict.fromkeys(network.loaded.variables, config.backbone_rate)
    for position, layer in enumerate(backbone):
        group = position * LAYER_GROUPS // len(backbone)
        decay = config.layer_decay ** (LAYER_GROUPS - 1 - group)
        for weight in layer.weights:
            if id(weight) in factors:
                factors[id(weight)] = config.backbone_rate * decay
    return factors


def build_optimizer(
    config: TrainConfig, plan: Plan, factors: Mapping[int, float] | None = None
) -> keras.optimizers.Optimizer:
    """Returns the optimizer that the flags ask for; decay spares biases and normalisation.

    Under mixed_float16 it scales the loss dynamically.

    Args:
      config: --optimizer, --momentum, --weight_decay.
      plan: from `build`.
      factors: from `rate_factors`; none by default.
    """
    schedule = KerasSchedule(plan)
    optimizer = _plain_optimizer(config, schedule)
    optimizer.pace(schedule, config.decay, factors or {})
    if keras.mixed_precision.dtype_policy().name == "mixed_float16":
        return LossScale(optimizer)
    return optimizer


def _schedule(config: TrainConfig, epochs: int, steps_per_epoch: int) -> Schedule:
    total = epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), int(MAX_WARMUP * total))
    return Schedule(config.peak_learning_rate, total, warmup, config.schedule)


def _plain_optimizer(config: TrainConfig, schedule: KerasSchedule) -> AdamW | SGD | Lamb | Lion:
    if config.optimizer == "sgd":
        return SGD(schedule, config.momentum, nesterov=config.momentum > 0)
    if config.optimizer == "lamb":
        return Lamb(schedule)
    if config.optimizer == "lion":
        return Lion(schedule)
    return AdamW(schedule, beta_2=0.999)
