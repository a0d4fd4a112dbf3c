"""Augments a picture; each copy is seeded by (seed, key, copy number)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageEnhance

from beam_pipelines.choices import Operation
from tfrecords.images import canonicalise
from tfrecords.schema import ImageSpec
from tfrecords.sharding import stable_hash

# Milder than the 0.08 of Inception-style crops: a copy in an offline data set is seen in every
# epoch, so the subject must stay in the frame.
CROP_AREA = (0.6, 1.0)
CROP_ASPECT = (3 / 4, 4 / 3)
BRIGHTNESS = CONTRAST = SATURATION = (0.75, 1.25)
ROTATION_DEGREES = 15.0
CUTOUT_SIDE = (0.15, 0.35)
_GREY = (128, 128, 128)


def copy_generator(seed: int, key: str, copy: int) -> np.random.Generator:
    """Returns the random numbers of copy number `copy` of a source."""
    return np.random.default_rng(stable_hash("copy", seed, key, copy))


def augmented_copy(
    source: Image.Image,
    spec: ImageSpec,
    operations: Sequence[Operation],
    generator: np.random.Generator,
) -> Image.Image:
    """Returns one copy of an upright RGB source, fitted to `spec`.

    Operations apply in the order of `Operation`, whatever the order given. Random numbers are
    drawn for all of them, given or not, so that adding one leaves the others as they were.
    """
    area, aspect, across, down = generator.random(4)
    flip, angle = generator.random(2)
    colours = generator.random(3)
    cutout = generator.random(3)
    image = source
    if Operation.CROP in operations:
        image = source.crop(_crop_box(source.size, area, aspect, across, down))
    rotate = Operation.ROTATE in operations
    image = _rotated(image, spec, angle) if rotate else canonicalise.resize(image, spec)
    if Operation.FLIP in operations and flip < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if Operation.COLOR in operations:
        image = _recoloured(image, colours)
    if Operation.CUTOUT in operations:
        image = _cut_out(image, cutout)
    return image


def _crop_box(
    size: tuple[int, int], area: float, aspect: float, across: float, down: float
) -> tuple[int, int, int, int]:
    """Returns a box of random area, aspect ratio and position, never larger than the source."""
    width, height = size
    share = _between(CROP_AREA, area)
    ratio = math.exp(_between((math.log(CROP_ASPECT[0]), math.log(CROP_ASPECT[1])), aspect))
    box_width = min(width, max(1, round(width * math.sqrt(share * ratio))))
    box_height = min(height, max(1, round(height * math.sqrt(share / ratio))))
    left = round((width - box_width) * across)
    top = round((height - box_height) * down)
    return left, top, left + box_width, top + box_height


def _rotated(image: Image.Image, spec: ImageSpec, angle: float) -> Image.Image:
    """Fits the image with a margin, turns it and cuts off the margin: no empty corners."""
    aspect = max(spec.height, spec.width) / min(spec.height, spec.width)
    limit = math.radians(ROTATION_DEGREES)
    margin = math.cos(limit) + aspect * math.sin(limit)
    wide = canonicalise.resize(
        image,
        dataclasses.replace(
            spec, height=math.ceil(spec.height * margin), width=math.ceil(spec.width * margin)
        ),
    )
    degrees = _between((-ROTATION_DEGREES, ROTATION_DEGREES), angle)
    turned = wide.rotate(degrees, Image.Resampling.BICUBIC)
    width, height = round(wide.width / margin), round(wide.height / margin)
    if spec.fixed_size:
        width, height = spec.width, spec.height
    left, top = (wide.width - width) // 2, (wide.height - height) // 2
    return turned.crop((left, top, left + width, top + height))


def _recoloured(image: Image.Image, numbers: np.ndarray) -> Image.Image:
    image = ImageEnhance.Brightness(image).enhance(_between(BRIGHTNESS, numbers[0]))
    image = ImageEnhance.Contrast(image).enhance(_between(CONTRAST, numbers[1]))
    return ImageEnhance.Color(image).enhance(_between(SATURATION, numbers[2]))


def _cut_out(image: Image.Image, numbers: np.ndarray) -> Image.Image:
    """Covers a square with grey, as in DeVries and Taylor, "Cutout" (2017)."""
    side = max(1, round(min(image.size) * _between(CUTOUT_SIDE, numbers[0])))
    left = round((image.width - side) * numbers[1])
    top = round((image.height - side) * numbers[2])
    covered = image.copy()
    covered.paste(_GREY, (left, top, left + side, top + side))
    return covered


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * float(share)
