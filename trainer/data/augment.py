"""Augments whole batches of pixels, seeded by (seed, epoch, position).

All geometric changes of a picture are one affine map, all changes of colour one 4×3 matrix: a
picture is resampled once and multiplied once, however many augmentations are on.

Measured at 224 pixels, ms of a core a picture (decoding a JPEG: 0.3): flip 0.1; flip and crop
0.3, with colour 0.5; cutout, mixup and cutmix 0.2 each; any rotation 2.2 and RandAugment 2.7,
since a general affine map is resampled at a tenth of the speed of an upright one. At 64 pixels
all of them take a tenth of that. docs/performance.md has the command.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import tensorflow as tf

from trainer.config import TrainConfig
from trainer.data import transforms

# Random crops keep an aspect ratio within these bounds. Source: Szegedy et al. 2014, table 1.
CROP_RATIO = (3 / 4, 4 / 3)

# Colour jitter: brightness, contrast and saturation each vary by up to this factor.
COLOR_STRENGTH = 0.4

# Cutout hides a square of this side, as a fraction of the shorter side. Source: DeVries and
# Taylor 2017 hide half of it on CIFAR-10.
CUTOUT_SIDE = 0.5

# affine: rotation to 15°, shear to 0.15, scale 0.85 to 1.15, shift to a tenth of the picture, each
# uniform. About what Simard et al. 2003 and Sermanet and LeCun 2011 use for glyphs and signs.
AFFINE_DEGREES = 15.0
AFFINE_SHEAR = 0.15
AFFINE_SCALE = 0.15
AFFINE_SHIFT = 0.1

# RandAugment applies this many random operations. Source: Cubuk et al. 2019.
RANDAUGMENT_OPERATIONS = 2


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
        """Returns images, the labels of the mixed-in pictures, and the share of the first label.

        Args:
          images: uint8[B, H, W, 3].
          labels: int32[B].
          seed: int32[2]; equal seeds give equal results.

        Returns:
          uint8[B, H, W, 3], int32[B], float32[B].
        """
        draw = Draw(seed, images.shape[0])
        policy = _randaugment(draw, self.magnitude) if "randaugment" in self.names else None
        images = self._move(images, draw, policy, self._colors(draw, policy))
        if policy is not None:
            images = policy.tones(images)
        if "cutout" in self.names:
            images = _cutout(images, draw)
        return self._mix(images, labels, draw)

    def _move(
        self, images: tf.Tensor, draw: Draw, policy: Policy | None, colors: tf.Tensor | None
    ) -> tf.Tensor:
        """Flips, crops and rotates in one resampling, and then changes the colours."""
        height, width = images.shape[1:3]
        flipped = draw.coin("flip") if "flip" in self.names else None
        crops, rotates = "crop" in self.names, "rotate" in self.names
        bends = "affine" in self.names
        if not (crops or rotates or bends or policy):
            return transforms.upright(images, None, flipped, colors)
        box = crop_boxes(draw, self.crop_scale) if crops else _whole(draw)
        if not (rotates or bends or policy):
            return transforms.upright(
                images, transforms.pixel_boxes(box, height, width), flipped, colors
            )
        maps = transforms.crop_map(box, flipped, height, width)
        if rotates:
            angle = draw.uniform("rotate", -1, 1) * math.radians(self.rotate_degrees)
            maps @= transforms.centred(transforms.rotation(angle), height, width)
        if bends:
            maps @= transforms.centred(_affine(draw, height, width), height, width)
        if policy:
            maps @= transforms.centred(policy.geometry(height, width), height, width)
        return transforms.upright(transforms.resample(images, maps), None, None, colors)

    def _colors(self, draw: Draw, policy: Policy | None) -> tf.Tensor | None:
        """Returns float32[B, 4, 3], jitter and RandAugment's colours as one matrix, or None."""
        jitter = color_jitter(draw) if "color" in self.names else None
        if policy is None:
            return jitter
        return policy.color() if jitter is None else transforms.followed(jitter, policy.color())

    def _mix(
        self, images: tf.Tensor, labels: tf.Tensor, draw: Draw
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Applies MixUp (Zhang 2017), CutMix (Yun 2019), or one of them by chance to each picture.

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
            images = transforms.select_pictures(choose, mixed, cut)
            share = tf.where(choose, mix_share, cut_share)
        return images, partners, share


def build(config: TrainConfig) -> Augmenter | None:
    """Returns the augmentation that --augment asks for, or None."""
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
    """Random numbers of a batch: an independent stream for each name, equal for equal seeds."""

    _NAMES = (
        "flip", "area", "ratio", "top", "left", "rotate", "brightness", "contrast", "saturation",
        "cut_top", "cut_left", "mix", "mixup", "cutmix", "cutmix_top", "cutmix_left",
        "operation", "sign", "affine_angle", "affine_scale", "shear_x", "shear_y", "shift_x",
        "shift_y",
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
        # For small α both Gammas may underflow to 0, which stands for an end of the interval.
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
        moved = transforms.matrix(
            [one, shear_x, self.of("shift_x") * width / 3]
            + [shear_y, one, self.of("shift_y") * height / 3]
            + [zero, zero, one]
        )
        return transforms.rotation(self.of("rotate") * math.radians(30)) @ moved

    def color(self) -> tf.Tensor:
        """Returns float32[B, 4, 3]: brightness, contrast and saturation by up to ±90%."""
        factors = [1 + 0.9 * self.of(name) for name in ("brightness", "contrast", "saturation")]
        return transforms.color_matrix(*factors)

    def tones(self, images: tf.Tensor) -> tf.Tensor:
        """Returns uint8[B, H, W, 3], some posterised to 4 bits or solarised above a threshold."""
        lost_bits = tf.cast(tf.round(tf.abs(self.of("posterize")) * 4), tf.uint8)
        kept_bits = tf.bitwise.left_shift(
            tf.fill(lost_bits.shape, tf.constant(255, tf.uint8)), lost_bits
        )
        # The highest level that stays as it is: 255 where nothing is solarised.
        highest = tf.cast(tf.math.ceil(256 - 128 * tf.abs(self.of("solarize"))) - 1, tf.uint8)
        flat = tf.reshape(images, [images.shape[0], -1])
        flat = tf.bitwise.bitwise_and(flat, kept_bits[:, None])
        flat = tf.where(flat > highest[:, None], 255 - flat, flat)
        return tf.reshape(flat, images.shape)


# RandAugment's list without equalize, autocontrast and sharpness: they are not affine maps, and
# each would cost a pass over every picture.
_OPERATIONS = (
    "identity", "rotate", "shear_x", "shear_y", "shift_x", "shift_y", "brightness", "contrast",
    "saturation", "posterize", "solarize",
)  # fmt: skip


def _randaugment(draw: Draw, magnitude: float) -> Policy:
    operations = draw.integers("operation", RANDAUGMENT_OPERATIONS, len(_OPERATIONS))
    signs = draw.integers("sign", RANDAUGMENT_OPERATIONS, 2) * 2 - 1
    amounts = tf.cast(signs, tf.float32)[..., None] * magnitude / 10
    one_hot = tf.one_hot(operations, len(_OPERATIONS))
    return Policy(tf.clip_by_value(tf.reduce_sum(one_hot * amounts, axis=1), -1, 1))


def _affine(draw: Draw, height: int, width: int) -> tf.Tensor:
    """Returns float32[B, 3, 3], from output to input: rotation, shear, scale and shift at once."""
    angle = draw.uniform("affine_angle", -1, 1) * math.radians(AFFINE_DEGREES)
    shear_x, shear_y = (
        draw.uniform(name, -AFFINE_SHEAR, AFFINE_SHEAR) for name in ("shear_x", "shear_y")
    )
    low, high = (math.log(1 - AFFINE_SCALE), math.log(1 + AFFINE_SCALE))
    scale = tf.exp(draw.uniform("affine_scale", low, high))
    shift_x = draw.uniform("shift_x", -AFFINE_SHIFT, AFFINE_SHIFT) * width
    shift_y = draw.uniform("shift_y", -AFFINE_SHIFT, AFFINE_SHIFT) * height
    zero, one = tf.zeros_like(scale), tf.ones_like(scale)
    bent = transforms.matrix(
        [scale, scale * shear_x, shift_x, scale * shear_y, scale, shift_y, zero, zero, one]
    )
    return transforms.rotation(angle) @ bent


def crop_boxes(draw: Draw, smallest: float) -> tf.Tensor:
    """Returns float32[B, 4]: top, left, height, width as fractions, inside the picture."""
    area = draw.uniform("area", smallest, 1)
    low, high = (math.log(ratio) for ratio in CROP_RATIO)
    ratio = tf.exp(draw.uniform("ratio", low, high))
    height = tf.minimum(1.0, tf.sqrt(area / ratio))
    width = tf.minimum(1.0, tf.sqrt(area * ratio))
    top = draw.uniform("top", 0, 1) * (1 - height)
    left = draw.uniform("left", 0, 1) * (1 - width)
    return tf.stack([top, left, height, width], axis=1)


def _whole(draw: Draw) -> tf.Tensor:
    return tf.tile([[0.0, 0.0, 1.0, 1.0]], [draw.batch, 1])


def color_jitter(draw: Draw) -> tf.Tensor:
    """Returns float32[B, 4, 3], colour matrices."""
    low, high = 1 - COLOR_STRENGTH, 1 + COLOR_STRENGTH
    factors = [draw.uniform(name, low, high) for name in ("brightness", "contrast", "saturation")]
    return transforms.color_matrix(*factors)


def _cutout(images: tf.Tensor, draw: Draw) -> tf.Tensor:
    rows, columns = cutout_marks(draw, *images.shape[1:3])
    return transforms.pasted(images, tf.constant(int(transforms.MIDDLE), tf.uint8), rows, columns)


def cutout_marks(draw: Draw, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns bool[B, H] and bool[B, W]: the rows and columns of the squares that are hidden."""
    half = CUTOUT_SIDE * min(height, width) / 2
    y = draw.uniform("cut_top", 0, height)
    x = draw.uniform("cut_left", 0, width)
    rows = transforms.within(y - half, y + half, height)
    return rows, transforms.within(x - half, x + half, width)


def _mixup(
    images: tf.Tensor, others: tf.Tensor, draw: Draw, alpha: float
) -> tuple[tf.Tensor, tf.Tensor]:
    share = draw.beta("mixup", alpha)
    return transforms.mixed(images, others, share), share


def _cutmix(
    images: tf.Tensor, others: tf.Tensor, draw: Draw, alpha: float
) -> tuple[tf.Tensor, tf.Tensor]:
    height, width = images.shape[1:3]
    rows, columns, share = cutmix_marks(draw, height, width, alpha)
    return transforms.pasted(images, others, rows, columns), share


def cutmix_marks(
    draw: Draw, height: int, width: int, alpha: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns bool[B, H] and bool[B, W], what is replaced, and float32[B], the share that stays."""
    side = tf.sqrt(1 - draw.beta("cutmix", alpha))
    y = draw.uniform("cutmix_top", 0, height)
    x = draw.uniform("cutmix_left", 0, width)
    half_y, half_x = side * height / 2, side * width / 2
    rows = transforms.within(y - half_y, y + half_y, height)
    columns = transforms.within(x - half_x, x + half_x, width)
    area = [tf.reduce_mean(tf.cast(part, tf.float32), axis=1) for part in (rows, columns)]
    return rows, columns, 1 - area[0] * area[1]
