from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.metrics import inference


def stream(batches: int) -> tf.data.Dataset:
    """Returns batches of 2 pictures, the last of 1; pixels are the picture's number."""
    count = 2 * batches - 1
    numbers = tf.data.Dataset.range(count)
    pictures = numbers.map(
        lambda n: (tf.fill([4, 4, 3], tf.cast(n, tf.uint8)), n % 2, tf.strings.as_string(n))
    )
    return pictures.batch(2)


@pytest.mark.parametrize("device", [None, "/CPU:0"])
@pytest.mark.parametrize("batches", [1, 2, 3, 7])
def test_predictions_are_in_order_and_read_two_batches_late(
    batches: int, device: str | None
) -> None:
    given, read_after = [0], []

    class Computed:
        """Logits that note how many batches had been given when they are read."""

        def __init__(self, values: np.ndarray) -> None:
            self.values = values

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            read_after.append(given[0])
            return self.values.astype(dtype)

    def function(images: tf.Tensor) -> Computed:
        given[0] += 1
        return Computed(images[:, 0, 0, :2].numpy())

    found = inference.predict(function, stream(batches), device)  # type: ignore[arg-type]  # A fake of the same shape.
    expected = np.arange(2 * batches - 1)
    np.testing.assert_array_equal(found.labels, expected % 2)
    np.testing.assert_array_equal(found.logits[:, 0], expected)
    assert found.ids == tuple(map(str, expected))
    assert read_after == [min(n + 3, batches) for n in range(batches)]


def test_an_empty_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="the stream is empty"):
        inference.predict(lambda images: images, stream(1).take(0))  # type: ignore[arg-type]  # A fake of the same shape.


def test_many_networks_in_one_process_are_no_retracing(caplog: pytest.LogCaptureFixture) -> None:
    """TensorFlow's warning would puzzle whoever predicts with a few runs in a notebook."""
    for _ in range(10):
        network = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()])
        inference.predict(network, stream(1))
    assert "retracing" not in caplog.text
