from __future__ import annotations

from collections.abc import Iterator

import keras
import pytest
import tensorflow as tf

from benchmarks.train import largest_batch
from benchmarks.train.largest_batch import Cost


def graph_of(function: object) -> object:
    spec = tf.TensorSpec((1000,), tf.float32)
    return tf.function(function).get_concrete_function(spec).graph


def test_a_value_lives_until_its_last_use() -> None:
    """Each is 4,000 bytes: two at once in a chain, three where the first is used again."""
    assert largest_batch.peak_bytes(graph_of(lambda x: tf.exp(tf.exp(tf.exp(x))))) == 8000

    def again(x: tf.Tensor) -> tf.Tensor:
        first = tf.exp(x)
        return tf.add(tf.exp(tf.exp(first)), first)

    assert largest_batch.peak_bytes(graph_of(again)) == 12_000


def test_another_name_or_shape_takes_no_memory_and_keeps_its_source() -> None:
    def reshaped(x: tf.Tensor) -> tf.Tensor:
        view = tf.reshape(tf.exp(x), (10, 100))
        return tf.exp(tf.exp(view)) + view

    assert largest_batch.peak_bytes(graph_of(reshaped)) in (12_000, 12_000 + 8)


def test_the_largest_batch_that_fits() -> None:
    cost = Cost(fixed=100, per_picture=10)
    assert cost.largest_batch(100 + 10 * 64) == 64
    assert cost.largest_batch(100 + 10 * 64 - 1) == 48
    assert cost.largest_batch(105) == 0


@pytest.fixture
def own_policy() -> Iterator[None]:
    yield
    keras.mixed_precision.set_global_policy("float32")


def test_activations_grow_with_the_picture_and_shrink_with_precision(own_policy: None) -> None:
    small = largest_batch.cost("tests.support.networks.tiny:network", 32, "float32")
    large = largest_batch.cost("tests.support.networks.tiny:network", 64, "float32")
    assert 3.5 < large.per_picture / small.per_picture < 4.5
    half = largest_batch.cost("tests.support.networks.tiny:network", 64, "mixed_float16")
    assert half.per_picture < 0.95 * large.per_picture  # Normalisation stays in float32.
    assert abs(large.fixed - small.fixed) < 20_000
