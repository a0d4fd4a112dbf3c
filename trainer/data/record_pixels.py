"""The image of a record as pixels, by TensorFlow's own operations."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfrecords.images.canonicalise import REDUCING_GAP
from tfrecords.schema import Encoding, ImageSpec


def decoder(spec: ImageSpec, size: tuple[int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from a record's image bytes to uint8[size[0], size[1], 3].

    A smaller size comes by an antialiased triangle filter, as the bake's own resize; data
    sets of unequal shapes are cropped to the centred box of `size`'s aspect ratio.
    """

    def decode(image: tf.Tensor) -> tf.Tensor:
        if spec.encoding is Encoding.RAW:
            pixels = tf.reshape(tf.io.decode_raw(image, tf.uint8), (spec.height, spec.width, 3))
        elif spec.encoding is Encoding.PNG:
            pixels = tf.io.decode_png(image, channels=3)
        else:
            # The accurate DCT is what Pillow decodes with when predicting.
            pixels = tf.io.decode_jpeg(
                image, channels=3, ratio=_ratio(spec, size), dct_method="INTEGER_ACCURATE"
            )
        if not spec.fixed_size:
            pixels = _centre_crop(pixels, size)
        if baked_size(spec) != size or not spec.fixed_size:
            pixels = _shrink(pixels, size)
        return tf.ensure_shape(pixels, (*size, 3))

    return decode


def baked_size(spec: ImageSpec) -> tuple[int, int]:
    """Returns (height, width) of the stored images, in pixels."""
    return spec.height, spec.width


def _ratio(spec: ImageSpec, size: tuple[int, int]) -> int:
    """Returns the JPEG codec's own reduction that leaves `REDUCING_GAP` times `size`."""
    if not spec.fixed_size:
        return 1
    for ratio in (8, 4, 2):
        if min(spec.height / size[0], spec.width / size[1]) >= ratio * REDUCING_GAP:
            return ratio
    return 1


def _centre_crop(pixels: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    shape = tf.shape(pixels)
    height, width = tf.cast(shape[0], tf.float32), tf.cast(shape[1], tf.float32)
    scale = tf.minimum(height / size[0], width / size[1])
    crop_height = tf.cast(tf.round(size[0] * scale), tf.int32)
    crop_width = tf.cast(tf.round(size[1] * scale), tf.int32)
    top, left = (shape[0] - crop_height) // 2, (shape[1] - crop_width) // 2
    return pixels[top : top + crop_height, left : left + crop_width]


def _shrink(pixels: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    resized = tf.image.resize(pixels, size, tf.image.ResizeMethod.BILINEAR, antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
