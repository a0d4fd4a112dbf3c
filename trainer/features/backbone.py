"""The backbone of a network: what lies before its head, as a function from pixels to features."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfrecords.errors import UsageError
from trainer.models import onnx_graph
from trainer.models.head import head_of, leaves

# uint8[n, height, width, 3] → float32[n, channels].
Runtime = Callable[[np.ndarray], np.ndarray]

# onnxruntime computes twice as many pictures a second on a CPU as TensorFlow, but converting a
# network for it takes as long as some hundreds of pictures.
ONNX_FROM = 1000

ONNX, TENSORFLOW = "onnxruntime", "TensorFlow"
_ONNX_MODULES = ("onnx", "onnxruntime", "tf2onnx")


def backbone_of(model: keras.Model, flag: str = "--freeze=backbone") -> keras.Model:
    """Returns the part of a network that gives its head's input, [n, channels].

    Raises:
      UsageError: it has no head, or something follows it, or its input has another form.
    """
    head = head_of(model, flag)
    if not any(layer is head for layer in model.layers):
        raise UsageError(
            f"{flag}: the head of {model.name} is inside another layer: build the network as "
            "keras.Model(inputs, outputs)"
        )
    features = _before_dropout(head)
    if not isinstance(head, keras.layers.Dense) or head.output is not model.outputs[0]:
        raise UsageError(f"{flag}: the head of {model.name} must be a Dense layer, and the last")
    if len(features.shape) != 2 or head.activation is not keras.activations.linear:
        raise UsageError(
            f"{flag}: the head of {model.name} must give logits for [n, channels], not "
            f"{head.activation.__name__} of {list(features.shape)}"
        )
    return keras.Model(model.inputs, features)


def digest(backbone: keras.Model, model_name: str) -> str:
    """Returns a digest of what decides a backbone's features: its layers and their weights.

    Args:
      backbone: from `backbone_of`.
      model_name: --model.
    """
    layers = [(type(layer).__name__, _settings(layer)) for layer in leaves(backbone)]
    policy = keras.mixed_precision.dtype_policy().name
    text = json.dumps([model_name, policy, layers], sort_keys=True, default=str)
    total = hashlib.sha256(text.encode())
    for weight in backbone.weights:
        total.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return total.hexdigest()


class Runtimes:
    """The ways to compute features here; each is made once.

    Args:
      backbone: from `backbone_of`.
      on_cpu: whether TensorFlow computes on a CPU.
    """

    def __init__(self, backbone: keras.Model, *, on_cpu: bool) -> None:
        self._backbone = backbone
        installed = all(importlib.util.find_spec(name) for name in _ONNX_MODULES)
        self._may_use_onnx = on_cpu and installed
        self._made: dict[str, Runtime] = {}

    def quickest(self, pictures: int) -> tuple[str, Runtime]:
        """Returns the name and the function of the way that is quicker for so many pictures."""
        if self._may_use_onnx and (ONNX in self._made or pictures >= ONNX_FROM):
            return ONNX, self._get(ONNX, onnx_runtime)
        return TENSORFLOW, self._get(TENSORFLOW, tensorflow_runtime)

    def _get(self, name: str, make: Callable[[keras.Model], Runtime]) -> Runtime:
        if name not in self._made:
            self._made[name] = make(self._backbone)
        return self._made[name]


def tensorflow_runtime(backbone: keras.Model) -> Runtime:
    """Returns the backbone as a function that TensorFlow computes."""
    function = _function(backbone)
    return lambda images: np.asarray(function(images), np.float32)


def onnx_runtime(backbone: keras.Model) -> Runtime:
    """Returns the backbone as a function that onnxruntime computes on the CPU."""
    import onnxruntime

    model = onnx_graph.convert(_function(backbone).get_concrete_function(), "pixels", "features")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return lambda images: session.run(["features"], {"pixels": images})[0]


def _function(backbone: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    pixels = tf.TensorSpec(backbone.input_shape, tf.uint8)

    def features(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(backbone(images, training=False), tf.float32)

    return tf.function(features, input_signature=[pixels])


def _before_dropout(head: keras.layers.Layer) -> keras.KerasTensor:
    """Returns the head's input; that of a dropout before it, which does nothing in inference."""
    features = head.input
    layer = features._keras_history.operation
    return layer.input if isinstance(layer, keras.layers.Dropout) else features


def _settings(layer: keras.layers.Layer) -> dict[str, object]:
    """Returns a layer's settings without its name, which Keras numbers on through a process."""
    unsettled: Sequence[str] = ("name", "dtype", "trainable")
    return {k: v for k, v in layer.get_config().items() if k not in unsettled}
