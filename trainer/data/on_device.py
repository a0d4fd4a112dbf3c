"""Augments batches on the device: numbers are drawn on the host, pixels are changed by the GPU.

The machines beside a GPU often have few and slow cores. The host then only draws where each picture
is cropped, mirrored, recoloured, hidden and mixed, from the seeds by which it would change the
pixels itself, and the step applies that to the whole batch. Both give the same pictures to
rounding. Pixels are float32 in between, since a GPU gathers no bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from tfrecords.errors import UsageError
from trainer.config import TrainConfig
from trainer.data import augment, transforms
from trainer.data.augment import Augmenter, Draw
from trainer.data.stream import Batch
from trainer.devices import Devices

# What the device can do; others resample by a general map, in ways of their own.
ON_DEVICE = ("flip", "crop", "color", "cutout", "mixup", "cutmix")


class Choices(NamedTuple):
    """What is to be done to each picture of a batch; () for what is not asked for.

    Attributes:
      boxes: int32[B, 4], of whole pixels: top, left, height, width.
      flipped: bool[B].
      colors: float32[B, 4, 3], colour matrices.
      hidden: bool[B, H] and bool[B, W], rows and columns of the hidden square.
      share: float32[B], weight of the picture itself where another is mixed in.
      pasted: bool[B, H] and bool[B, W], rows and columns that the other picture replaces.
      mixes: bool[B], mixed rather than pasted, where both are asked for.
    """

    boxes: Any = ()
    flipped: Any = ()
    colors: Any = ()
    hidden: tuple[Any, ...] = ()
    share: Any = ()
    pasted: tuple[Any, ...] = ()
    mixes: Any = ()


class Chooser:
    """Draws what an augmenter would do, and leaves the pictures as they are."""

    def __init__(self, augmenter: Augmenter) -> None:
        self._augmenter = augmenter

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, Choices]:
        """Returns images, partners and shares as `Augmenter` does, and what to do to the images."""
        asked, draw = self._augmenter, Draw(seed, images.shape[0])
        names, (height, width) = asked.names, images.shape[1:3]
        chosen: dict[str, Any] = {}
        if "crop" in names:
            box = augment.crop_boxes(draw, asked.crop_scale)
            chosen["boxes"] = transforms.pixel_boxes(box, height, width)
        if "flip" in names:
            chosen["flipped"] = draw.coin("flip")
        if "color" in names:
            chosen["colors"] = augment.color_jitter(draw)
        if "cutout" in names:
            chosen["hidden"] = augment.cutout_marks(draw, height, width)
        mixing, share = self._mixing(draw, height, width)
        if share is None:
            return images, labels, tf.ones(labels.shape, tf.float32), Choices(**chosen)
        return images, tf.roll(labels, 1, axis=0), share, Choices(**chosen, **mixing)

    def _mixing(
        self, draw: Draw, height: int, width: int
    ) -> tuple[dict[str, Any], tf.Tensor | None]:
        """Returns how pictures are mixed with others, and float32[B], the share of each itself.

        The share is None where none are mixed.
        """
        asked, chosen, share = self._augmenter, dict[str, Any](), None
        if "cutmix" in asked.names:
            *marks, share = augment.cutmix_marks(draw, height, width, asked.cutmix_alpha)
            chosen["pasted"] = tuple(marks)
        if "mixup" in asked.names:
            own = chosen["share"] = draw.beta("mixup", asked.mixup_alpha)
            if share is None:
                share = own
            else:
                chosen["mixes"] = draw.coin("mix")
                share = tf.where(chosen["mixes"], own, share)
        return chosen, share


def chooser(config: TrainConfig, devices: Devices) -> Chooser | None:
    """Returns what draws for the device; None where the host augments, or nothing is asked for.

    Raises:
      UsageError: --augment_on=device with what only the host can do.
    """
    lacking = [name for name in config.augmentations if name not in ON_DEVICE]
    if config.augment_on == "device" and (lacking or devices.replicas > 1):
        what = f"--augment={lacking[0]}" if lacking else "--distribute=mirrored"
        raise UsageError(
            f"--augment_on=device does not go with {what}: leave one of them out; the device does "
            f"{', '.join(ON_DEVICE)}"
        )
    if lacking or devices.replicas > 1 or config.augment_on == "host":
        return None
    if config.augment_on == "auto" and devices.kind != "gpu":
        return None
    augmenter = augment.build(config)
    return None if augmenter is None else Chooser(augmenter)


def blank_batch(config: TrainConfig, size: tuple[int, int], devices: Devices) -> Batch:
    """Returns a batch of black pictures as a run's stream would give it, to try a step with."""
    count = config.fixed_batch_size
    images = tf.zeros([count, *size, 3], tf.uint8)
    labels, ones = tf.zeros([count], tf.int32), tf.ones([count])
    choose = chooser(config, devices)
    choices = choose(images, labels, tf.constant([0, 1]))[3] if choose else ()
    return Batch(images, labels, labels, ones, ones, choices)


