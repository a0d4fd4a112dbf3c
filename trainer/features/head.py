"""A linear head on features: fitted as a whole, its regularisation chosen on validation.

A head on fixed features is a convex problem of some 10,000 numbers: L-BFGS solves it in seconds,
with no learning rate and no schedule to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.features.extract import Features
from trainer.features.lbfgs import minimize

# Regularisation tried, strongest first: half of it times the squared norm of the kernel is added
# to the mean loss, for features of deviation 1. Each fit starts from the one before.
PENALTIES = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)

# The first fit starts from nothing, the others near their end.
FIRST_ITERATIONS, MORE_ITERATIONS = 40, 20

# A feature that never changes would otherwise be divided by 0.
_LEAST_DEVIATION = 1e-3

# Pictures whose features are multiplied at a time, and bytes of float32 features that are kept.
_CHUNK, _KEPT_BYTES = 16384, 512 << 20

# (logits float32[n, classes], targets float32[n, classes]) → float32[n].
LossFunction = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True, eq=False)
class Head:
    """The weights of a linear head, for features as the backbone gives them.

    Attributes:
      kernel: float32[channels, classes].
      bias: float32[classes].
      penalty: that it was fitted with.
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns float32[n, classes]."""
        parts = [
            features[start : start + _CHUNK].astype(np.float32) @ self.kernel + self.bias
            for start in range(0, len(features), _CHUNK)
        ]
        return np.concatenate(parts)


class Objective:
    """The loss of a head on all training features, and its gradient.

    The head is one vector: a kernel for features of mean 0 and deviation 1, and a bias.

    Args:
      features: to train on.
      classes: number of classes.
      loss: of each picture.
    """

    def __init__(self, features: Features, classes: int, loss: LossFunction) -> None:
        self._features, self._classes, self._loss = features, classes, loss
        self._mean, self._deviation = _moments(features.values)
        self.penalty = 0.0
        self._kept: dict[int, tf.Tensor] = {}
        channels = len(self._mean)
        signature = ([None, channels], [channels, classes], [classes])
        self._gradient = tf.function(
            self._gradient_of,
            input_signature=[
                tf.TensorSpec([None], tf.int32),
                *(tf.TensorSpec(shape, tf.float32) for shape in signature),
            ],
        )

    @property
    def size(self) -> int:
        """Length of the vector."""
        return (len(self._mean) + 1) * self._classes

    @property
    def pictures(self) -> int:
        """Rows of the features."""
        return len(self._features.labels)

    def head(self, vector: np.ndarray) -> Head:
        """Returns the head that float64[size], a vector, stands for."""
        kernel, bias = self._split(vector)
        scaled = kernel / self._deviation[:, None]
        return Head(scaled, bias - self._mean @ scaled, self.penalty)

    def __call__(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns the penalised mean loss, and its gradient, float64[size]."""
        total, gradient = 0.0, np.zeros(self.size)
        for start in range(0, self.pictures, _CHUNK):
            part, slope = self._sum(vector, start)
            total += part
            gradient += slope
        kernel, _ = self._split(vector)
        penalty = self.penalty / 2 * float(np.vdot(kernel, kernel))
        gradient /= self.pictures
        gradient[: kernel.size] += self.penalty * kernel.ravel()
        return total / self.pictures + penalty, gradient

    def _sum(self, vector: np.ndarray, start: int) -> tuple[float, np.ndarray]:
        """Returns the sum of the losses of the chunk that begins at `start`, and its gradient."""
        head = self.head(vector)
        labels = self._features.labels[start : start + _CHUNK]
        loss, kernel, bias = self._gradient(labels, self._chunk(start), head.kernel, head.bias)
        of_kernel = (kernel.numpy() - np.outer(self._mean, bias)) / self._deviation[:, None]
        return float(loss), np.concatenate([of_kernel.ravel(), bias.numpy()]).astype(np.float64)

    def _chunk(self, start: int) -> tf.Tensor:
        """Returns float32[n, channels]; converting takes a third of the time of the products."""
        if start in self._kept:
            return self._kept[start]
        chunk = tf.constant(self._features.values[start : start + _CHUNK].astype(np.float32))
        if (start + len(chunk)) * 4 * len(self._mean) <= _KEPT_BYTES:
            self._kept[start] = chunk
        return chunk

    def _gradient_of(
        self, labels: tf.Tensor, features: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the sum of the losses, and its gradient by the kernel and the bias."""
        logits = tf.matmul(features, kernel) + bias
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = tf.reduce_sum(self._loss(logits, tf.one_hot(labels, self._classes)))
        slope = tape.gradient(loss, logits)
        return loss, tf.matmul(features, slope, transpose_a=True), tf.reduce_sum(slope, axis=0)

    def _split(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kernel = vector[: -self._classes].reshape(-1, self._classes).astype(np.float32)
        return kernel, vector[-self._classes :].astype(np.float32)


def fits(objective: Objective) -> Iterator[Head]:
    """Yields a head for each of `PENALTIES`."""
    vector = np.zeros(objective.size)
    for number, penalty in enumerate(PENALTIES):
        objective.penalty = penalty
        vector = minimize(objective, vector, MORE_ITERATIONS if number else FIRST_ITERATIONS)
        yield objective.head(vector)


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean and the deviation of each feature, float32[channels]."""
    total, squares = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK].astype(np.float64)
        total += part.sum(axis=0)
        squares += np.square(part).sum(axis=0)
    mean = total / len(values)
    variance = np.maximum(squares / len(values) - np.square(mean), 0)
    return mean.astype(np.float32), (np.sqrt(variance) + _LEAST_DEVIATION).astype(np.float32)
