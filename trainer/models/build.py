"""Builds the network that --model names.

Every network takes pixels 0 to 255, [n, height, width, 3], does its own preprocessing and
gives float32 logits, [n, classes], whatever its precision inside.
"""

from __future__ import annotations

import importlib

import keras

from tfrecords.errors import UsageError
from trainer.config import TrainConfig
from trainer.models.applications import build_application
from trainer.models.springfield_cnn import DEFAULT_MODEL, springfield_cnn
from trainer.models.weights import load_matching_weights


def build(
    config: TrainConfig, size: tuple[int, int], classes: int, *, synchronized: bool = False
) -> keras.Model:
    """Returns a fresh network, with --weights loaded.

    Args:
      config: --model, --wide, --dropout, --weights.
      size: (height, width).
      classes: number of logits.
      synchronized: normalise over the batches of all replicas together.

    Raises:
      UsageError: no such model, or it cannot take images of this size.
      TrainerError: the weights cannot be loaded or fetched.
    """
    if config.model == DEFAULT_MODEL:
        model = springfield_cnn(
            size, classes, wide=config.wide, dropout=config.dropout, synchronized=synchronized
        )
    elif ":" in config.model:
        model = _custom_model(config.model, size, classes)
    else:
        model = build_application(config, size, classes)
    if config.weights not in ("none", "imagenet"):
        load_matching_weights(model, config.weights)
    return model


def _custom_model(name: str, size: tuple[int, int], classes: int) -> keras.Model:
    """Returns the network that a user's module:function gives."""
    module_name, _, function_name = name.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--model={name}: {error}") from error
    model = function(*size, classes)
    if not isinstance(model, keras.Model) or model.output_shape != (None, classes):
        raise UsageError(
            f"--model={name}: expected a keras.Model giving [n, {classes}] logits, got {model!r}"
        )
    return model
