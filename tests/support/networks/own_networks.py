"""Networks as people write them, some of them wrong.

For `--model=tests.support.networks.own_networks:NAME`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable("evenshard_tests")
class Subclassed(keras.Model):
    """A subclassed network that Keras can save."""

    def __init__(self, classes: int, width: int = 4, **rest: Any) -> None:
        super().__init__(**rest)
        self.classes, self.width = classes, width
        self.scale = layers.Rescaling(1 / 255)
        self.conv = layers.Conv2D(width, 3, 2)
        self.norm = layers.BatchNormalization(momentum=0.9)
        self.pool = layers.GlobalAveragePooling2D()
        self.head = layers.Dense(classes, name="head")

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = self.norm(self.conv(self.scale(x)), training=training)
        return self.head(self.pool(x))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "classes": self.classes, "width": self.width}


class Careless(Subclassed):
    """A subclassed network that forgets a setting, which changes no shape of its output."""

    def get_config(self) -> dict[str, Any]:
        return {"classes": self.classes}


class Forgetful(keras.Model):
    """A subclassed network whose settings cannot be read back: a function is among them."""

    def __init__(self, make: Callable[[], keras.layers.Layer]) -> None:
        super().__init__()
        self.pool, self.made = layers.GlobalAveragePooling2D(), make()

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.made(self.pool(x))


class Failing(layers.Layer):
    """A layer that fails when it is called."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        raise ValueError("a mistake in call")


class FailingInTraining(layers.Layer):
    """A layer that fails in training alone, and once it is compiled."""

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        if training:
            return x if tf.reduce_sum(x) > 0 and x.shape[0] > 3 else -x
        return x


class FailingWhenRun(layers.Layer):
    """A layer that fails in training alone, once there are numbers."""

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        if training:
            tf.debugging.assert_less(x, -1.0, message="a mistake that only numbers show")
        return x


class Composite(layers.Layer):
    """A layer that has layers, one of which is frozen."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(**rest)
        self.frozen, self.free = layers.Dense(4), layers.Dense(4)
        self.frozen.trainable = False

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.frozen.build(shape)
        self.free.build((None, 4))
        self.frozen.trainable = False

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.free(self.frozen(x))


def subclassed(height: int, width: int, classes: int) -> keras.Model:
    return Subclassed(classes)


def forgetful(height: int, width: int, classes: int) -> keras.Model:
    return Forgetful(lambda: layers.Dense(classes))


def careless(height: int, width: int, classes: int) -> keras.Model:
    return Careless(classes, width=8)


def sequential(height: int, width: int, classes: int) -> keras.Model:
    return keras.Sequential([layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(classes)])


def failing(height: int, width: int, classes: int) -> keras.Model:
    return _pooled(height, width, lambda x: layers.Dense(classes)(Failing()(x)))


def failing_in_training(height: int, width: int, classes: int) -> keras.Model:
    return _pooled(height, width, lambda x: layers.Dense(classes)(FailingInTraining()(x)))


def failing_when_run(height: int, width: int, classes: int) -> keras.Model:
    return _pooled(height, width, lambda x: layers.Dense(classes)(FailingWhenRun()(x)))


def mistaken(height: int, width: int, classes: int) -> keras.Model:
    return layers.Dense(undefined)(None)  # type: ignore[name-defined]  # noqa: F821


def softmax(height: int, width: int, classes: int) -> keras.Model:
    return _pooled(height, width, layers.Dense(classes, activation="softmax"))


def softmax_layer(height: int, width: int, classes: int) -> keras.Model:
    return _pooled(height, width, lambda x: layers.Softmax()(layers.Dense(classes)(x)))


def softmax_function(height: int, width: int, classes: int) -> keras.Model:
    return _pooled(height, width, lambda x: keras.ops.softmax(layers.Dense(classes)(x)))


def sigmoid(height: int, width: int, classes: int) -> keras.Model:
    return _pooled(height, width, lambda x: layers.Activation("sigmoid")(layers.Dense(classes)(x)))


def nested_softmax(height: int, width: int, classes: int) -> keras.Model:
    inner = keras.Sequential([layers.Input((3,)), layers.Dense(classes, activation="softmax")])
    return _pooled(height, width, inner)


def not_finite(height: int, width: int, classes: int) -> keras.Model:
    return _pooled(height, width, lambda x: layers.Rescaling(1e38)(layers.Dense(classes)(x * 1e3)))


def two_outputs(height: int, width: int, classes: int) -> keras.Model:
    pixels = keras.Input((height, width, 3))
    x = layers.GlobalAveragePooling2D()(pixels)
    return keras.Model(pixels, [layers.Dense(classes)(x), layers.Dense(classes)(x)])


def other_size(height: int, width: int, classes: int) -> keras.Model:
    return _pooled(height + 1, width, layers.Dense(classes))


def grey(height: int, width: int, classes: int) -> keras.Model:
    pixels = keras.Input((height, width, 1))
    return keras.Model(pixels, layers.Dense(classes)(layers.Flatten()(pixels)))


def too_many(height: int, width: int, classes: int) -> keras.Model:
    return _pooled(height, width, layers.Dense(classes + 1))


def two_parameters(size: int, classes: int) -> keras.Model:
    return _pooled(size, size, layers.Dense(classes))


def all_frozen(height: int, width: int, classes: int) -> keras.Model:
    model = _pooled(height, width, layers.Dense(classes))
    model.trainable = False
    return model


def partly_frozen(height: int, width: int, classes: int) -> keras.Model:
    """Returns a network of which 28 parameters are frozen: a layer, and one inside a layer."""
    pixels = keras.Input((height, width, 3))
    x = layers.Rescaling(1 / 255)(pixels)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(2, name="frozen", trainable=False)(x)
    x = Composite(name="composite")(x)
    return keras.Model(pixels, layers.Dense(classes, name="head")(x))


def named_head(height: int, width: int, classes: int) -> dict[str, Any]:
    model = _pooled(height, width, layers.Dense(classes, name="logits"))
    return {"model": model, "head": "logits"}


def misnamed_head(height: int, width: int, classes: int) -> dict[str, Any]:
    return {"model": _pooled(height, width, layers.Dense(classes)), "head": "absent"}


def penalised(height: int, width: int, classes: int) -> keras.Model:
    """Returns a network with a penalty on weights and one on what a layer gives."""
    pixels = keras.Input((height, width, 3))
    x = layers.Rescaling(1 / 255)(pixels)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(4, activity_regularizer=keras.regularizers.L2(0.1))(x)
    head = layers.Dense(
        classes, name="head", dtype="float32", kernel_regularizer=keras.regularizers.L2(10.0)
    )
    return keras.Model(pixels, head(x))


def with_lambda(height: int, width: int, classes: int) -> keras.Model:
    def halve(x: tf.Tensor) -> tf.Tensor:
        return x / 2

    return _pooled(
        height,
        width,
        lambda x: layers.Dense(classes, name="head")(layers.Lambda(halve, output_shape=(3,))(x)),
    )


def _pooled(height: int, width: int, rest: Callable[[Any], Any]) -> keras.Model:
    pixels = keras.Input((height, width, 3))
    x = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(pixels))
    return keras.Model(pixels, rest(x))
