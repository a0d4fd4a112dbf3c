"""Applies boxes, affine maps, colour matrices and mixing shares to a batch of pictures.

For 64 pictures of 224 pixels every step on floats moves 38 MB, and adding three numbers to each
pixel uses no vector unit. So float work is done picture by picture, in the cores' caches, with a
row as the innermost axis instead of the three channels. `python -m benchmarks.train.kernels`
compares the alternatives.
"""

from __future__ import annotations

import math

import tensorflow as tf

# Pixels that are recoloured together, at most.
_BLOCK = 8

_LUMA = (0.299, 0.587, 0.114)
MIDDLE = 128.0


def upright(
    images: tf.Tensor,
    boxes: tf.Tensor | None,
    flipped: tf.Tensor | None,
    colors: tf.Tensor | None,
) -> tf.Tensor:
    """Returns uint8[B, H, W, 3]: a box of each picture at full size, mirrored, recoloured.

    It works picture by picture, so that intermediate results stay in the cores' caches. Each
    picture is sliced from the batch inside the loop: as an argument of `tf.map_fn`, the whole
    batch would be copied first.

    Args:
      images: uint8[B, H, W, 3].
      boxes: int32[B, 4], as from `pixel_boxes`; None for whole pictures.
      flipped: bool[B]; None for none.
      colors: float32[B, 4, 3], as from `color_matrix`; None for none.
    """
    if boxes is None and flipped is None and colors is None:
        return images
    batch, *shape = images.shape
    numbers: dict[str, tf.Tensor] = _slices(boxes, batch, shape)
    if flipped is not None:
        numbers["flip"] = flipped
    if colors is not None:
        numbers["matrix"], numbers["offset"] = blocks(
            colors, math.gcd(_BLOCK, math.prod(shape[:2]))
        )

    def transform(of_picture: dict[str, tf.Tensor]) -> tf.Tensor:
        corner, extent = of_picture["begin"], of_picture["size"]
        picture = tf.squeeze(tf.slice(images, corner, extent), axis=0)
        if flipped is not None:
            picture = _mirrored(picture, of_picture["flip"])
        if boxes is None and colors is None:
            return tf.ensure_shape(picture, shape)
        # The kernel of `tf.image.resize` is vectorised for floats only.
        pixels = tf.cast(picture, tf.float32)
        if boxes is not None:
            pixels = tf.image.resize(pixels, shape[:2])
        if colors is not None:
            pixels = recolored(pixels, of_picture["matrix"], of_picture["offset"])
        return tf.reshape(_to_bytes(pixels), shape)

    return tf.map_fn(transform, numbers, fn_output_signature=tf.TensorSpec(shape, images.dtype))


def _slices(boxes: tf.Tensor | None, batch: int, shape: list[int]) -> dict[str, tf.Tensor]:
    """Returns the corner and the size of each picture's box in a batch; None: whole pictures."""
    if boxes is None:
        boxes = tf.tile([[0, 0, *shape[:2]]], [batch, 1])
    index, channels = tf.range(batch)[:, None], tf.fill([batch, 1], shape[-1])
    begin = tf.concat([index, boxes[:, :2], tf.zeros_like(index)], axis=1)
    return {
        "begin": begin,
        "size": tf.concat([tf.ones_like(index), boxes[:, 2:], channels], axis=1),
    }


def _mirrored(image: tf.Tensor, flip: tf.Tensor) -> tf.Tensor:
    """Returns uint8[h, w, 3], mirrored if `flip`; only this shape has a fast kernel for it."""
    return tf.cond(flip, lambda: tf.reverse(image, axis=[1]), lambda: image)


