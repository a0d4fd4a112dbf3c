"""The classification head: the last layers, which every network of ours ends with."""

from __future__ import annotations

import keras
from keras import layers

# Name of the layer that gives the logits. Fine-tuning trains it alone at first.
HEAD = "head"


def add_head(features: keras.KerasTensor, classes: int, dropout: float) -> keras.KerasTensor:
    """Returns float32 logits, [n, classes], of features, [n, channels]."""
    if dropout:
        features = layers.Dropout(dropout)(features)
    return layers.Dense(classes, dtype="float32", name=HEAD)(features)


def freeze_backbone(model: keras.Model, *, frozen: bool) -> None:
    """Makes everything but the head untrainable, or trainable again.

    Normalisation that is frozen uses its moving averages.
    """
    for layer in model.layers:
        if layer.name != HEAD:
            layer.trainable = not frozen
