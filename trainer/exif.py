"""The orientation that a camera wrote into a JPEG, found by TensorFlow ops.

TensorFlow decodes a JPEG as it is stored; a phone's portrait would lie on its side.
"""

from __future__ import annotations

import tensorflow as tf

# APP1 holds at most 65,533 bytes and comes first, or after a JFIF header and a profile.
_SEARCHED_BYTES = 1 << 17

# A segment marker, its length (any), and the signature.
_SIGNATURE = (0xFF, 0xE1, None, None, *b"Exif\0\0")

_ORIENTATION_TAG, _SHORT = 0x0112, 3
_ENTRY_BYTES, _MAX_ENTRIES = 12, 256


def orientation(jpeg: tf.Tensor) -> tf.Tensor:
    """Returns int32, 1 to 8, of the bytes of a JPEG; 1 where none is found or it is damaged.

    Source: CIPA DC-008 (Exif 2.32), 4.5 and 4.6.
    """
    head = tf.strings.substr(jpeg, 0, _SEARCHED_BYTES)
    # Zeros behind the end, where `_at` sends every index that leads beyond it.
    data = tf.concat(
        [tf.cast(tf.io.decode_raw(head, tf.uint8), tf.int32), tf.zeros(16, tf.int32)], 0
    )
    starts = tf.where(_matches(data))[:, 0]

    def found() -> tf.Tensor:
        tiff = tf.cast(starts[0], tf.int32) + len(_SIGNATURE)
        return _first_directory(data, tiff)

    return tf.cond(tf.size(starts) > 0, found, lambda: tf.constant(1, tf.int32))


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Returns uint8[h, w, c] turned as an EXIF orientation says: int32, 1 to 8."""
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    for axis, turned in ((1, (2, 3, 6, 7)), (0, (3, 4, 7, 8))):
        image = tf.cond(
            tf.reduce_any(orientation == turned),
            lambda image=image, axis=axis: tf.reverse(image, [axis]),
            lambda image=image: image,
        )
    return image


def _matches(data: tf.Tensor) -> tf.Tensor:
    """Returns bool[n]: where the signature starts."""
    length = tf.size(data) - len(_SIGNATURE)
    hit = tf.ones(length, tf.bool)
    for offset, byte in enumerate(_SIGNATURE):
        if byte is not None:
            hit &= data[offset : offset + length] == byte
    return hit


def _first_directory(data: tf.Tensor, tiff: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in the first directory of the TIFF that starts at `tiff`."""
    little = _at(data, tiff) == ord("I")
    directory = tiff + _number(data, tiff + 4, 4, little)
    entries = tf.minimum(_number(data, directory, 2, little), _MAX_ENTRIES)
    entry = directory + 2 + _ENTRY_BYTES * tf.range(entries)
    wanted = _number(data, entry, 2, little) == _ORIENTATION_TAG
    wanted &= _number(data, entry + 2, 2, little) == _SHORT
    values = tf.boolean_mask(_number(data, entry + 8, 2, little), wanted)
    value = tf.concat([values, [1]], 0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)


def _number(data: tf.Tensor, index: tf.Tensor, length: int, little: tf.Tensor) -> tf.Tensor:
    """Returns the unsigned number of `length` bytes at each index."""
    parts = [_at(data, index + i) for i in range(length)]
    big_endian = little_endian = tf.zeros_like(index)
    for low, high in zip(parts, reversed(parts), strict=True):
        big_endian, little_endian = big_endian * 256 + low, little_endian * 256 + high
    return tf.where(little, little_endian, big_endian)


def _at(data: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    last = tf.size(data) - 1
    return tf.gather(data, tf.where((index >= 0) & (index < last), index, last))
