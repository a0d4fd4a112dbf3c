"""A person's own network: the function that --model=module:function names, and what it gives."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfrecords.errors import EvenshardError, UsageError
from tfrecords.system import disk
from trainer.choices import DEFAULT_DROPOUT
from trainer.config import TrainConfig
from trainer.models import blame
from trainer.models.head import HEAD, every_layer
from trainer.models.random_state import kept

# A function may return its network alone, or a dict of these.
MODEL_KEY, HEAD_KEY = "model", "head"

# What follows the logits of most networks that are built for `model.fit`.
_PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")

_PROBES = 4  # Random pictures that a network is tried on.
_SUM_TOLERANCE = 0.01  # bfloat16 has 8 bits.


def is_own(model: str) -> bool:
    """Returns whether --model names a person's function."""
    return ":" in model


def build(
    config: TrainConfig, size: tuple[int, int], classes: int, *, traced: bool = True
) -> keras.Model:
    """Returns the network that a person's function gives, after it was tried.

    Args:
      config: --model, --dropout.
      size: (height, width).
      classes: number of logits.
      traced: also compile it, for training and for inference, so that an error of its code in
        either is told now.

    Raises:
      UsageError: no such function, it fails, or its network is not what is expected; the text says
        what to change, and where the person's code failed.
    """
    function = _find(config.model)
    with blaming(config.model):
        returned = _call(function, config, size, classes)
        model, head = _taken_apart(config.model, returned)
        model = _as_functional(model, size)
    _check_form(config.model, model, size, classes)
    if head:
        _name_head(config.model, model, head)
    _check_trainable(config.model, model)
    model = _in_float32(model)
    pixels = np.random.default_rng(0).integers(0, 256, (_PROBES, *size, 3)).astype(np.uint8)
    with kept(model), blaming(config.model):
        logits = np.asarray(tf.cast(model(pixels, training=False), tf.float32))
        _check_logits(config.model, model, logits)
        if traced:
            _trace(model, size)
        _check_saved(config.model, model, pixels, logits)
    return model


@contextmanager
def blaming(name: str, kind: type[EvenshardError] = UsageError) -> Iterator[None]:
    """Names the line of a person's code in which an error of the block arose.

    Args:
      name: --model.
      kind: of the error that is raised.

    Raises:
      UsageError: an exception that is not ours passed through the person's code; or `kind`.
    """
    try:
        yield
    except (EvenshardError, tf.errors.ResourceExhaustedError, MemoryError):
        raise
    except Exception as error:
        told = blame.told(error, name.partition(":")[0])
        if told is None:
            raise
        raise kind(f"--model={name}: {told} (-v shows the traceback)") from error


