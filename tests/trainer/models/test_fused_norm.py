"""The fused kernel against Keras' own normalisation: outputs, gradients, averages, graph, file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.models.fused_norm import fused_normalisation
from trainer.models.springfield_cnn import springfield_cnn


@pytest.fixture(autouse=True)
def float32_again() -> Iterator[None]:
    yield
    keras.mixed_precision.set_global_policy("float32")


def passed(layer: keras.Layer, inputs: tf.Tensor, *, fused: bool) -> list[np.ndarray]:
    """Returns outputs, gradients and averages of a training pass from the layer's first state."""
    layer.moving_mean.assign(np.full(layer.moving_mean.shape, 0.5, np.float32))
    layer.moving_variance.assign(np.full(layer.moving_variance.shape, 2.0, np.float32))
    weights = [variable.value for variable in layer.trainable_variables]
    kernel = fused_normalisation() if fused else nullcontext()
    with kernel, tf.GradientTape() as tape:
        tape.watch([inputs, *weights])
        outputs = layer(inputs, training=True)
        total = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 3)
    gradients = tape.gradient(total, [inputs, *weights])
    found = [outputs, *gradients, layer.moving_mean.value, layer.moving_variance.value]
    return [np.asarray(tf.cast(each, tf.float32)) for each in found]


@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [("float32", 1e-4), ("mixed_bfloat16", 3e-2), ("mixed_float16", 5e-3)],
)
@pytest.mark.parametrize(
    "arguments",
    [{}, {"scale": False}, {"center": False}, {"scale": False, "center": False},
     {"momentum": 0.9, "epsilon": 1.001e-5}],
    ids=str,
)  # fmt: skip
def test_it_computes_what_keras_does(
    policy: str, tolerance: float, arguments: dict[str, float | bool]
) -> None:
    layer = keras.layers.BatchNormalization(dtype=keras.DTypePolicy(policy), **arguments)
    layer.build((None, 5, 7, 3))
    rng = np.random.default_rng(0)
    pictures = rng.normal(1.0, 2.0, (4, 5, 7, 3)).astype(np.float32)
    inputs = tf.cast(pictures, layer.compute_dtype)
    plain, fused = (passed(layer, inputs, fused=fused) for fused in (False, True))
    for expected, found in zip(plain, fused, strict=True):
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(found / scale, expected / scale, atol=tolerance)


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [({"axis": 1}, (2, 3, 4, 4)), ({}, (6, 3)), ({"epsilon": 1e-7}, (2, 4, 4, 3)),
     ({"dtype": "float64"}, (2, 4, 4, 3)), ({"synchronized": True}, (2, 4, 4, 3)),
     ({"trainable": False}, (2, 4, 4, 3)), ({"renorm": True}, (2, 4, 4, 3))],
    ids=str,
)  # fmt: skip
def test_what_the_kernel_lacks_is_left_to_keras(
    arguments: dict[str, object], shape: tuple[int, ...]
) -> None:
    layer = keras.layers.BatchNormalization(**arguments)
    inputs = tf.cast(np.random.default_rng(0).normal(size=shape), layer.compute_dtype)

    @tf.function
    def run() -> tf.Tensor:
        with fused_normalisation():
            return layer(inputs, training=True)

    layer.build(shape)
    assert "FusedBatchNormV3" not in operations(run.get_concrete_function())


def test_prediction_and_what_comes_after_are_untouched() -> None:
    layer = keras.layers.BatchNormalization()
    inputs = tf.random.normal([2, 4, 4, 3])
    before = keras.layers.BatchNormalization.call
    expected = layer(inputs, training=False)
    with fused_normalisation():
        np.testing.assert_array_equal(layer(inputs, training=False), expected)
    with pytest.raises(KeyError), fused_normalisation():
        raise KeyError
    assert keras.layers.BatchNormalization.call is before


def operations(function: tf.types.experimental.ConcreteFunction) -> Counter[str]:
    """Returns how often each operation is in a function's graph."""
    return Counter(node.type for node in function.graph.get_operations())


def test_the_graph_of_a_step_is_smaller_and_the_network_saves_as_before(tmp_path: Path) -> None:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = springfield_cnn((32, 32), 5)
    norms = sum(isinstance(x, keras.layers.BatchNormalization) for x in model.layers)

    def traced(fused: bool) -> Counter[str]:
        @tf.function
        def gradients(pictures: tf.Tensor) -> list[tf.Tensor]:
            weights = [variable.value for variable in model.trainable_variables]
            kernel = fused_normalisation() if fused else nullcontext()
            with tf.GradientTape() as tape, kernel:
                tape.watch(weights)
                loss = tf.reduce_sum(model(pictures, training=True))
            return tape.gradient(loss, weights)

        return operations(gradients.get_concrete_function(tf.TensorSpec((8, 32, 32, 3), tf.uint8)))

    plain, fused = traced(False), traced(True)
    assert fused["FusedBatchNormV3"] == fused["FusedBatchNormGradV3"] == norms
    assert plain.total() - fused.total() > 30 * norms
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert {type(x).__module__.partition(".")[0] for x in again.layers} == {"keras"}
