"""Steps against plain numpy: the loss, the gradient, the schedule, decay, momentum, the average."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config import TrainConfig
from trainer.data.stream import Batch
from trainer.devices import Devices
from trainer.models.build import Network
from trainer.train import losses, optim
from trainer.train.step import Stepper

_CLASSES, _BATCH, _STEPS_PER_EPOCH, _PIXELS = 3, 4, 3, 12
_COUNTS = (1, 7, 40)

_CASES = (
    {"loss": "cross_entropy", "class_weights": "inverse", "label_smoothing": 0.0},
    {"loss": "logit_adjusted", "logit_adjustment": 2.0, "ema": 0.5, "grad_accum": 2},
    {"loss": "balanced_softmax", "defer_weights": 0.5, "clip_norm": 0.05, "schedule": "constant"},
    {"loss": "focal", "focal_gamma": 0.5, "class_weights": "effective", "effective_beta": 0.9},
    {"loss": "focal", "class_weights": "inverse", "defer_weights": 0.5, "momentum": 0.0},
)


def _losses(
    config: TrainConfig, logits: np.ndarray, targets: np.ndarray, *, active: bool
) -> np.ndarray:
    """Returns float64[n], written from the papers' formulas."""
    counts = np.array(_COUNTS, np.float64)
    tau = {"balanced_softmax": 1.0, "logit_adjusted": config.logit_adjustment}.get(config.loss, 0)
    logits = logits + active * tau * np.log(counts / counts.sum())
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    smooth = targets * (1 - config.label_smoothing) + config.label_smoothing / _CLASSES
    gamma = config.focal_gamma if config.loss == "focal" else 0
    each = -(smooth * (1 - p) ** gamma * np.log(p)).sum(axis=1)
    weights = {
        "none": np.ones(_CLASSES),
        "inverse": 1 / counts,
        "effective": (1 - config.effective_beta) / (1 - config.effective_beta**counts),
    }[config.class_weights]
    return each * (targets @ (weights / weights.mean()) if active else 1)


def _gradient(total: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """Returns the gradient by central differences."""
    steps = np.eye(at.size).reshape(-1, *at.shape) * 1e-5
    return np.array([total(at + d) - total(at - d) for d in steps]).reshape(at.shape) / 2e-5


def _rate(config: TrainConfig, step: int) -> float:
    """Returns the rate of a step; a fifth of the run, at most, is warm-up."""
    total = config.epochs * _STEPS_PER_EPOCH
    warm = min(int(config.warmup_epochs * _STEPS_PER_EPOCH), int(0.2 * total))
    if step < warm:
        return config.peak_learning_rate * (step + 1) / (warm + 1)
    progress = (step - warm) / (total - warm)
    cosine = 0.5 * (1 + np.cos(np.pi * progress))
    return config.peak_learning_rate * (1 if config.schedule == "constant" else cosine)


@pytest.mark.parametrize("case", _CASES, ids=lambda case: str(case["loss"]))
def test_steps_are_those_of_numpy(case: dict[str, object]) -> None:
    config = TrainConfig(
        data_dir="d", run_dir="r", model="a:b", batch_size=str(_BATCH), optimizer="sgd",
        learning_rate=0.5, weight_decay=0.05, epochs=2, warmup_epochs=1, **case,
    )  # type: ignore[arg-type]  # Values of a table.  # fmt: skip
    keras.utils.set_random_seed(1)
    pixels = keras.Input((2, 2, 3))
    scaled = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
    model = keras.Model(pixels, keras.layers.Dense(_CLASSES, name="head")(scaled))
    plan = optim.build(config, _STEPS_PER_EPOCH)
    stepper = Stepper(
        Network(model),
        optim.build_optimizer(config, plan),
        losses.build(config, _COUNTS, plan.total_steps),
        config,
        Devices("cpu", ("cpu",), "float32", tf.distribute.get_strategy(), deterministic=False),
    )
    # The bias is the kernel's last row.
    weights = np.vstack([np.asarray(part, np.float64) for part in model.get_weights()])
    momentum, average = np.zeros_like(weights), weights.copy()
    rng = np.random.default_rng(0)
    for step in range(plan.total_steps):
        images = rng.integers(0, 256, (_BATCH, 2, 2, 3), np.uint8)
        labels, partners = rng.integers(0, _CLASSES, (2, _BATCH), np.int32)
        share = rng.random(_BATCH, np.float32)
        weight = np.float32(np.arange(_BATCH) < (_BATCH, 1)[step % 2])
        inputs = np.hstack([images.reshape(_BATCH, _PIXELS) / 255, np.ones((_BATCH, 1))])
        one_hot = np.eye(_CLASSES)
        targets = share[:, None] * one_hot[labels] + (1 - share[:, None]) * one_hot[partners]
        active = step >= config.defer_weights * plan.total_steps

        def total(
            at: np.ndarray,
            inputs: np.ndarray = inputs,
            targets: np.ndarray = targets,
            weight: np.ndarray = weight,
            active: bool = active,
        ) -> float:
            return float(weight @ _losses(config, inputs @ at, targets, active=active))

        tally = stepper.run(Batch(*map(tf.constant, (images, labels, partners, share, weight))))
        assert float(tally[0]) == pytest.approx(total(weights), rel=1e-4)
        gradient = _gradient(total, weights) / _BATCH
        if config.clip_norm:
            gradient *= min(1, config.clip_norm / np.linalg.norm(gradient))
        rate = _rate(config, step)
        weights[:-1] *= 1 - rate * config.decay
        momentum = config.momentum * momentum - rate * gradient
        weights += config.momentum * momentum - rate * gradient if config.momentum else momentum
        np.testing.assert_allclose(np.vstack(model.get_weights()), weights, atol=1e-4)
        kept = min(config.ema, (step + 2) / (step + 11))
        average = kept * average + (1 - kept) * weights
    if config.ema:
        found = np.vstack([each.numpy() for each in stepper.average.values()])
        np.testing.assert_allclose(found, average, atol=1e-4)