def augmented(images: tf.Tensor, choices: tuple[Any, ...]) -> tf.Tensor:
    """Returns uint8[B, H, W, 3]: pictures after what was chosen for each of them.

    Args:
      images: uint8[B, H, W, 3].
      choices: of the same B pictures; () for nothing.
    """
    if not isinstance(choices, Choices):
        return images
    pixels = tf.cast(images, tf.float32)
    pixels = _moved(pixels, choices)
    if _asked(choices.colors):
        pixels = _whole(_recolored(pixels, choices.colors))
    elif _asked(choices.boxes):
        pixels = _whole(pixels)
    if choices.hidden:
        pixels = tf.where(_marked(choices.hidden), transforms.MIDDLE, pixels)
    return tf.cast(_mixed(pixels, choices), tf.uint8)


def _moved(pixels: tf.Tensor, choices: Choices) -> tf.Tensor:
    """Returns float32[B, H, W, 3]: the boxes at full size, mirrored; bilinear, pixels centred."""
    batch, height, width = pixels.shape[:3]
    mirrored = (
        choices.flipped[:, None] if _asked(choices.flipped) else tf.zeros([batch, 1], tf.bool)
    )
    if _asked(choices.boxes):
        top, left, rows, columns = (choices.boxes[:, n : n + 1] for n in range(4))
        low, high, part = _neighbours(columns, width)
        low, high = (tf.where(mirrored, columns - 1 - x, x) + left for x in (low, high))
        pixels = _blended(pixels, low, high, part[:, None, :, None], axis=2)
        low, high, part = _neighbours(rows, height)
        return _blended(pixels, low + top, high + top, part[:, :, None, None], axis=1)
    if not _asked(choices.flipped):
        return pixels
    places = tf.range(width)[None]
    return tf.gather(pixels, tf.where(mirrored, width - 1 - places, places), axis=2, batch_dims=1)


def _neighbours(sides: tf.Tensor, length: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the two pixels that each of `length` lies between, and how far from the first.

    Source: TensorFlow's kernel of ResizeBilinear with half_pixel_centers, resize_bilinear_op.cc.

    Args:
      sides: int32[B, 1], pixels of a box along this axis.
      length: pixels that it becomes.

    Returns:
      int32[B, length] twice, and float32[B, length].
    """
    scale = tf.cast(sides, tf.float32) / length
    places = (tf.range(length, dtype=tf.float32)[None] + 0.5) * scale - 0.5
    floor = tf.floor(places)
    low = tf.maximum(tf.cast(floor, tf.int32), 0)
    high = tf.minimum(tf.cast(tf.math.ceil(places), tf.int32), sides - 1)
    return low, high, places - floor


def _blended(
    pixels: tf.Tensor, low: tf.Tensor, high: tf.Tensor, part: tf.Tensor, axis: int
) -> tf.Tensor:
    first, second = (tf.gather(pixels, x, axis=axis, batch_dims=1) for x in (low, high))
    return first + (second - first) * part


def _recolored(pixels: tf.Tensor, colors: tf.Tensor) -> tf.Tensor:
    """Returns pixels after colour matrices; summed here, since a GPU's product rounds to TF32."""
    rows = tf.unstack(colors[:, None, None], axis=3)
    by_channel = tf.split(pixels, 3, axis=3)
    total = sum(channel * row for channel, row in zip(by_channel, rows[:3], strict=True))
    return tf.clip_by_value(total + rows[3], 0.0, 255.0)


def _mixed(pixels: tf.Tensor, choices: Choices) -> tf.Tensor:
    """Returns pictures with the neighbour in the batch mixed in or pasted in."""
    if not (_asked(choices.share) or choices.pasted):
        return pixels
    others = tf.concat([pixels[-1:], pixels[:-1]], axis=0)
    mixed = pasted = pixels
    if _asked(choices.share):
        share = choices.share[:, None, None, None]
        mixed = _whole(share * pixels + (1 - share) * others)
    if choices.pasted:
        pasted = tf.where(_marked(choices.pasted), others, pixels)
    if not choices.pasted:
        return mixed
    if not _asked(choices.share):
        return pasted
    return tf.where(choices.mixes[:, None, None, None], mixed, pasted)


def _asked(choice: Any) -> bool:
    return not isinstance(choice, tuple)


def _marked(marks: tuple[tf.Tensor, ...]) -> tf.Tensor:
    """Returns bool[B, H, W, 1] of marked rows and marked columns."""
    rows, columns = marks
    return rows[:, :, None, None] & columns[:, None, :, None]


def _whole(pixels: tf.Tensor) -> tf.Tensor:
    """Rounds as the host does when it makes bytes of floats."""
    return tf.floor(pixels + 0.5)
