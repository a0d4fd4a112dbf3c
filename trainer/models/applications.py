"""The networks of keras.applications, each behind the preprocessing its weights expect."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable
from pathlib import Path

import keras
from keras import layers

from tfrecords.errors import TrainerError, UsageError
from trainer.config import TrainConfig
from trainer.models.head import add_head
from trainer.models.springfield_cnn import DEFAULT_MODEL

# Networks by the input range their ImageNet weights expect; those not named here have their
# preprocessing inside. Source: `preprocess_input` of each module.
_CAFFE = ("resnet50", "resnet101", "resnet152", "vgg16", "vgg19")
_TORCH = ("densenet121", "densenet169", "densenet201")
_SYMMETRIC = (
    "resnet50v2", "resnet101v2", "resnet152v2", "inceptionv3", "inceptionresnetv2", "xception",
    "mobilenet", "mobilenetv2", "nasnetlarge", "nasnetmobile",
)  # fmt: skip

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_CAFFE_BGR_MEAN = (103.939, 116.779, 123.68)


def build_application(config: TrainConfig, size: tuple[int, int], classes: int) -> keras.Model:
    """Returns a network of keras.applications with a head of ours.

    Args:
      config: --model, in any usual spelling; --weights; --dropout.
      size: (height, width).
      classes: number of logits.

    Raises:
      UsageError: no such network, or it cannot take images of this size.
      TrainerError: its ImageNet weights cannot be fetched.
    """
    known = application_names()
    name = plain_name(config.model)
    if name not in known:
        raise UsageError(
            f"--model: no {config.model!r} in keras.applications; did you mean "
            f"{_nearest(name, list(known))!r}? Also {DEFAULT_MODEL} and module:function"
        )
    pixels = layers.Input((*size, 3), name="pixels")
    x = _preprocess(pixels, name)
    backbone = _backbone(known[name], config, size)
    return keras.Model(pixels, add_head(backbone(x), classes, config.dropout), name=name)


def application_names() -> dict[str, Callable[..., keras.Model]]:
    """Returns plain name → constructor of every keras.applications network."""
    members = inspect.getmembers(keras.applications, inspect.isfunction)
    return {plain_name(name): constructor for name, constructor in members}


def plain_name(name: str) -> str:
    """Returns a name without case and punctuation: EfficientNetV2-B0 is efficientnetv2b0."""
    return "".join(character for character in name.lower() if character.isalnum())


def _nearest(name: str, known: list[str]) -> str:
    own = plain_name(DEFAULT_MODEL)
    nearest = difflib.get_close_matches(name, [own, *known], n=1, cutoff=0.0)[0]
    return DEFAULT_MODEL if nearest == own else nearest


def _backbone(
    constructor: Callable[..., keras.Model], config: TrainConfig, size: tuple[int, int]
) -> keras.Model:
    weights = "imagenet" if config.weights == "imagenet" else None
    try:
        return constructor(
            include_top=False, weights=weights, input_shape=(*size, 3), pooling="avg"
        )
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"--model={config.model} at {size[0]}x{size[1]}: {reason}") from error
    except Exception as error:
        # keras.utils.get_file raises a bare Exception where the network is absent.
        reason = str(error).strip().splitlines()[0]
        raise TrainerError(
            f"--weights=imagenet: cannot fetch the weights: {reason}. Offline, put that file into "
            f"{_keras_home() / 'models'} or give its path in --weights"
        ) from error


def _keras_home() -> Path:
    """Returns the directory of the files that Keras has fetched."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))


def _preprocess(pixels: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Returns pixels, 0 to 255, brought to the range that a network expects."""
    if name in _CAFFE:
        bgr = pixels[..., ::-1]
        return layers.Rescaling(1.0, [-mean for mean in _CAFFE_BGR_MEAN])(bgr)
    if name in _TORCH:
        scale = [1 / (255 * std) for std in _IMAGENET_STD]
        offset = [-m / s for m, s in zip(_IMAGENET_MEAN, _IMAGENET_STD, strict=True)]
        return layers.Rescaling(scale, offset)(pixels)
    if name in _SYMMETRIC:
        return layers.Rescaling(1 / 127.5, -1.0)(pixels)
    return pixels
