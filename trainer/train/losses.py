"""Losses for classes of unequal size.

All take logits and soft targets, so that mixed pictures and smoothed labels need no special
case, and give one float32 number a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.config import TrainConfig


@dataclass(frozen=True, eq=False)
class Loss:
    """A loss with its constants.

    Attributes:
      adjustment: float32[classes], added to the logits in training: τ·log prior.
      class_weights: float32[classes].
      gamma: focal exponent; 0 for plain cross-entropy.
      smoothing: mass spread evenly over all classes.
      start_step: adjustment and weights take effect from this step on.
    """

    adjustment: np.ndarray
    class_weights: np.ndarray
    gamma: float = 0.0
    smoothing: float = 0.0
    start_step: int = 0

    def __call__(self, logits: tf.Tensor, targets: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns float32[n], the loss of each picture.

        Args:
          logits: [n, classes], any float type.
          targets: float32[n, classes], rows sum to 1; not yet smoothed.
          step: int64, optimizer steps done so far.
        """
        active = tf.cast(step >= self.start_step, tf.float32)
        adjusted = tf.cast(logits, tf.float32) + active * self.adjustment
        losses = focal(adjusted, smooth(targets, self.smoothing), self.gamma)
        weights = tf.linalg.matvec(targets, tf.constant(self.class_weights))
        return losses * (1 + active * (weights - 1))


def build(config: TrainConfig, counts: Sequence[int], total_steps: int) -> Loss:
    """Returns the loss that the flags ask for.

    Args:
      config: of the run.
      counts: training records of each class, all at least 1.
      total_steps: of the run; --defer_weights is a fraction of it.
    """
    tau = {"balanced_softmax": 1.0, "logit_adjusted": config.logit_adjustment}.get(config.loss, 0.0)
    return Loss(
        adjustment=(tau * log_prior(counts)).astype(np.float32),
        class_weights=_class_weights(config, counts).astype(np.float32),
        gamma=config.focal_gamma if config.loss == "focal" else 0.0,
        smoothing=config.label_smoothing,
        start_step=round(config.defer_weights * total_steps),
    )


def soft_targets(
    labels: tf.Tensor, partners: tf.Tensor, share: tf.Tensor, classes: int
) -> tf.Tensor:
    """Returns float32[n, classes]: `share` on the label, the rest on the mixed-in one."""
    share = share[:, None]
    return share * tf.one_hot(labels, classes) + (1 - share) * tf.one_hot(partners, classes)


def smooth(targets: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Returns targets with a part of their mass spread evenly over all classes.

    Source: Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision".

    Args:
      targets: float32[n, classes], each row of sum 1.
      smoothing: the part, 0 to 1.

    Returns:
      float32[n, classes].
    """
    if not smoothing:
        return targets
    return targets * (1 - smoothing) + smoothing / targets.shape[-1]


def focal(logits: tf.Tensor, targets: tf.Tensor, gamma: float) -> tf.Tensor:
    """Returns -Σ target·(1 - p)^γ·log p, float32[n]; cross-entropy where γ is 0.

    Source: Lin et al. 2017, "Focal loss for dense object detection", in its softmax form.
    """
    if not gamma:
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)
    log_p = tf.nn.log_softmax(logits)
    # 1 - p from log p keeps its precision where p is near 1; the floor keeps the gradient
    # of the power finite there for γ < 1.
    rest = tf.maximum(-tf.math.expm1(log_p), 1e-7)
    return -tf.reduce_sum(targets * rest**gamma * log_p, axis=-1)


def log_prior(counts: Sequence[int]) -> np.ndarray:
    """Returns log of each class's share of the records, float64[classes].

    Added to the logits in training it makes balanced softmax (Ren et al. 2020, "Balanced
    meta-softmax") and, times τ, logit adjustment (Menon et al. 2020, "Long-tail learning via
    logit adjustment"); subtracted from those of a plainly trained network it is the latter's
    post-hoc form.
    """
    n = np.asarray(counts, np.float64)
    return np.log(n) - np.log(n.sum())


def effective_number_weights(counts: Sequence[int], beta: float) -> np.ndarray:
    """Returns float64[classes], (1 - β) / (1 - β^n) of each, scaled to a mean of 1.

    Source: Cui et al. 2019, "Class-balanced loss based on effective number of samples".

    Args:
      counts: training pictures of each class, n, at least 1.
      beta: β, 0 to below 1.
    """
    weights = (1 - beta) / (1 - beta ** np.asarray(counts, np.float64))
    return weights * len(weights) / weights.sum()


def inverse_weights(counts: Sequence[int]) -> np.ndarray:
    """Returns float64[classes], 1 / n of each class, scaled to a mean of 1."""
    weights = 1 / np.asarray(counts, np.float64)
    return weights * len(weights) / weights.sum()


def _class_weights(config: TrainConfig, counts: Sequence[int]) -> np.ndarray:
    if config.class_weights == "effective":
        return effective_number_weights(counts, config.effective_beta)
    if config.class_weights == "inverse":
        return inverse_weights(counts)
    return np.ones(len(counts))
