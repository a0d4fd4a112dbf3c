"""The resize of `tfrecords.images` in TensorFlow's ops: the same whole numbers, the same bytes.

`tfrecords.images.convolution` states the arithmetic and `resample` the order of the directions;
what they do is done here, but for sides of more than 65,536 pixels, which are not averaged first.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

_MAX_PRECISION = 21
_LARGEST_WEIGHT = 1 << 15
_BETWEEN = 1 << 22

# 2^(p + 1) for each precision p.
_STEPS = [float(2 << precision) for precision in range(_MAX_PRECISION + 1)]


class _Weights(NamedTuple):
    """Weights of one direction; see `convolution.Weights`.

    Attributes:
      start: int32[n].
      values: int32[n, taps].
      precision: int32[].
    """

    start: tf.Tensor
    values: tf.Tensor
    precision: tf.Tensor


def resample(image: tf.Tensor, size: tf.Tensor, start: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    """Returns a box of an image at another size, by an antialiased triangle filter.

    Args:
      image: uint8[h, w, 3].
      size: float64[2], (height, width) of the result; whole numbers.
      start: float64[2], (top, left) of the box; fractions allowed.
      box: float64[2], its (height, width).
    """
    whole = tf.cast(tf.shape(image)[:2], tf.float64)
    rows, columns = (_weights(whole[i], start[i], box[i], size[i]) for i in (0, 1))
    between = size[0] * whole[1]
    return tf.cond(
        (between > _BETWEEN) & (whole[0] * size[1] < between),
        lambda: _down(_across(image, columns), rows),
        lambda: _across(_down(image, rows), columns),
    )


def _weights(size: tf.Tensor, start: tf.Tensor, length: tf.Tensor, target: tf.Tensor) -> _Weights:
    """Returns `convolution.weights` of a triangle; all arguments are float64[]."""
    scale = ((start + length) - start) / target
    widened = tf.maximum(scale, 1.0)
    centre = start + (tf.range(target, dtype=tf.float64) + 0.5) * scale
    first = tf.maximum(tf.floor(centre - widened), 0.0)
    end = tf.minimum(tf.math.ceil(centre + widened), size)
    taps = tf.reduce_max(end - first)
    place = first[:, None] + tf.range(taps, dtype=tf.float64)
    distance = tf.abs((place - (centre - 0.5)[:, None]) * (1.0 / widened))
    exact = tf.where(place < end[:, None], tf.maximum(1.0 - distance, 0.0), 0.0)
    exact /= tf.cumsum(exact, axis=1)[:, -1:]
    doubled = tf.floor(tf.reduce_max(exact) * tf.constant(_STEPS, tf.float64) + 0.5)
    fits = tf.reduce_sum(tf.cast(doubled < _LARGEST_WEIGHT, tf.int32))
    precision = tf.minimum(fits, _MAX_PRECISION)
    # The weights at this precision; `_STEPS` begins at twice the first.
    scaled = exact * (tf.gather(tf.constant(_STEPS, tf.float64), precision) / 2)
    rounded = tf.floor(scaled)
    rounded += tf.cast(scaled - rounded >= 0.5, tf.float64)
    return _Weights(tf.cast(first, tf.int32), tf.cast(rounded, tf.int32), precision)


def _down(image: tf.Tensor, by: _Weights) -> tf.Tensor:
    """Returns uint8[n, w, 3] of uint8[h, w, 3]."""
    height, width = tf.unstack(tf.shape(image)[:2])
    rows = tf.reshape(image, [height, width * 3])
    half = tf.bitwise.left_shift(1, by.precision - 1)

    def add(tap: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Weights beyond the end are 0.
        taken = tf.gather(rows, tf.minimum(by.start + tap, height - 1))
        return tap + 1, total + by.values[:, tap, None] * tf.cast(taken, tf.int32)

    _, total = tf.while_loop(
        lambda tap, _: tap < tf.shape(by.values)[1],
        add,
        (tf.constant(0), tf.fill([tf.shape(by.start)[0], width * 3], half)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None])),
    )
    levels = tf.clip_by_value(tf.bitwise.right_shift(total, by.precision), 0, 255)
    return tf.reshape(tf.cast(levels, tf.uint8), [-1, width, 3])


def _across(image: tf.Tensor, by: _Weights) -> tf.Tensor:
    """Returns uint8[h, n, 3] of uint8[h, w, 3]."""
    return tf.transpose(_down(tf.transpose(image, [1, 0, 2]), by), [1, 0, 2])