def blocks(colors: tf.Tensor, pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns float32[B, 3n, 3n] and [B, 3n], which apply `colors` to n pixels in a row.

    A product with 3 columns, or adding 3 numbers to each pixel, uses no vector unit: together they
    take three times as long as the same operations on 8 pixels at a time.
    """
    batch, _, channels = colors.shape
    apart = tf.einsum("ij,bkl->bikjl", tf.eye(pixels), colors[:, :channels])
    offset = tf.tile(colors[:, channels], [1, pixels])
    return tf.reshape(apart, [batch, pixels * channels, pixels * channels]), offset


def recolored(pixels: tf.Tensor, matrix: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """Returns float32, 0 to 255: pixels after the matrix and the offset of `blocks`."""
    rows = tf.reshape(pixels, [-1, offset.shape[0]])
    return tf.clip_by_value(tf.matmul(rows, matrix) + offset, 0.0, 255.0)


def mixed(images: tf.Tensor, others: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Returns uint8[B, H, W, 3]: the weighted means of two batches of pictures.

    Args:
      images, others: uint8[B, H, W, 3].
      share: float32[B], the weight of `images`.
    """

    def mix(of_picture: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        index, weight = of_picture
        first, second = (tf.cast(batch[index], tf.float32) for batch in (images, others))
        return _to_bytes(weight * first + (1 - weight) * second)

    indices = tf.range(images.shape[0])
    spec = tf.TensorSpec(images.shape[1:], images.dtype)
    return tf.map_fn(mix, (indices, share), fn_output_signature=spec)


def pasted(images: tf.Tensor, others: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Returns uint8[B, H, W, 3]: `others` where row and column are both marked, else `images`.

    Args:
      images: uint8[B, H, W, 3].
      others: the same shape, or one number.
      rows: bool[B, H].
      columns: bool[B, W].
    """
    batch, height, width, channels = images.shape
    marked = rows[:, :, None] & tf.repeat(columns, channels, axis=1)[:, None, :]
    flat = [batch, height, width * channels]
    other = tf.reshape(others, flat) if others.shape.rank else others
    return tf.reshape(tf.where(marked, other, tf.reshape(images, flat)), images.shape)


def select_pictures(choice: tf.Tensor, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns uint8[B, H, W, 3]: pictures of `first` where `choice`, bool[B], else of `second`."""
    flat = [first.shape[0], -1]
    selected = tf.where(choice[:, None], tf.reshape(first, flat), tf.reshape(second, flat))
    return tf.reshape(selected, first.shape)


def within(low: tf.Tensor, high: tf.Tensor, length: int) -> tf.Tensor:
    """Returns bool[B, length]: the pixels of a row whose centre lies from `low` to below `high`."""
    centres = tf.range(length, dtype=tf.float32)[None, :] + 0.5
    return (centres >= low[:, None]) & (centres < high[:, None])


def pixel_boxes(box: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns int32[B, 4]: boxes of whole pixels, at least one, inside the picture."""
    sides = tf.constant([height, width])
    sizes = tf.maximum(1, tf.cast(tf.round(box[:, 2:] * [height, width]), tf.int32))
    corners = tf.cast(tf.round(box[:, :2] * [height, width]), tf.int32)
    return tf.concat([tf.minimum(corners, sides - sizes), sizes], axis=1)


def crop_map(box: tf.Tensor, flipped: tf.Tensor | None, height: int, width: int) -> tf.Tensor:
    """Returns float32[B, 3, 3], from output to input pixels (x, y, 1); flips about the middle.

    Pixel centres lie at integers, so pixel 0 spans -0.5 to 0.5.
    """
    top, left, scale_y, scale_x = tf.unstack(box, axis=1)
    shift_x = left * width + 0.5 * scale_x - 0.5
    shift_y = top * height + 0.5 * scale_y - 0.5
    if flipped is not None:
        shift_x = tf.where(flipped, shift_x + scale_x * (width - 1), shift_x)
        scale_x = tf.where(flipped, -scale_x, scale_x)
    zero, one = tf.zeros_like(top), tf.ones_like(top)
    return matrix([scale_x, zero, shift_x, zero, scale_y, shift_y, zero, zero, one])


def rotation(angle: tf.Tensor) -> tf.Tensor:
    """Returns float32[B, 3, 3], rotations about the first pixel by float32[B] radians."""
    cos, sin = tf.cos(angle), tf.sin(angle)
    zero, one = tf.zeros_like(angle), tf.ones_like(angle)
    return matrix([cos, -sin, zero, sin, cos, zero, zero, zero, one])


def centred(maps: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns float32[B, 3, 3] maps about the middle of the picture, not its first pixel."""
    x, y = (width - 1) / 2, (height - 1) / 2
    back = tf.constant([[1, 0, x], [0, 1, y], [0, 0, 1]], tf.float32)
    forth = tf.constant([[1, 0, -x], [0, 1, -y], [0, 0, 1]], tf.float32)
    return back @ maps @ forth


def matrix(entries: list[tf.Tensor]) -> tf.Tensor:
    """Returns float32[B, 3, 3] of nine float32[B], row by row."""
    return tf.reshape(tf.stack(entries, axis=1), [-1, 3, 3])


def resample(images: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Returns uint8[B, H, W, 3]: output pixel p is input pixel maps·p, mirrored at the borders."""
    flat = tf.reshape(maps, [-1, 9])[:, :8]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=flat,
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def color_matrix(brightness: tf.Tensor, contrast: tf.Tensor, saturation: tf.Tensor) -> tf.Tensor:
    """Returns float32[B, 4, 3]: [r, g, b, 1] @ matrix is the new colour.

    Brightness scales all; contrast scales the distance from middle grey, saturation that from
    each pixel's luma.
    """
    identity = tf.eye(3)
    luma = tf.tile(tf.constant(_LUMA)[:, None], [1, 3])
    saturation = saturation[:, None, None]
    turned = saturation * identity + (1 - saturation) * luma
    turned *= (brightness * contrast)[:, None, None]
    offset = (1 - contrast) * MIDDLE
    return tf.concat([turned, tf.tile(offset[:, None, None], [1, 1, 3])], axis=1)


def followed(first: tf.Tensor, then: tf.Tensor) -> tf.Tensor:
    """Returns float32[B, 4, 3], two colour matrices as one."""
    offset = first[:, 3:] @ then[:, :3] + then[:, 3:]
    return tf.concat([first[:, :3] @ then[:, :3], offset], axis=1)


def _to_bytes(pixels: tf.Tensor) -> tf.Tensor:
    """Rounds float32, 0 to 255, to uint8; the cast alone would round down."""
    return tf.cast(pixels + 0.5, tf.uint8)
