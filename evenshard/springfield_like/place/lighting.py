"""Light and camera: tint, brightness, gradient, vignette, blur and noise."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from evenshard.springfield_like.dice import Dice
from tfrecords.sharding import stable_hash

_NOISE_SIDE = 512


def light(image: Image.Image, dice: Dice) -> Image.Image:
    """Returns `image` (RGB) in a light and through a camera of the dice's choice."""
    image = image.point(_curve(dice))
    if dice.chance(0.55):
        image = ImageChops.multiply(image, _falloff(dice, image.size))
    if dice.chance(0.15):
        image = image.filter(ImageFilter.BoxBlur(dice.between(0.4, 0.004 * image.height)))
    if dice.chance(0.25):
        image = _grain(image, dice)
    return image


def _curve(dice: Dice) -> list[int]:
    """Returns 3 × 256 levels: brightness, contrast and a tint."""
    brightness, contrast = dice.normal(0.0, 14.0), dice.between(0.78, 1.08)
    warmth = dice.normal(0.0, 0.07)
    gains = np.array([1.0 + warmth, 1.0 + dice.normal(0.0, 0.03), 1.0 - warmth])
    levels = (np.arange(256.0) - 128.0) * contrast + 128.0 + brightness
    curve: list[int] = (
        np.clip(np.rint(np.outer(gains, levels)), 0, 255).astype(int).ravel().tolist()
    )
    return curve


def _falloff(dice: Dice, size: tuple[int, int]) -> Image.Image:
    """Returns a smooth shading, darkest `depth` below white: a gradient or a vignette."""
    y, x = np.mgrid[-1.0:1.0:12j, -1.0:1.0:12j]
    depth = dice.between(0.15, 0.5)
    if dice.chance(0.6):
        slope_x, slope_y = dice.between(-0.5, 0.5), dice.between(-0.5, 0.5)
        dark = np.clip(0.5 + x * slope_x + y * slope_y, 0.0, 1.0)
    else:
        dark = np.clip((x * x + y * y - 0.3) / 1.7, 0.0, 1.0)
    small = Image.fromarray(np.round(255.0 * (1.0 - depth * dark)).astype(np.uint8))
    mask = small.resize(size, Image.Resampling.BILINEAR)
    return Image.merge("RGB", (mask, mask, mask))


def _grain(image: Image.Image, dice: Dice) -> Image.Image:
    """Adds film grain, one draw for the process, shifted for each picture."""
    tile = _noise()
    left, top = dice.whole(0, _NOISE_SIDE - 1), dice.whole(0, _NOISE_SIDE - 1)
    layer = Image.new("RGB", image.size, (128, 128, 128))
    for x in range(-left, image.width, _NOISE_SIDE):
        for y in range(-top, image.height, _NOISE_SIDE):
            layer.paste(tile, (x, y))
    return ImageChops.add(image, layer, scale=1.0, offset=-128)


@functools.cache
def _noise() -> Image.Image:
    rng = np.random.default_rng(stable_hash("springfield_like", "grain"))
    grain = rng.normal(128.0, 6.0, (_NOISE_SIDE, _NOISE_SIDE, 3))
    return Image.fromarray(np.clip(np.round(grain), 0, 255).astype(np.uint8))
