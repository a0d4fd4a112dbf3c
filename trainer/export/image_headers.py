"""Reads from image headers, in TensorFlow ops, what TensorFlow's own decoders ignore.

They decode a JPEG as it is stored, so that a phone's portrait would lie on its side. They fill
the alpha of a PNG that has a palette and no transparency with garbage (TensorFlow 2.21), and
refuse to read a WebP with alpha as RGB. So alpha must be asked for exactly where there is some.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

# Both headers are at the start, or behind a JFIF header, a profile or text.
_SEARCHED_BYTES = 1 << 17

# A segment marker, its length (any), and the signature.
_EXIF = (0xFF, 0xE1, None, None, *b"Exif\0\0")
_TRNS = tuple(b"tRNS")

_ORIENTATION_TAG, _SHORT = 0x0112, 3
_ENTRY_BYTES, _MAX_ENTRIES = 12, 256

# (first chunk, byte of its flags, bits that mean alpha). Sources: PNG (third edition),
# 11.2.1: bit 4 of the colour type; RFC 9649, 2.7 and 3.4: the flag of alpha, the
# bit behind width and height.
_ALPHA_FLAGS = ((b"IHDR", 25, 0x04), (b"VP8X", 20, 0x10), (b"VP8L", 24, 0x10))
_CHUNK_AT = 12

# Bits of a pixel in a BMP; up to 8 of them are an index into a palette.
_BMP_BITS_AT, _BMP_PALETTE_BITS = 28, 8


def has_transparency(file: tf.Tensor) -> tf.Tensor:
    """Returns bool: whether the bytes of a PNG or WebP have alpha or a transparent colour."""
    data = _head(file)
    transparent = _chunk_is(data, b"IHDR") & tf.reduce_any(_matches(data, _TRNS))
    for name, index, bits in _ALPHA_FLAGS:
        flags = tf.bitwise.bitwise_and(_at(data, tf.constant(index)), bits)
        transparent |= _chunk_is(data, name) & (flags > 0)
    return transparent


def has_palette(bmp: tf.Tensor) -> tf.Tensor:
    """Returns bool: whether a BMP's pixels are indices, which TensorFlow reads as grey levels."""
    return _at(_head(bmp), tf.constant(_BMP_BITS_AT)) <= _BMP_PALETTE_BITS


def orientation(jpeg: tf.Tensor) -> tf.Tensor:
    """Returns int32, 1 to 8, of the bytes of a JPEG; 1 where none is found or it is damaged.

    Source: CIPA DC-008 (Exif 2.32), 4.5 and 4.6.
    """
    data = _head(jpeg)
    starts = tf.where(_matches(data, _EXIF))[:, 0]

    def stored() -> tf.Tensor:
        tiff = tf.cast(starts[0], tf.int32) + len(_EXIF)
        return _first_directory(data, tiff)

    return tf.cond(tf.size(starts) > 0, stored, lambda: tf.constant(1, tf.int32))


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


def _chunk_is(data: tf.Tensor, name: bytes) -> tf.Tensor:
    index = tf.range(_CHUNK_AT, _CHUNK_AT + len(name))
    return tf.reduce_all(_at(data, index) == tuple(name))


def _head(file: tf.Tensor) -> tf.Tensor:
    """Returns int32[n], the first bytes of a file."""
    head = tf.io.decode_raw(tf.strings.substr(file, 0, _SEARCHED_BYTES), tf.uint8)
    # Zeros behind the end: `_at` sends every index beyond it there.
    return tf.concat([tf.cast(head, tf.int32), tf.zeros(16, tf.int32)], 0)


def _matches(data: tf.Tensor, signature: Sequence[int | None]) -> tf.Tensor:
    """Returns bool[n]: whether the signature starts at each byte; None stands for any byte."""
    length = tf.size(data) - len(signature)
    hit = tf.ones(length, tf.bool)
    for offset, byte in enumerate(signature):
        if byte is not None:
            hit &= data[offset : offset + length] == byte
    return hit


def _first_directory(data: tf.Tensor, tiff: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in the first directory of the TIFF that starts at `tiff`."""
    little = _at(data, tiff) == ord("I")
    directory = tiff + _number(data, tiff + 4, 4, little)
    entries = tf.minimum(_number(data, directory, 2, little), _MAX_ENTRIES)
    entry = directory + 2 + _ENTRY_BYTES * tf.range(entries)
    matching = _number(data, entry, 2, little) == _ORIENTATION_TAG
    matching &= _number(data, entry + 2, 2, little) == _SHORT
    values = tf.boolean_mask(_number(data, entry + 8, 2, little), matching)
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
