"""Augmentation of whole batches of pixels, seeded by (seed, epoch, position).

Every geometric change of a picture is one affine map, every change of colour one 4×3 matrix:
a batch is resampled once and multiplied once, however many augmentations are on. Keras' own
layers work picture by picture, which on two cores costs more than the training step.

Measured at 224 pixels, ms of a core a picture (decoding a JPEG: 0.3): flip 0.1; flip and crop
0.4, with colour 0.9; any rotation 2 and RandAugment 3, since a general affine map is resampled
at a fifth of the speed of an upright one. At 64 pixels all is a tenth of that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import tensorflow as tf

from trainer.flags import TrainConfig

# Random crops keep an aspect ratio within these bounds. Source: Szegedy et al. 2014, table 1.
CROP_RATIO = (3 / 4, 4 / 3)

# Colour jitter: brightness, contrast and saturation each vary by up to this factor.
COLOR_STRENGTH = 0.4

# Cutout hides a square of this side, as a fraction of the shorter side. Source: DeVries and
# Taylor 2017 hide half of it on CIFAR-10.
CUTOUT_SIDE = 0.5

# RandAugment applies this many random operations. Source: Cubuk et al. 2019.
RANDAUGMENT_OPERATIONS = 2

_LUMA = (0.299, 0.587, 0.114)
_MIDDLE = 128.0


@dataclass(frozen=True)
class Augmenter:
    """Augments a training batch.

    Attributes:
      names: of the augmentations, as in --augment.
      crop_scale: smallest area of a crop, as a fraction.
      rotate_degrees: largest rotation.
      magnitude: of RandAugment, 0 to 10.
      mixup_alpha, cutmix_alpha: of their Beta(α, α).
    """

    names: tuple[str, ...]
    crop_scale: float = 0.5
    rotate_degrees: float = 15.0
    magnitude: float = 9.0
    mixup_alpha: float = 0.2
    cutmix_alpha: float = 1.0

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns images, the labels of what was mixed in, and the share of the first label.

        Args:
          images: uint8[B, H, W, 3].
          labels: int32[B].
          seed: int32[2]; equal seeds give equal results.

        Returns:
          uint8[B, H, W, 3], int32[B], float32[B].
        """
        draw = Draw(seed, images.shape[0])
        policy = _randaugment(draw, self.magnitude) if "randaugment" in self.names else None
        images = self._recolor(self._move(images, draw, policy), draw, policy)
        if policy is not None:
            images = policy.tones(images)
        if "cutout" in self.names:
            images = _cutout(images, draw)
        return self._mix(images, labels, draw)

    def _move(self, images: tf.Tensor, draw: Draw, policy: Policy | None) -> tf.Tensor:
        """Flip, crop, rotate and RandAugment's geometry, as one resampling."""
        height, width = images.shape[1:3]
        flipped = draw.coin("flip") if "flip" in self.names else None
        crops, rotates = "crop" in self.names, "rotate" in self.names
        if not (crops or rotates or policy):
            return images if flipped is None else _flip(images, flipped)
        box = _crop_boxes(draw, self.crop_scale) if crops else _whole(draw)
        if not (rotates or policy):
            return _crop(images, _pixel_boxes(box, height, width), flipped)
        maps = _crop_map(box, flipped, height, width)
        if rotates:
            angle = draw.uniform("rotate", -1, 1) * math.radians(self.rotate_degrees)
            maps @= _centred(_rotation(angle), height, width)
        if policy:
            maps @= _centred(policy.geometry(height, width), height, width)
        return _resample(images, maps)

    def _recolor(self, images: tf.Tensor, draw: Draw, policy: Policy | None) -> tf.Tensor:
        matrices = [_color_jitter(draw)] if "color" in self.names else []
        if policy:
            matrices.append(policy.color())
        return _apply_color(images, matrices) if matrices else images

    def _mix(
        self, images: tf.Tensor, labels: tf.Tensor, draw: Draw
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """MixUp (Zhang 2017), CutMix (Yun 2019), or a coin between them for each picture.

        The partner is the neighbour in the batch, which the shuffle made random.
        """
        mixes = [name for name in ("mixup", "cutmix") if name in self.names]
        if not mixes:
            return images, labels, tf.ones(labels.shape, tf.float32)
        partners = tf.roll(labels, 1, axis=0)
        others = tf.roll(images, 1, axis=0)
        if mixes == ["mixup"]:
            images, share = _mixup(images, others, draw, self.mixup_alpha)
        elif mixes == ["cutmix"]:
            images, share = _cutmix(images, others, draw, self.cutmix_alpha)
        else:
            choose = draw.coin("mix")
            mixed, mix_share = _mixup(images, others, draw, self.mixup_alpha)
            cut, cut_share = _cutmix(images, others, draw, self.cutmix_alpha)
            images = tf.where(choose[:, None, None, None], mixed, cut)
            share = tf.where(choose, mix_share, cut_share)
        return images, partners, share


def build(config: TrainConfig) -> Augmenter | None:
    """Returns what --augment asks for; None for nothing."""
    if not config.augmentations:
        return None
    return Augmenter(
        config.augmentations,
        config.smallest_crop,
        config.rotate_degrees,
        config.randaugment_magnitude,
        config.mixup_alpha,
        config.cutmix_alpha,
    )


class Draw:
    """Random numbers of a batch: one independent stream for each name, equal for equal seeds."""

    _NAMES = (
        "flip", "area", "ratio", "top", "left", "rotate", "brightness", "contrast", "saturation",
        "cut_top", "cut_left", "mix", "mixup", "cutmix", "cutmix_top", "cutmix_left",
        "operation", "sign",
    )  # fmt: skip

    def __init__(self, seed: tf.Tensor, batch: int) -> None:
        self.batch = batch
        self._seed = seed

    def uniform(self, name: str, low: float, high: float) -> tf.Tensor:
        """Returns float32[B] in [low, high)."""
        return tf.random.stateless_uniform([self.batch], self._of(name), low, high)

    def coin(self, name: str) -> tf.Tensor:
        """Returns bool[B], true for half of the pictures."""
        return self.uniform(name, 0, 1) < 0.5

    def integers(self, name: str, columns: int, limit: int) -> tf.Tensor:
        """Returns int32[B, columns] in [0, limit)."""
        shape = [self.batch, columns]
        return tf.random.stateless_uniform(shape, self._of(name), 0, limit, tf.int32)

    def beta(self, name: str, alpha: float) -> tf.Tensor:
        """Returns float32[B] from Beta(α, α), as a ratio of Gammas."""
        gammas = tf.random.stateless_gamma([self.batch, 2], self._of(name), alpha)
        # Both Gammas underflow to 0 for small α: that is an end of the interval.
        return (gammas[:, 0] + 1e-30) / (tf.reduce_sum(gammas, axis=1) + 1e-30)

    def _of(self, name: str) -> tf.Tensor:
        return self._seed + tf.constant([0, self._NAMES.index(name)], self._seed.dtype) * 7919


@dataclass(frozen=True, eq=False)
class Policy:
    """RandAugment's choice for each picture.

    Attributes:
      amount: float32[B, operations], signed strength of each operation of `_OPERATIONS`, 0
        where it is not chosen; -1 to 1.
    """

    amount: tf.Tensor

    def of(self, operation: str) -> tf.Tensor:
        """Returns float32[B], the strength of one operation."""
        return self.amount[:, _OPERATIONS.index(operation)]

    def geometry(self, height: int, width: int) -> tf.Tensor:
        """Returns float32[B, 3, 3]: rotation to 30°, shear to 0.3, shift to a third."""
        shear_x, shear_y = 0.3 * self.of("shear_x"), 0.3 * self.of("shear_y")
        zero, one = tf.zeros_like(shear_x), tf.ones_like(shear_x)
        moved = _matrix(
            [one, shear_x, self.of("shift_x") * width / 3]
            + [shear_y, one, self.of("shift_y") * height / 3]
            + [zero, zero, one]
        )
        return _rotation(self.of("rotate") * math.radians(30)) @ moved

    def color(self) -> tf.Tensor:
        """Returns float32[B, 4, 3]: brightness, contrast and saturation by up to ±90%."""
        factors = [1 + 0.9 * self.of(name) for name in ("brightness", "contrast", "saturation")]
        return _color_matrix(*factors)

    def tones(self, images: tf.Tensor) -> tf.Tensor:
        """Returns uint8 images, some posterised to 4 bits or solarised above a threshold."""
        lost_bits = tf.cast(tf.round(tf.abs(self.of("posterize")) * 4), tf.uint8)
        step = tf.bitwise.left_shift(tf.ones_like(lost_bits), lost_bits)[:, None, None, None]
        images = images - images % step
        threshold = 256 - 128 * tf.abs(self.of("solarize"))
        above = tf.cast(images, tf.float32) >= threshold[:, None, None, None]
        return tf.where(above, 255 - images, images)


# RandAugment's list without equalize, autocontrast and sharpness, which are no affine maps
# and would cost a pass each over every picture.
_OPERATIONS = (
    "identity", "rotate", "shear_x", "shear_y", "shift_x", "shift_y", "brightness", "contrast",
    "saturation", "posterize", "solarize",
)  # fmt: skip


def _randaugment(draw: Draw, magnitude: float) -> Policy:
    chosen = draw.integers("operation", RANDAUGMENT_OPERATIONS, len(_OPERATIONS))
    signs = draw.integers("sign", RANDAUGMENT_OPERATIONS, 2) * 2 - 1
    amounts = tf.cast(signs, tf.float32)[..., None] * magnitude / 10
    one_hot = tf.one_hot(chosen, len(_OPERATIONS))
    return Policy(tf.clip_by_value(tf.reduce_sum(one_hot * amounts, axis=1), -1, 1))


def _flip(images: tf.Tensor, flipped: tf.Tensor) -> tf.Tensor:
    return tf.map_fn(
        lambda one: _mirrored(*one), (images, flipped), fn_output_signature=images.dtype
    )


def _mirrored(image: tf.Tensor, flip: tf.Tensor) -> tf.Tensor:
    """Mirrors one picture or leaves it: reversing a whole batch takes ten times as long."""
    return tf.cond(flip, lambda: tf.reverse(image, axis=[1]), lambda: image)


def _crop(images: tf.Tensor, boxes: tf.Tensor, flipped: tf.Tensor | None) -> tf.Tensor:
    """Returns uint8[B, H, W, 3]: each box of each picture, perhaps mirrored, at full size.

    Picture by picture: `tf.image.resize` has a vectorised kernel, `crop_and_resize`, which
    takes a batch, has not and needs twice the time at 224 pixels.
    """
    batch, height, width, _ = images.shape

    def crop_one(one: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, box, flip = one
        top, left, box_height, box_width = tf.unstack(box)
        part = tf.slice(image, [top, left, 0], [box_height, box_width, 3])
        if flipped is not None:
            part = _mirrored(part, flip)
        return _to_bytes(tf.image.resize(part, (height, width)))

    flips = tf.zeros([batch], tf.bool) if flipped is None else flipped
    return tf.map_fn(crop_one, (images, boxes, flips), fn_output_signature=images.dtype)


def _to_bytes(pixels: tf.Tensor) -> tf.Tensor:
    """Rounds float32 in 0 to 255 to uint8; the cast alone would floor."""
    return tf.cast(pixels + 0.5, tf.uint8)


def _crop_boxes(draw: Draw, smallest: float) -> tf.Tensor:
    """Returns float32[B, 4]: top, left, height, width as fractions, inside the picture."""
    area = draw.uniform("area", smallest, 1)
    low, high = (math.log(ratio) for ratio in CROP_RATIO)
    ratio = tf.exp(draw.uniform("ratio", low, high))
    height = tf.minimum(1.0, tf.sqrt(area / ratio))
    width = tf.minimum(1.0, tf.sqrt(area * ratio))
    top = draw.uniform("top", 0, 1) * (1 - height)
    left = draw.uniform("left", 0, 1) * (1 - width)
    return tf.stack([top, left, height, width], axis=1)


def _pixel_boxes(box: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns int32[B, 4]: boxes of whole pixels, at least one, inside the picture."""
    sides = tf.constant([height, width])
    sizes = tf.maximum(1, tf.cast(tf.round(box[:, 2:] * [height, width]), tf.int32))
    corners = tf.cast(tf.round(box[:, :2] * [height, width]), tf.int32)
    return tf.concat([tf.minimum(corners, sides - sizes), sizes], axis=1)


def _whole(draw: Draw) -> tf.Tensor:
    return tf.tile([[0.0, 0.0, 1.0, 1.0]], [draw.batch, 1])


def _crop_map(box: tf.Tensor, flipped: tf.Tensor | None, height: int, width: int) -> tf.Tensor:
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
    return _matrix([scale_x, zero, shift_x, zero, scale_y, shift_y, zero, zero, one])


def _rotation(angle: tf.Tensor) -> tf.Tensor:
    cos, sin = tf.cos(angle), tf.sin(angle)
    zero, one = tf.zeros_like(angle), tf.ones_like(angle)
    return _matrix([cos, -sin, zero, sin, cos, zero, zero, zero, one])


def _centred(maps: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns maps about the middle of the picture instead of its first pixel."""
    x, y = (width - 1) / 2, (height - 1) / 2
    back = tf.constant([[1, 0, x], [0, 1, y], [0, 0, 1]], tf.float32)
    forth = tf.constant([[1, 0, -x], [0, 1, -y], [0, 0, 1]], tf.float32)
    return back @ maps @ forth


def _matrix(entries: list[tf.Tensor]) -> tf.Tensor:
    return tf.reshape(tf.stack(entries, axis=1), [-1, 3, 3])


def _resample(images: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Returns uint8[B, H, W, 3]; output pixel p shows input pixel maps·p, mirrored outside."""
    flat = tf.reshape(maps, [-1, 9])[:, :8]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=flat,
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def _color_jitter(draw: Draw) -> tf.Tensor:
    low, high = 1 - COLOR_STRENGTH, 1 + COLOR_STRENGTH
    factors = [draw.uniform(name, low, high) for name in ("brightness", "contrast", "saturation")]
    return _color_matrix(*factors)


def _color_matrix(brightness: tf.Tensor, contrast: tf.Tensor, saturation: tf.Tensor) -> tf.Tensor:
    """Returns float32[B, 4, 3]: [r, g, b, 1] @ matrix is the new colour.

    Brightness scales all; contrast scales the distance from middle grey, saturation that from
    each pixel's luma.
    """
    identity = tf.eye(3)
    luma = tf.tile(tf.constant(_LUMA)[:, None], [1, 3])
    saturation = saturation[:, None, None]
    turned = saturation * identity + (1 - saturation) * luma
    turned *= (brightness * contrast)[:, None, None]
    offset = (1 - contrast) * _MIDDLE
    return tf.concat([turned, tf.tile(offset[:, None, None], [1, 1, 3])], axis=1)


def _apply_color(images: tf.Tensor, matrices: list[tf.Tensor]) -> tf.Tensor:
    """Returns uint8[B, H, W, 3]: the matrices' product applied to each pixel."""
    total = matrices[0]
    for matrix in matrices[1:]:
        offset = total[:, 3:] @ matrix[:, :3] + matrix[:, 3:]
        total = tf.concat([total[:, :3] @ matrix[:, :3], offset], axis=1)
    batch, height, width, _ = images.shape
    flat = tf.cast(tf.reshape(images, [batch, height * width, 3]), tf.float32)
    colored = tf.matmul(flat, total[:, :3]) + total[:, 3:]
    return _to_bytes(tf.reshape(tf.clip_by_value(colored, 0.0, 255.0), images.shape))


def _cutout(images: tf.Tensor, draw: Draw) -> tf.Tensor:
    height, width = images.shape[1:3]
    side = CUTOUT_SIDE * min(height, width)
    y = draw.uniform("cut_top", 0, height)
    x = draw.uniform("cut_left", 0, width)
    hidden = _inside(y - side / 2, y + side / 2, x - side / 2, x + side / 2, height, width)
    return tf.where(hidden, tf.constant(int(_MIDDLE), tf.uint8), images)


def _mixup(
    images: tf.Tensor, others: tf.Tensor, draw: Draw, alpha: float
) -> tuple[tf.Tensor, tf.Tensor]:
    share = draw.beta("mixup", alpha)
    weight = share[:, None, None, None]
    mixed = weight * tf.cast(images, tf.float32) + (1 - weight) * tf.cast(others, tf.float32)
    return _to_bytes(mixed), share


def _cutmix(
    images: tf.Tensor, others: tf.Tensor, draw: Draw, alpha: float
) -> tuple[tf.Tensor, tf.Tensor]:
    height, width = images.shape[1:3]
    side = tf.sqrt(1 - draw.beta("cutmix", alpha))
    y = draw.uniform("cutmix_top", 0, height)
    x = draw.uniform("cutmix_left", 0, width)
    half_y, half_x = side * height / 2, side * width / 2
    pasted = _inside(y - half_y, y + half_y, x - half_x, x + half_x, height, width)
    share = 1 - tf.reduce_mean(tf.cast(pasted, tf.float32), axis=[1, 2, 3])
    return tf.where(pasted, others, images), share


def _inside(
    top: tf.Tensor, bottom: tf.Tensor, left: tf.Tensor, right: tf.Tensor, height: int, width: int
) -> tf.Tensor:
    """Returns bool[B, H, W, 1], the pixels whose centre lies in each picture's rectangle."""
    rows = tf.range(height, dtype=tf.float32)[None, :] + 0.5
    columns = tf.range(width, dtype=tf.float32)[None, :] + 0.5
    in_rows = (rows >= top[:, None]) & (rows < bottom[:, None])
    in_columns = (columns >= left[:, None]) & (columns < right[:, None])
    return (in_rows[:, :, None] & in_columns[:, None, :])[..., None]
