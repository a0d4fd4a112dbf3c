"""Runs a network on a stream of pictures."""

from __future__ import annotations

from collections import deque

import keras
import numpy as np
import tensorflow as tf

from trainer.metrics.metrics import Predictions

# Batches that a GPU may be computing while the host prepares another.
LATE = 2


def predictor(model: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """Returns the model as a compiled function: uint8[n, height, width, 3] → logits.

    It is traced once, for every n.
    """
    pixels = tf.TensorSpec(model.input_shape, tf.uint8)
    function = tf.function(lambda images: model(images, training=False), input_signature=[pixels])
    # TensorFlow takes the functions of several networks for one that is traced over and over, and
    # warns of that in a notebook that predicts with a few runs.
    function._omit_frequent_tracing_warning = True
    return function


def predict(
    model: keras.Model | tf.types.experimental.PolymorphicFunction,
    stream: tf.data.Dataset,
    device: str | None = None,
) -> Predictions:
    """Returns a network's predictions on a split.

    A GPU that predicts one batch is given the next: logits are read two batches late.

    Args:
      model: a network, or its `predictor` where that is used again.
      stream: from `trainer.data.stream.evaluation_stream`.
      device: to whose memory pictures are copied while it works on those before; None for none.

    Raises:
      ValueError: the stream is empty.
    """
    function = predictor(model) if isinstance(model, keras.Model) else model
    ids: list[str] = []
    labels: list[np.ndarray] = []
    logits: list[np.ndarray] = []
    computed: deque[tf.Tensor] = deque()
    for images, batch_labels, batch_ids in stream:
        if device is not None:
            with tf.device(device):
                images = tf.identity(images)
        computed.append(function(images))
        if len(computed) > LATE:
            logits.append(np.asarray(computed.popleft(), np.float32))
        labels.append(np.asarray(batch_labels, np.int64))
        ids += [id_.decode("utf-8") for id_ in batch_ids.numpy()]
    logits += [np.asarray(each, np.float32) for each in computed]
    if not ids:
        raise ValueError("nothing to predict: the stream is empty")
    return Predictions(tuple(ids), np.concatenate(labels), np.concatenate(logits))
