"""A network small enough to train in a test, as `--model=tests.support.networks.tiny:network`."""

from __future__ import annotations

import keras


def network(height: int, width: int, classes: int) -> keras.Model:
    """Returns a network with normalisation and dropout, whose state a resume must keep too."""
    return _network(height, width, classes, normalised=True)


def plain(height: int, width: int, classes: int) -> keras.Model:
    """Returns a network whose pictures do not affect each other."""
    return _network(height, width, classes, normalised=False)


def headless(height: int, width: int, classes: int) -> keras.Model:
    """Returns a network whose last layer has another name than head."""
    pixels = keras.Input((height, width, 3))
    x = keras.layers.GlobalAveragePooling2D()(pixels)
    return keras.Model(pixels, keras.layers.Dense(classes, name="logits")(x))


def pooled(height: int, width: int, classes: int) -> keras.Model:
    """Returns a network with max pooling, whose deterministic gradient XLA cannot compile."""
    pixels = keras.Input((height, width, 3))
    x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 127.5, -1.0)(pixels))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.MaxPooling2D()(x))
    return keras.Model(pixels, keras.layers.Dense(classes, name="head")(x))


def with_dropout(height: int, width: int, classes: int, dropout: float) -> keras.Model:
    """Returns a network that takes --dropout."""
    pixels = keras.Input((height, width, 3))
    x = keras.layers.GlobalAveragePooling2D()(pixels)
    x = keras.layers.Dropout(dropout)(x)
    return keras.Model(pixels, keras.layers.Dense(classes, name="head")(x))


def diverging(height: int, width: int, classes: int) -> keras.Model:
    """Returns a network whose loss leaves the finite at its first step, and not before."""
    pixels = keras.Input((height, width, 3))
    x = keras.layers.GlobalAveragePooling2D()(pixels)
    x = keras.layers.Rescaling(0.0, 1e38)(x)
    x = keras.layers.Dropout(0.75)(x)  # What is left is 4e38, more than float32 holds.
    return keras.Model(pixels, keras.layers.Dense(classes, name="head")(x))


def _network(height: int, width: int, classes: int, *, normalised: bool) -> keras.Model:
    pixels = keras.Input((height, width, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(pixels)
    x = keras.layers.Conv2D(8, 3, 2, use_bias=not normalised)(x)
    if normalised:
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    if normalised:
        x = keras.layers.Dropout(0.1)(x)
    return keras.Model(pixels, keras.layers.Dense(classes, dtype="float32", name="head")(x))
