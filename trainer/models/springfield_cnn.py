"""`springfield_cnn`, our own small network: a ResNet-9, behind a striding stem if large."""

from __future__ import annotations

import keras
from keras import layers

from trainer.models.head import add_head
from trainer.recipes.flags import FULL_UP_TO, OWN_MODEL

DEFAULT_MODEL = OWN_MODEL

# Which network the name stands for; a run's config.json has it. 1: the stem halved images up to
# `FULL_UP_TO`, too.
VERSION = 2


def is_current(size: tuple[int, int], version: int) -> bool:
    """Returns whether the network of an earlier version is today's at a size (height, width)."""
    return version == VERSION or max(size) > FULL_UP_TO


def springfield_cnn(
    size: tuple[int, int],
    classes: int,
    *,
    wide: bool = False,
    dropout: float = 0.1,
    synchronized: bool = False,
    version: int = VERSION,
) -> keras.Model:
    """Returns the network: 0.8 M parameters up to `FULL_UP_TO`, 1 M above; 1 M more if `wide`.

    Small images show little more than their details, so the first layers see every pixel of
    them. Of large ones the stem leaves a quarter of each side, before any costly layer, so that
    most of the work happens in wide layers on small maps: on two CPU cores, 13 epochs of a network
    that sees a half are worse than 28 of this one (docs/ablation.md).

    Args:
      size: (height, width).
      classes: number of logits.
      wide: add a stage of 512 filters.
      dropout: before the head.
      synchronized: normalise over the batches of all replicas together.
      version: of the run whose weights the network takes; see `VERSION`.
    """
    pixels = layers.Input((*size, 3), name="pixels")
    x = layers.Rescaling(1 / 127.5, -1.0)(pixels)
    if max(size) <= FULL_UP_TO and version >= 2:
        x = _at_full_resolution(x, synchronized)
    else:
        x = _behind_stem(x, quartered=max(size) > FULL_UP_TO, synchronized=synchronized)
    if wide:
        x = _conv(x, 512, synchronized=synchronized)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(pixels, add_head(x, classes, dropout), name=DEFAULT_MODEL)


def _at_full_resolution(x: keras.KerasTensor, synchronized: bool) -> keras.KerasTensor:
    x = _conv(x, 32, synchronized=synchronized)
    for filters in (32, 64, 128):
        x = _residual(_stage(x, filters, synchronized), synchronized)
    return _conv(x, 256, synchronized=synchronized)


def _behind_stem(x: keras.KerasTensor, *, quartered: bool, synchronized: bool) -> keras.KerasTensor:
    if quartered:
        x = _conv(x, 16, stride=2, synchronized=synchronized)
    x = _conv(x, 32, kernel=4, stride=2, synchronized=synchronized)
    x = _residual(_stage(x, 48, synchronized), synchronized)
    x = _stage(x, 96, synchronized)
    return _residual(_stage(x, 192, synchronized), synchronized)


def _stage(x: keras.KerasTensor, filters: int, synchronized: bool) -> keras.KerasTensor:
    x = _conv(x, filters, synchronized=synchronized)
    return layers.MaxPooling2D(padding="same")(x)


def _residual(x: keras.KerasTensor, synchronized: bool) -> keras.KerasTensor:
    y = _conv(x, x.shape[-1], synchronized=synchronized)
    y = _conv(y, x.shape[-1], synchronized=synchronized)
    return layers.Add()([x, y])


def _conv(
    x: keras.KerasTensor,
    filters: int,
    *,
    kernel: int = 3,
    stride: int = 1,
    synchronized: bool = False,
) -> keras.KerasTensor:
    x = layers.Conv2D(
        filters, kernel, stride, "same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    x = layers.BatchNormalization(momentum=0.9, synchronized=synchronized)(x)
    return layers.ReLU()(x)
