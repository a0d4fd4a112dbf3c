"""Any decoded picture as 8-bit sRGB: deep samples, transparency, colour profiles.

docs/pixels.md is the table of rules; each function here is a row or two of it.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from tfrecords.images.rejects import ImageError, RejectReason

_WHITE = (255, 255, 255)
_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N")

# TIFF tags: bits of a sample, and whether 0 means white.
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0

# The largest CMYK profiles of the ICC registry have about 3 MB. More is no profile, and 16 of
# them are kept.
_MAX_PROFILE_BYTES = 4 << 20

# Rows converted at a time, so that a picture of half a gigabyte needs no second one in floats.
_ROWS = 256


def to_srgb(image: Image.Image) -> Image.Image:
    """Returns a loaded image as sRGB of mode RGB or L (grey), transparency laid over white.

    Grey stays grey here, since resizing one channel costs a third of resizing three.

    Raises:
      ImageError: unsupported_format, for samples whose range is unknown (floats outside 0 to
        1, signed or 32-bit integers).
    """
    profile = image.info.get("icc_profile")
    return _apply_profile(over_white(to_eight_bit(image)), profile)


def to_eight_bit(image: Image.Image) -> Image.Image:
    """Returns an image with samples of 8 bits, scaled: `convert` would clip them instead."""
    if image.mode in _SIXTEEN_BIT_MODES:
        return _from_integers(image, _full_scale(image))
    if image.mode == "I":
        if image.format != "PPM":
            raise ImageError(
                RejectReason.UNSUPPORTED_FORMAT, "signed or 32-bit integer samples, range unknown"
            )
        return _from_integers(image, 65_535)
    if image.mode == "F":
        return _from_floats(image)
    return image


def over_white(image: Image.Image) -> Image.Image:
    """Returns an image without transparency, laid over white."""
    if not image.has_transparency_data:
        return image
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    background = Image.new("RGB", rgba.size, _WHITE)
    background.paste(rgba, mask=rgba)
    return background


def _from_integers(image: Image.Image, full_scale: int) -> Image.Image:
    table = np.arange(65_536, dtype=np.uint32).clip(max=full_scale)
    levels = ((table * 255 + full_scale // 2) // full_scale).astype(np.uint8)
    if _white_is_zero(image):
        levels = 255 - levels
    samples = np.asarray(image)
    grey = Image.fromarray(_by_rows(samples, lambda rows: levels[rows]))
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return grey
    alpha = _by_rows(samples, lambda rows: np.where(rows == key, 0, 255))
    return Image.merge("LA", (grey, Image.fromarray(alpha)))


def _from_floats(image: Image.Image) -> Image.Image:
    samples = np.asarray(image)
    # Comparisons with NaN are false, so a NaN is outside as well.
    if not (samples.min() >= 0 and samples.max() <= 1):
        raise ImageError(RejectReason.UNSUPPORTED_FORMAT, "floating-point samples outside 0 to 1")
    grey = _by_rows(samples, lambda rows: np.rint(rows * 255))
    return Image.fromarray(255 - grey if _white_is_zero(image) else grey)


def _by_rows(samples: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Returns `function` of each block of rows as one uint8 array."""
    out = np.empty(samples.shape, np.uint8)
    for top in range(0, len(samples), _ROWS):
        out[top : top + _ROWS] = function(samples[top : top + _ROWS])
    return out


def _full_scale(image: Image.Image) -> int:
    """Returns the sample that means full intensity; Pillow leaves 12-bit TIFF unscaled."""
    bits = _tiff_tag(image, _BITS_PER_SAMPLE, (16,))
    return (1 << bits[0]) - 1


def _white_is_zero(image: Image.Image) -> bool:
    """Whether 0 is white; Pillow inverts such TIFFs at up to 8 bits and not at 16."""
    return bool(_tiff_tag(image, _PHOTOMETRIC, None) == _WHITE_IS_ZERO)


def _tiff_tag(image: Image.Image, tag: int, default: Any) -> Any:
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    return tags.get(tag, default)


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    image = _without_palette(image)
    transform = _srgb_transform(profile, image.mode)
    if transform is not None:
        converted = ImageCms.applyTransform(image, transform)
        if converted is not None:
            return converted
    # A no-op convert copies the picture: 0.4 of about 3 ms.
    return image if image.mode in ("RGB", "L") else image.convert("RGB")


def _without_palette(image: Image.Image) -> Image.Image:
    if image.mode == "P":
        return image.convert("RGB")
    return image.convert("L") if image.mode == "1" else image


@functools.lru_cache(maxsize=16)
def _srgb_transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Returns the transform to sRGB, or None where it changes nothing or cannot be built."""
    target = ImageCms.createProfile("sRGB")
    if mode == "LAB":
        return ImageCms.buildTransform(ImageCms.createProfile("LAB"), target, mode, "RGB")
    if not profile or len(profile) > _MAX_PROFILE_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in (source.profile.profile_description or "").lower():
            return None
        return ImageCms.buildTransform(source, target, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # A damaged profile, or one for other channels than the picture has.
        return None
