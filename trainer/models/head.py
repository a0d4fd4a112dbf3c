"""The classification head, and which layers of a network are trained beside it."""

from __future__ import annotations

from collections.abc import Iterator

import keras
from keras import layers

from tfrecords.errors import UsageError

# Name of the layer that gives the logits. Fine-tuning trains it alone at first.
HEAD = "head"


def add_head(features: keras.KerasTensor, classes: int, dropout: float) -> keras.KerasTensor:
    """Returns float32 logits, [n, classes], of features, [n, channels]."""
    if dropout:
        features = layers.Dropout(dropout)(features)
    return layers.Dense(classes, dtype="float32", name=HEAD)(features)


def head_of(model: keras.Model, flag: str) -> keras.layers.Layer:
    """Returns the layer that gives a network's logits.

    Args:
      model: the network.
      flag: that asks for it, for the error's text.

    Raises:
      UsageError: the network has no layer of that name with weights.
    """
    for layer in model.layers:
        if layer.name == HEAD and layer.weights:
            return layer
    raise UsageError(
        f"{flag}: {model.name} has no layer named {HEAD!r}, so nothing would be left to train: "
        f"name the layer that gives the logits {HEAD!r}"
    )


def leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a network and of the networks inside it, from input to output."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer


class Trainability:
    """Which layers of a network may be trained: remembers what it was built with.

    Args:
      model: the network, as built; layers that are frozen now stay so.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._initial = [(layer, layer.trainable) for layer in leaves(model)]

    def head_only(self) -> None:
        """Freezes everything but the head; frozen normalisation uses its moving averages."""
        for layer, trainable in self._initial:
            layer.trainable = trainable and layer.name == HEAD

    def everything(self) -> None:
        """Makes every layer trainable that was so when the network was built."""
        # A network inside another has a switch of its own, which sets those of all its layers.
        for layer in self._model.layers:
            if isinstance(layer, keras.Model):
                layer.trainable = True
        for layer, trainable in self._initial:
            layer.trainable = trainable

    def all_but_norms(self, loaded: frozenset[int]) -> None:
        """As `everything`, but batch normalisation whose weights were loaded stays as it is.

        Its statistics were gathered over a million pictures; those of a few small batches would
        replace them at once, before the layers behind it can follow.

        Args:
          loaded: identities of the variables whose values were loaded.
        """
        self.everything()
        for layer, _ in self._initial:
            if isinstance(layer, layers.BatchNormalization):
                if all(id(variable) in loaded for variable in layer.weights):
                    layer.trainable = False