def _find(name: str) -> Callable[..., Any]:
    """Returns the function that --model names."""
    module_name, _, function_name = name.partition(":")
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())  # The command `evenshard` is not in it.
    with blaming(name):
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if not f"{module_name}.".startswith(f"{error.name}."):
                raise  # One that the module itself imports.
            raise UsageError(
                f"--model={name}: {error}; the module is looked for as Python's import does, in "
                "the working directory and in PYTHONPATH"
            ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        what = "no attribute" if function is None else "no function in the attribute"
        raise UsageError(f"--model={name}: {module.__file__} has {what} {function_name!r}")
    return function


def _call(
    function: Callable[..., Any], config: TrainConfig, size: tuple[int, int], classes: int
) -> Any:
    """Calls a person's function, with --dropout where it takes one.

    Raises:
      UsageError: it takes other arguments, or --dropout was given and it has no such parameter.
    """
    signature = inspect.signature(function)
    dropout = {"dropout": config.dropout} if "dropout" in signature.parameters else {}
    if config.dropout != DEFAULT_DROPOUT and not dropout:
        raise UsageError(
            f"--dropout={config.dropout}: {config.model} takes none; give its function a parameter "
            "named dropout, or leave the flag out"
        )
    try:
        signature.bind(*size, classes, **dropout)
    except TypeError as error:
        raise UsageError(
            f"--model={config.model}: it is called with (height, width, classes) and takes "
            f"{signature}: {error}"
        ) from error
    return function(*size, classes, **dropout)


def _taken_apart(name: str, returned: Any) -> tuple[keras.Model, str]:
    """Returns the network and the name of its head, "" for the usual one."""
    model, head = returned, ""
    if isinstance(returned, Mapping):
        unknown = ", ".join(map(repr, returned.keys() - {MODEL_KEY, HEAD_KEY}))
        if unknown or MODEL_KEY not in returned:
            raise UsageError(
                f"--model={name}: a dict of {MODEL_KEY!r} and {HEAD_KEY!r} is expected, not "
                f"{unknown or 'one without a model'}"
            )
        model, head = returned[MODEL_KEY], returned.get(HEAD_KEY, "")
    if not isinstance(model, keras.Model):
        raise UsageError(
            f"--model={name}: expected a keras.Model, or a dict of {MODEL_KEY!r} and {HEAD_KEY!r}, "
            f"got {type(model).__name__}"
        )
    if not isinstance(head, str):
        raise UsageError(
            f"--model={name}: {HEAD_KEY!r} is the name of a layer, not a {type(head).__name__}"
        )
    return model, head


def _as_functional(model: keras.Model, size: tuple[int, int]) -> keras.Model:
    """Returns a network with known inputs and outputs; a subclassed one becomes its only layer."""
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *size, 3))
    if getattr(model, "inputs", None):
        return model
    pixels = layers.Input((*size, 3), name="pixels")
    return keras.Model(pixels, model(pixels), name=f"{model.name}_of_pixels")


def _check_form(name: str, model: keras.Model, size: tuple[int, int], classes: int) -> None:
    """Checks the shapes of a network's input and output.

    Raises:
      UsageError: it takes or gives something else.
    """
    expected, given = (None, *size, 3), [tuple(each.shape) for each in model.inputs]
    if len(given) != 1 or not _fits(given[0], expected):
        raise UsageError(
            f"--model={name}: expected one input of pixels {_shape(expected)}, got "
            f"{' and '.join(map(_shape, given))}"
        )
    outputs = model.outputs
    if len(outputs) != 1 or tuple(outputs[0].shape) != (None, classes):
        shapes = " and ".join(_shape(tuple(each.shape)) for each in outputs)
        raise UsageError(
            f"--model={name}: expected a keras.Model giving [n, {classes}] logits, got {shapes}"
        )


def _fits(shape: tuple[int | None, ...], expected: tuple[int | None, ...]) -> bool:
    """Returns whether a shape takes pictures of the expected one, with any number of them."""
    if len(shape) != len(expected) or shape[0] is not None:
        return False
    return all(side in (None, wanted) for side, wanted in zip(shape[1:], expected[1:], strict=True))


def _shape(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('n' if side is None else str(side) for side in shape)}]"


def _name_head(name: str, model: keras.Model, head: str) -> None:
    """Gives the layer that a function names as its head the name that heads have."""
    every = every_layer(model)
    found = [layer for layer in every if layer.name == head]
    others = [layer for layer in every if layer.name == HEAD and layer.name != head]
    if not found:
        known = ", ".join(layer.name for layer in every[-3:])
        raise UsageError(
            f"--model={name}: its {HEAD_KEY!r} is {head!r}, and no layer of the network has that "
            f"name; its last ones are {known}"
        )
    if others:
        raise UsageError(
            f"--model={name}: its {HEAD_KEY!r} is {head!r}, and another layer is named {HEAD!r}: "
            "give that one another name"
        )
    found[0].name = HEAD


def _check_trainable(name: str, model: keras.Model) -> None:
    if not model.trainable_variables:
        raise UsageError(
            f"--model={name}: every layer is frozen (trainable=False), so nothing is left to train"
        )


def _in_float32(model: keras.Model) -> keras.Model:
    """Returns a network whose logits are float32, also where its precision is mixed."""
    if model.outputs[0].dtype == "float32":
        return model
    cast = layers.Activation("linear", dtype="float32", name="float32_logits")
    return keras.Model(model.inputs[0], cast(model.outputs[0]), name=model.name)


