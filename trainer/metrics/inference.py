"""Runs a network on a stream of pictures."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from trainer.metrics.metrics import Predictions


def predictor(model: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """Returns the model as a compiled function: uint8[n, height, width, 3] → logits.

    It is traced once, for every n.
    """
    pixels = tf.TensorSpec(model.input_shape, tf.uint8)
    return tf.function(lambda images: model(images, training=False), input_signature=[pixels])


def predict(
    model: keras.Model | tf.types.experimental.PolymorphicFunction, stream: tf.data.Dataset
) -> Predictions:
    """Returns a network's predictions on a split.

    Args:
      model: a network, or its `predictor` where that is used again.
      stream: from `trainer.data.stream.evaluation_stream`.

    Raises:
      ValueError: the stream is empty.
    """
    function = predictor(model) if isinstance(model, keras.Model) else model
    ids: list[str] = []
    labels: list[np.ndarray] = []
    logits: list[np.ndarray] = []
    for images, batch_labels, batch_ids in stream:
        logits.append(np.asarray(function(images), np.float32))
        labels.append(np.asarray(batch_labels, np.int64))
        ids += [id_.decode("utf-8") for id_ in batch_ids.numpy()]
    if not ids:
        raise ValueError("nothing to predict: the stream is empty")
    return Predictions(tuple(ids), np.concatenate(labels), np.concatenate(logits))
