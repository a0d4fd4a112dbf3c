"""Batch normalisation by TensorFlow's fused kernel, while a training step is traced.

Keras 3 writes batch normalisation as separate operations on float32: a dozen for each layer, and
more backwards. XLA fuses them; without XLA each is a kernel of its own, which reads and writes all
activations. `FusedBatchNormV3` is one kernel forwards and one backwards, and takes half precision.

The layers stay Keras' own, so that a saved network needs nothing of this project.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

# cuDNN computes with no smaller epsilon. Source: CUDNN_BN_MIN_EPSILON; tf.nn.fused_batch_norm.
MIN_EPSILON = 1.001e-5

_TYPES = ("float32", "float16", "bfloat16")


@contextmanager
def fused_normalisation() -> Iterator[None]:
    """Makes layers that are called in the block, to train, use the fused kernel where it fits.

    Outputs, gradients and moving averages are those of Keras to rounding.
    """
    layer_class = keras.layers.BatchNormalization
    plain = layer_class.call

    def call(
        layer: Any, inputs: tf.Tensor, training: bool | None = None, mask: Any = None
    ) -> tf.Tensor:
        if training and layer.trainable and mask is None and _fits(layer, inputs):
            return _normalised(layer, inputs)
        return plain(layer, inputs, training=training, mask=mask)

    layer_class.call = call
    try:
        yield
    finally:
        layer_class.call = plain


def _fits(layer: Any, inputs: tf.Tensor) -> bool:
    """Returns whether the kernel computes what a layer asks for: [n, height, width, channels]."""
    return (
        inputs.shape.rank == 4
        and layer.axis in (-1, 3)
        and inputs.dtype.name in _TYPES
        and layer.moving_mean.dtype == "float32"
        and layer.epsilon >= MIN_EPSILON
        and not layer.renorm
        and not layer.synchronized
    )


def _normalised(layer: Any, inputs: tf.Tensor) -> tf.Tensor:
    """Returns normalised inputs, in the layer's compute type; moves the layer's averages."""
    channels = [inputs.shape[-1]]
    scale = layer.gamma.value if layer.scale else tf.ones(channels)
    offset = layer.beta.value if layer.center else tf.zeros(channels)
    empty = tf.zeros([0])
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs, scale=scale, offset=offset, mean=empty, variance=empty, epsilon=layer.epsilon
    )
    # The kernel's variance is the unbiased one, Keras' average that of the batch itself.
    count = tf.cast(tf.size(inputs) // channels[0], tf.float32)
    variance *= (count - 1) / count
    for average, new in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        average.assign(average.value * layer.momentum + new * (1 - layer.momentum))
    return tf.cast(outputs, layer.compute_dtype)
