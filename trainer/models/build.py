"""Builds the network that --model names.

Every network takes pixels 0 to 255, [n, height, width, 3], does its own preprocessing and
gives float32 logits, [n, classes], whatever its precision inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras

from trainer.config import TrainConfig
from trainer.models import efficientnet_lite, own
from trainer.models.applications import build_application, plain_name
from trainer.models.head import HEAD, head_of
from trainer.models.springfield_cnn import DEFAULT_MODEL, VERSION, springfield_cnn
from trainer.models.weights import Loaded, load_matching_weights
from trainer.recipes.flags import IMAGENET, MULTILEVEL, NO_WEIGHTS


@dataclass(frozen=True, eq=False)
class Network:
    """A network, and which of its weights were loaded.

    Attributes:
      model: the network.
      loaded: from --weights; None where every weight is new.
    """

    model: keras.Model
    loaded: Loaded | None = None


def build(
    config: TrainConfig, size: tuple[int, int], classes: int, *, version: int = VERSION
) -> keras.Model:
    """Returns the model of `build_network`."""
    return build_network(config, size, classes, version=version).model


def build_network(
    config: TrainConfig,
    size: tuple[int, int],
    classes: int,
    *,
    synchronized: bool = False,
    version: int = VERSION,
) -> Network:
    """Returns a fresh network, with --weights loaded.

    Args:
      config: --model, --wide, --dropout, --weights, --partial_weights,
        --freeze, --freeze_epochs.
      size: (height, width).
      classes: number of logits.
      synchronized: normalise over the batches of all replicas together.
      version: of springfield_cnn: that of the run whose weights it takes.

    Raises:
      UsageError: no such model, it cannot take images of this size, it has no head to train, or a
        person's own gives something else than logits.
      TrainerError: the weights cannot be loaded or fetched.
    """
    if config.model == DEFAULT_MODEL:
        model = springfield_cnn(
            size,
            classes,
            wide=config.wide,
            dropout=config.dropout,
            synchronized=synchronized,
            version=version,
        )
    elif own.is_own(config.model):
        model = own.build(config, size, classes, traced=not synchronized)
    elif plain_name(config.model) in efficientnet_lite.VARIANTS:
        model = efficientnet_lite.build(
            plain_name(config.model),
            size,
            classes,
            config.dropout,
            multilevel=config.head_features == MULTILEVEL,
        )
    else:
        model = build_application(config, size, classes)
    if config.frozen_epochs:
        head_of(model, "--freeze=backbone" if config.fits_head else "--freeze_epochs")
    return Network(model, _load(config, model))


def _load(config: TrainConfig, model: keras.Model) -> Loaded | None:
    """Loads --weights, but those that a network of keras.applications is built with."""
    if config.weights == NO_WEIGHTS:
        return None
    if config.weights != IMAGENET:
        return load_matching_weights(model, config.weights, partial=config.partial_weights)
    if plain_name(config.model) in efficientnet_lite.VARIANTS:
        return efficientnet_lite.load_imagenet(model, plain_name(config.model))
    backbone = (layer for layer in model.layers if layer.name != HEAD)
    return Loaded.of(
        "keras.applications", model, (weight for layer in backbone for weight in layer.weights)
    )
