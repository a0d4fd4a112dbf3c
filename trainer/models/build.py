"""Networks: `springfield_cnn`, any of keras.applications, or one of your own.

Every network takes pixels 0 to 255, [n, height, width, 3], does its own preprocessing and
gives float32 logits, [n, classes], whatever the precision inside.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from tfrecords.errors import TrainerError, UsageError
from tfrecords.manifest import Manifest
from trainer.config import TrainConfig
from trainer.data import selection as selections
from trainer.data.selection import Selection
from trainer.runs import checkpoints

DEFAULT_MODEL = "springfield_cnn"
HEAD = "head"

# Pictures with a longer side than this are halved twice by the stem of `springfield_cnn`.
HALVED_UP_TO = 48

# keras.applications by what their ImageNet weights expect; those not named here have their
# preprocessing inside. Source: each module's `preprocess_input`.
_CAFFE = ("resnet50", "resnet101", "resnet152", "vgg16", "vgg19")
_TORCH = ("densenet121", "densenet169", "densenet201")
_SYMMETRIC: tuple[str, ...] = (
    "resnet50v2",
    "resnet101v2",
    "resnet152v2",
    "inceptionv3",
    "inceptionresnetv2",
)
_SYMMETRIC += ("xception", "mobilenet", "mobilenetv2", "nasnetlarge", "nasnetmobile")

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_CAFFE_BGR_MEAN = (103.939, 116.779, 123.68)


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A trained network with what is needed to use it.

    Attributes:
      model: pixels 0 to 255, [n, *size, 3] → logits float32[n, classes].
      config: of the run.
      selection: classes in label order, and which records trained it.
      size: (height, width) of its pixels.
      train_counts: originals of each class that it was trained on.
      manifest: of the data set it was trained on, as its config.json holds it.
    """

    model: keras.Model
    config: TrainConfig
    selection: Selection
    size: tuple[int, int]
    train_counts: tuple[int, ...]
    manifest: Manifest


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
      UsageError: no such model, or it cannot take pictures of this size.
      TrainerError: weights that cannot be loaded or fetched.
    """
    if config.model == DEFAULT_MODEL:
        model = springfield_cnn(
            size, classes, wide=config.wide, dropout=config.dropout, synchronized=synchronized
        )
    elif ":" in config.model:
        model = _own_model(config.model, size, classes)
    else:
        model = _application(config, size, classes)
    if config.weights not in ("none", "imagenet"):
        load_matching_weights(model, config.weights)
    return model


def springfield_cnn(
    size: tuple[int, int],
    classes: int,
    *,
    wide: bool = False,
    dropout: float = 0.1,
    synchronized: bool = False,
) -> keras.Model:
    """Returns the project's own small network: 1 M parameters, 1.8 M when `wide`.

    A ResNet-9 whose stem halves pictures, and quarters those above `HALVED_UP_TO`, before
    anything costly is done to them, so that most of the work is in wide layers on small maps.
    On two CPU cores a step at 32 pixels then takes a seventh of the time of one without a
    striding stem (1,231 to 175 pictures/s), and seven epochs of the one teach more than one of
    the other. `wide` adds a stage of 512 filters.
    """
    pixels = layers.Input((*size, 3), name="pixels")
    x = layers.Rescaling(1 / 127.5, -1.0)(pixels)
    if max(size) > HALVED_UP_TO:
        x = _conv(x, 16, stride=2, synchronized=synchronized)
    x = _conv(x, 32, kernel=4, stride=2, synchronized=synchronized)
    x = _residual(_stage(x, 48, synchronized), synchronized)
    x = _stage(x, 96, synchronized)
    x = _residual(_stage(x, 192, synchronized), synchronized)
    if wide:
        x = _conv(x, 512, synchronized=synchronized)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(pixels, _head(x, classes, dropout), name=DEFAULT_MODEL)


def application_names() -> dict[str, Callable[..., keras.Model]]:
    """Returns plain name → constructor of every keras.applications network."""
    found = inspect.getmembers(keras.applications, inspect.isfunction)
    return {_plain(name): constructor for name, constructor in found}


def load_matching_weights(model: keras.Model, path: str) -> int:
    """Loads a .keras or .weights.h5 file; layers of another shape keep their own weights.

    Returns:
      How many variables were loaded (0 is an error).

    Raises:
      TrainerError: the file cannot be read, or nothing in it fits.
    """
    if not Path(path).is_file():
        raise TrainerError(f"--weights: no file {path}; give none, imagenet or a file")
    try:
        before = [np.array(v.numpy()) for v in model.variables]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of each layer that does not fit.
            model.load_weights(path, skip_mismatch=True)
        after = (v.numpy() for v in model.variables)
        loaded = sum(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    except (OSError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0]
        raise TrainerError(f"--weights: cannot load {path}: {first}") from error
    if not loaded:
        raise TrainerError(f"--weights: nothing in {path} fits --model={model.name}")
    return loaded


def backbone_variables(model: keras.Model) -> list[keras.Variable]:
    """Returns the trainable variables outside the head."""
    head = {id(v) for layer in model.layers if layer.name == HEAD for v in layer.variables}
    return [v for v in model.trainable_variables if id(v) not in head]


def freeze_backbone(model: keras.Model, *, frozen: bool) -> None:
    """Makes everything but the head (un)trainable; frozen normalisation uses its averages."""
    for layer in model.layers:
        if layer.name != HEAD:
            layer.trainable = not frozen


def load_run(run_dir: str | Path, which: str = "best") -> LoadedRun:
    """Returns the network of a run, ready to predict.

    Args:
      run_dir: of `trainer.train`.
      which: "best" by --monitor, or "last".

    Raises:
      TrainerError: the directory is not a run, or has no usable checkpoint yet.
    """
    run = Path(run_dir)
    try:
        stored = json.loads((run / "config.json").read_text(encoding="utf-8"))
        config = TrainConfig.from_dict(stored["flags"])
        selection = Selection(
            tuple(stored["selection"]["classes"]),
            tuple(stored["selection"]["labels"]),
            stored["selection"]["max_rank"],
            stored["selection"]["originals_only"],
        )
        size = (int(stored["size"][0]), int(stored["size"][1]))
        manifest = Manifest.from_json(json.dumps(stored["manifest"]))
    except FileNotFoundError as error:
        raise TrainerError(f"{run} is not a run directory: it has no config.json") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TrainerError(f"{run / 'config.json'} is damaged: {error!r}") from error
    model = build(_without_weights(config), size, len(selection.classes))
    store = checkpoints.Store(run / "checkpoints")
    checkpoint = store.best() if which == "best" else store.latest()
    if checkpoint is None:
        raise TrainerError(f"{run} has no {which} checkpoint yet: train first")
    checkpoints.assign(model_state(model), checkpoint.arrays)
    counts = selection.originals(manifest.split(config.train_split))
    return LoadedRun(model, config, selection, size, counts, manifest)


def model_state(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns every variable of a model, dropout's random state too, by a stable name.

    By position, not by path: Keras numbers layers on through a process, so paths differ.
    """
    return {f"model/{i:04d}/{v.name}": v for i, v in enumerate(model.variables)}


