"""Colour profiles, against formulas: the profiles are written byte by byte."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support import dataset_files
from tfrecords.images import colour

RAMP = np.linspace(0, 255, 256).round().astype(np.uint8).reshape(16, 16)


def srgb_encoded(linear: np.ndarray) -> np.ndarray:
    """The sRGB transfer function (IEC 61966-2-1), 0 to 1 in, 0 to 255 out."""
    return 255 * np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def converted(image: Image.Image, profile: bytes) -> np.ndarray:
    image.info["icc_profile"] = profile
    return np.asarray(colour.to_srgb(image).convert("RGB")).astype(int)


def test_linear_rgb_is_encoded() -> None:
    image = Image.merge("RGB", [Image.fromarray(RAMP)] * 3)
    expected = srgb_encoded(RAMP / 255)[..., None].repeat(3, axis=2)
    np.testing.assert_allclose(converted(image, dataset_files.icc_rgb(1.0)), expected, atol=2)


def test_primaries_are_honoured() -> None:
    image = Image.new("RGB", (4, 4), (255, 0, 0))
    got = converted(image, dataset_files.icc_rgb(2.2, swapped=True))[0, 0]
    np.testing.assert_allclose(got, (0, 255, 0), atol=3)


def test_a_palette_is_converted_through_its_colours() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    got = converted(image, dataset_files.icc_rgb(2.2, swapped=True))[0, 0]
    np.testing.assert_allclose(got, (0, 255, 0), atol=3)


def test_linear_grey_is_encoded() -> None:
    got = converted(Image.fromarray(RAMP), dataset_files.icc_grey(1.0))
    expected = srgb_encoded(RAMP / 255)[..., None].repeat(3, axis=2)
    # LittleCMS interpolates a grey curve between nodes, too few for the toe of this one.
    np.testing.assert_allclose(got[1:], expected[1:], atol=2)


def test_cmyk_goes_through_its_profile() -> None:
    # In this profile only K is ink, so full cyan stays white; without it red would be gone.
    image = Image.new("CMYK", (4, 4), (255, 0, 0, 0))
    np.testing.assert_allclose(
        converted(image, dataset_files.icc_cmyk_key_only())[0, 0], 255, atol=2
    )
    image = Image.new("CMYK", (4, 4), (0, 0, 0, 255))
    np.testing.assert_allclose(converted(image, dataset_files.icc_cmyk_key_only())[0, 0], 0, atol=2)


def test_a_jpeg_carries_its_profile() -> None:
    buffer = io.BytesIO()
    image = Image.new("RGB", (16, 16), (255, 0, 0))
    image.save(buffer, "JPEG", quality=100, icc_profile=dataset_files.icc_rgb(2.2, swapped=True))
    with Image.open(io.BytesIO(buffer.getvalue())) as opened:
        opened.load()
        got = np.asarray(colour.to_srgb(opened))[8, 8].astype(int)
    np.testing.assert_allclose(got, (0, 255, 0), atol=4)


@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        ("RGB", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
        ("RGB", dataset_files.icc_grey(1.0)),
        ("L", dataset_files.icc_rgb(1.0)),
        ("RGB", dataset_files.icc_rgb(1.0)[:200]),
        ("RGB", b"no profile"),
        ("RGB", b""),
        ("RGB", dataset_files.icc_rgb(1.0) + bytes(5 << 20)),
    ],
    ids=["sRGB", "grey on RGB", "RGB on grey", "truncated", "garbage", "empty", "5 MB"],
)
def test_no_profile_that_applies_changes_nothing(mode: str, profile: bytes) -> None:
    image = Image.fromarray(RAMP).convert(mode)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(converted(image, profile), expected)


def test_deep_samples_of_many_rows_are_all_converted() -> None:
    # Conversion goes by blocks of 256 rows; 600 end inside the third.
    samples = np.arange(600 * 3, dtype=np.uint16).reshape(600, 3) * 36
    got = np.asarray(colour.to_eight_bit(Image.fromarray(samples)))
    np.testing.assert_array_equal(got, np.rint(samples / 65_535 * 255))
