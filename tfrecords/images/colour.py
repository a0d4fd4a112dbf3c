"""Any decoded picture as 8-bit sRGB: deep samples, transparency, colour profiles.

docs/pixels.md is the table of rules; each function here is a row or two of it.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from tfrecords.images.rejects import ImageError, RejectReason

_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N")

# TIFF tags: bits of a sample, and whether 0 means white.
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0

# The largest CMYK profiles of the ICC registry have about 3 MB. More is no profile, and 16 of
# them are kept.
_MAX_PROFILE_BYTES = 4 << 20

# A profile that moves no colour by more than this many levels is sRGB, whatever its name: the
# tables of the usual sRGB profiles round that much.
_SAME_LEVELS = 1

# A larger picture is converted a band of rows at a time: every rule is one of single pixels, and
# the steps between, of up to 4 MB a million pixels each, then need no whole picture.
_WHOLE_PIXELS = 1 << 22
_BAND_PIXELS = 1 << 20

# Rows converted at a time from deep samples.
_ROWS = 256


def to_srgb(image: Image.Image) -> Image.Image:
    """Returns a loaded image as sRGB of mode RGB or L (grey), transparency laid over white.

    Grey stays grey here, since resizing one channel costs a third of resizing three.

    Raises:
      ImageError: unsupported_format, for samples whose range is unknown (floats outside 0 to
        1, signed or 32-bit integers).
    """
    samples = _Samples.of(image)
    if image.width * image.height <= _WHOLE_PIXELS or _is_done(image, samples):
        return _convert(image, samples)
    result: Image.Image | None = None
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        band = _convert(image.crop((0, top, image.width, bottom)), samples)
        if result is None:
            result = Image.new(band.mode, image.size)
        result.paste(band, (0, top))
    return image if result is None else result


def is_srgb(mode: str, profile: bytes | None) -> bool:
    """Returns whether opaque samples of mode RGB or L, with a profile or none, are sRGB already."""
    return _srgb_transform(profile, mode) is None


@dataclass(frozen=True, slots=True)
class _Samples:
    """What an image knows of its samples and a part of it does not.

    Attributes:
      full_scale: the sample of 16 bits that means full intensity; Pillow leaves 12-bit TIFF
        unscaled.
      white_is_zero: Pillow inverts such TIFFs at up to 8 bits and not at 16.
      integers_are_16_bit: whether mode I holds 16 bits, as of deep PGM, not 32.
      key: the transparent sample of a grey image of 16 bits, or None.
      profile: the colour profile, or None.
    """

    full_scale: int
    white_is_zero: bool
    integers_are_16_bit: bool
    key: int | None
    profile: bytes | None

    @classmethod
    def of(cls, image: Image.Image) -> _Samples:
        key = image.info.get("transparency")
        return cls(
            full_scale=(1 << _tiff_tag(image, _BITS_PER_SAMPLE, (16,))[0]) - 1,
            white_is_zero=bool(_tiff_tag(image, _PHOTOMETRIC, None) == _WHITE_IS_ZERO),
            integers_are_16_bit=image.format == "PPM",
            key=key if isinstance(key, int) else None,
            profile=image.info.get("icc_profile"),
        )


def _tiff_tag(image: Image.Image, tag: int, default: Any) -> Any:
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    return tags.get(tag, default)


def _is_done(image: Image.Image, samples: _Samples) -> bool:
    return (
        image.mode in ("RGB", "L")
        and not image.has_transparency_data
        and _srgb_transform(samples.profile, image.mode) is None
    )


def _convert(image: Image.Image, samples: _Samples) -> Image.Image:
    image = _to_eight_bit(image, samples)
    if not image.has_transparency_data:
        return _apply_profile(image, samples.profile)
    colour, alpha = _without_alpha(image)
    # Profile first: white is white and the blend happens in sRGB, as every viewer does it.
    colour = _apply_profile(colour, samples.profile)
    background = Image.new(colour.mode, colour.size, "white")
    background.paste(colour, mask=alpha)
    return background


def _without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Returns the colours, grey as grey, and the alpha of a picture that has some."""
    if image.mode in ("L", "LA", "La", "1"):
        both = image.convert("LA")
        return both.getchannel("L"), both.getchannel("A")
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    return rgba.convert("RGB"), rgba.getchannel("A")


def _to_eight_bit(image: Image.Image, samples: _Samples) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        return _from_integers(image, samples, samples.full_scale)
    if image.mode == "I":
        if not samples.integers_are_16_bit:
            raise ImageError(
                RejectReason.UNSUPPORTED_FORMAT, "signed or 32-bit integer samples, range unknown"
            )
        return _from_integers(image, samples, 65_535)
    if image.mode == "F":
        return _from_floats(image, samples)
    return image


def _from_integers(image: Image.Image, samples: _Samples, full_scale: int) -> Image.Image:
    table = np.arange(65_536, dtype=np.uint32).clip(max=full_scale)
    levels = ((table * 255 + full_scale // 2) // full_scale).astype(np.uint8)
    if samples.white_is_zero:
        levels = 255 - levels
    values = np.asarray(image)
    grey = Image.fromarray(_by_rows(values, lambda rows: levels[rows]))
    key = samples.key
    if key is None:
        return grey
    alpha = _by_rows(values, lambda rows: np.where(rows == key, 0, 255))
    return Image.merge("LA", (grey, Image.fromarray(alpha)))


def _from_floats(image: Image.Image, samples: _Samples) -> Image.Image:
    values = np.asarray(image)
    # Comparisons with NaN are false, so a NaN is outside as well.
    if not (values.min() >= 0 and values.max() <= 1):
        raise ImageError(RejectReason.UNSUPPORTED_FORMAT, "floating-point samples outside 0 to 1")
    grey = _by_rows(values, lambda rows: np.rint(rows * 255))
    return Image.fromarray(255 - grey if samples.white_is_zero else grey)


def _by_rows(samples: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Returns `function` of each block of rows as one uint8 array."""
    out = np.empty(samples.shape, np.uint8)
    for top in range(0, len(samples), _ROWS):
        out[top : top + _ROWS] = function(samples[top : top + _ROWS])
    return out


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
        transform = ImageCms.buildTransform(source, target, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # A damaged profile, or one for other channels than the picture has.
        return None
    return None if mode in ("RGB", "L") and _changes_nothing(transform, mode) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Returns whether a transform leaves greys and a grid of colours where they are."""
    ramp = np.arange(256, dtype=np.uint8)
    if mode == "L":
        probe = Image.fromarray(ramp[None])
    else:
        grid = np.stack(np.meshgrid(*[ramp[::15]] * 3), axis=-1).reshape(1, -1, 3)
        greys = np.repeat(ramp[None, :, None], 3, axis=2)
        probe = Image.fromarray(np.concatenate([greys, grid], axis=1))
    converted = ImageCms.applyTransform(probe, transform)
    if converted is None:
        return False
    difference = np.asarray(converted, np.int16) - np.asarray(probe.convert("RGB"), np.int16)
    return bool(np.abs(difference).max() <= _SAME_LEVELS)
