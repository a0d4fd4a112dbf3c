"""The classification head, and which layers of a network are trained beside it."""

from __future__ import annotations

import math
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
    for layer in every_layer(model):
        if layer.name == HEAD and layer.weights:
            return layer
    raise UsageError(
        f"{flag}: {model.name} has no layer named {HEAD!r}, so nothing would be left to train: "
        f"name the layer that gives the logits {HEAD!r}, or return "
        "{'model': model, 'head': its name}"
    )


def leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a network and of the networks inside it, from input to output."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer


def every_layer(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns all layers below a network, also those inside a layer; an outer one comes first."""
    return list(model._flatten_layers(include_self=False))


def frozen_parameters(model: keras.Model) -> int:
    """Returns how many parameters are in layers that are not trained."""
    frozen = {
        id(weight): math.prod(weight.shape)
        for layer in every_layer(model)
        if not layer.trainable
        for weight in layer.weights
    }
    return sum(frozen.values())


class Trainability:
    """Which layers of a network may be trained: remembers what it was built with.

    Args:
      model: the network, as built; layers and weights that are frozen now stay so.
    """

    def __init__(self, model: keras.Model) -> None:
        self._layers = [(layer, layer.trainable) for layer in every_layer(model)]
        self._weights = [(weight, weight.trainable) for weight in model.weights]

    def head_only(self) -> None:
        """Freezes everything but the head; frozen normalisation uses its moving averages."""
        for layer, _ in self._layers:
            layer.trainable = False
        for layer, trainable in self._layers:
            if layer.name == HEAD:
                layer.trainable = trainable
                self._put_back_weights_of(layer)

    def everything(self) -> None:
        """Makes every layer and weight trainable that was so when the network was built."""
        # A layer's switch sets those of all layers inside it, which come after it.
        for layer, trainable in self._layers:
            layer.trainable = trainable
        for weight, trainable in self._weights:
            weight.trainable = trainable

    def all_but_norms(self, loaded: frozenset[int]) -> None:
        """As `everything`, but batch normalisation whose weights were loaded stays as it is.

        Its statistics were gathered over a million pictures; those of a few small batches would
        replace them at once, before the layers behind it can follow.

        Args:
          loaded: identities of the variables whose values were loaded.
        """
        self.everything()
        for layer, _ in self._layers:
            is_norm = isinstance(layer, layers.BatchNormalization)
            if is_norm and all(id(variable) in loaded for variable in layer.weights):
                layer.trainable = False

    def _put_back_weights_of(self, layer: keras.layers.Layer) -> None:
        own = {id(weight) for weight in layer.weights}
        for weight, trainable in self._weights:
            if id(weight) in own:
                weight.trainable = trainable