def _check_logits(name: str, model: keras.Model, logits: np.ndarray) -> None:
    """Checks that a network gives logits: finite, and not yet probabilities.

    Args:
      name: --model.
      model: the network.
      logits: float32[n, classes], what it gives for random pictures.

    Raises:
      UsageError: it ends in softmax or sigmoid, gives what softmax gives, or is not finite.
    """
    if not np.isfinite(logits).all():
        raise UsageError(
            f"--model={name}: it gives numbers that are not finite for pixels 0 to 255: scale "
            "them first, as with keras.layers.Rescaling(1 / 255)"
        )
    activation = _last_activation(model)
    sums = np.abs(logits.sum(axis=-1) - 1) < _SUM_TOLERANCE
    if not activation and bool((logits >= 0).all() and sums.all()):
        activation = "softmax (its outputs are 0 or more and sum to 1)"
    if activation:
        raise UsageError(
            f"--model={name}: it gives probabilities, by {activation}, and the loss expects "
            "logits: leave out the last activation"
        )


def _last_activation(model: keras.Model) -> str:
    """Returns the name of the activation behind a network's logits, or ""."""
    last = model.outputs[0]._keras_history.operation
    if isinstance(last, keras.Model):
        return _last_activation(last) if getattr(last, "outputs", None) else ""
    if isinstance(last, layers.Softmax):
        return "softmax"
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    return activation if activation in _PROBABILITIES else ""


def _trace(model: keras.Model, size: tuple[int, int]) -> None:
    """Compiles a network for training and for inference, without running it."""
    pixels = tf.TensorSpec((None, *size, 3), tf.uint8)
    for training in (True, False):
        tf.function(lambda images, training=training: model(images, training=training)) \
            .get_concrete_function(pixels)  # fmt: skip


def _check_saved(name: str, model: keras.Model, pixels: np.ndarray, logits: np.ndarray) -> None:
    """Checks that model.keras, written at the end of a run, will give the same network.

    Raises:
      UsageError: Keras cannot write it, or reads another network from it.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What Keras guesses at is compared below.
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
            read = keras.saving.load_model(
                path,
                custom_objects=_own_objects(name, model),
                compile=False,
                safe_mode=False,  # The command line names this code.
            )
            found = np.asarray(tf.cast(read(pixels, training=False), tf.float32))
        except Exception as error:
            if disk.find(error) is not None:
                raise  # Not the network's fault, and told as what it is.
            raise UsageError(
                f"--model={name}: Keras cannot save it in a .keras file and read it back: "
                f"{blame.reason(error)}; give its layers get_config, and save in __init__ what "
                "that returns"
            ) from error
    # A few steps of bfloat16: a GPU need not choose the same kernels twice.
    tolerance = 1e-3 + 0.02 * float(np.abs(logits).max())
    same = len(read.weights) == len(model.weights) and all(
        np.array_equal(ours.numpy(), theirs.numpy())
        for ours, theirs in zip(model.weights, read.weights, strict=True)
    )
    if not same or not np.allclose(found, logits, rtol=0, atol=tolerance):
        raise UsageError(
            f"--model={name}: saved in a .keras file and read back, it is a different network: "
            "get_config of a layer leaves something out, or weights are made in call; make them "
            "in build"
        )


def _own_objects(name: str, model: keras.Model) -> dict[str, Any]:
    """Returns a person's classes and functions by name: of their module, and of the network."""
    module = vars(importlib.import_module(name.partition(":")[0]))
    found = [each for each in module.values() if callable(each)]
    for layer in every_layer(model):
        found += [type(layer), getattr(layer, "function", None), getattr(layer, "activation", None)]
    named = {getattr(each, "__name__", ""): each for each in found if each is not None}
    return {key: each for key, each in named.items() if key and not _is_keras(each)}


def _is_keras(each: Any) -> bool:
    return str(getattr(each, "__module__", "")).partition(".")[0] == "keras"