def check_source(run: LoadedRun, manifest: Manifest) -> Selection:
    """Returns the run's selection in terms of another manifest, matched by class names.

    Raises:
      TrainerError: the data set lacks a class of the run.
    """
    missing = [name for name in run.selection.classes if name not in manifest.classes]
    if missing:
        raise TrainerError(f"the data set has no class {missing[0]!r}, which the run knows")
    return selections.select(manifest, manifest.splits[0].name, classes=run.selection.classes)


def _without_weights(config: TrainConfig) -> TrainConfig:
    return TrainConfig.from_dict(config.to_dict() | {"weights": "none", "freeze_epochs": 0})


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


def _head(x: keras.KerasTensor, classes: int, dropout: float) -> keras.KerasTensor:
    if dropout:
        x = layers.Dropout(dropout)(x)
    return layers.Dense(classes, dtype="float32", name=HEAD)(x)


def _own_model(name: str, size: tuple[int, int], classes: int) -> keras.Model:
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


def _application(config: TrainConfig, size: tuple[int, int], classes: int) -> keras.Model:
    known = application_names()
    constructor = known.get(_plain(config.model))
    if constructor is None:
        nearest = difflib.get_close_matches(
            _plain(config.model), [_plain(DEFAULT_MODEL), *known], n=1, cutoff=0.0
        )[0]
        nearest = DEFAULT_MODEL if nearest == _plain(DEFAULT_MODEL) else nearest
        raise UsageError(
            f"--model: no {config.model!r} in keras.applications; did you mean {nearest!r}? "
            f"Also {DEFAULT_MODEL} and module:function"
        )
    pixels = layers.Input((*size, 3), name="pixels")
    x = _preprocess(pixels, _plain(config.model))
    backbone = _backbone(constructor, config, size)
    return keras.Model(
        pixels, _head(backbone(x), classes, config.dropout), name=_plain(config.model)
    )


def _backbone(
    constructor: Callable[..., keras.Model], config: TrainConfig, size: tuple[int, int]
) -> keras.Model:
    weights = None if config.weights != "imagenet" else "imagenet"
    try:
        return constructor(
            include_top=False, weights=weights, input_shape=(*size, 3), pooling="avg"
        )
    except ValueError as error:
        first = str(error).strip().splitlines()[0]
        raise UsageError(f"--model={config.model} at {size[0]}x{size[1]}: {first}") from error
    except Exception as error:
        # keras.utils.get_file raises a bare Exception where the network is absent.
        first = str(error).strip().splitlines()[0]
        raise TrainerError(
            f"--weights=imagenet: cannot fetch the weights: {first}. Offline, put that file into "
            f"{_keras_home() / 'models'} or give its path in --weights"
        ) from error


def _keras_home() -> Path:
    """Returns where Keras keeps what it fetched."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))


def _preprocess(pixels: keras.KerasTensor, name: str) -> keras.KerasTensor:
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


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
