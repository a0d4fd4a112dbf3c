"""Colour profiles, against formulas: the profiles are written byte by byte."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support.pictures import dataset_files
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


@pytest.mark.parametrize("name", ["sRGB", "sRGB IEC61966-2.1", "linear sRGB", "Wide, sRGBtrc", "x"])
def test_a_profile_is_what_it_does_not_what_it_is_called(name: str) -> None:
    image = Image.merge("RGB", [Image.fromarray(RAMP)] * 3)
    expected = srgb_encoded(RAMP / 255)[..., None].repeat(3, axis=2)
    got = converted(image, dataset_files.icc_rgb(1.0, description=name))
    np.testing.assert_allclose(got, expected, atol=2)
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    got = converted(red, dataset_files.icc_rgb(2.2, swapped=True, description=name))[0, 0]
    np.testing.assert_allclose(got, (0, 255, 0), atol=3)


@pytest.mark.parametrize("mode", ["LA", "I;16 with a key", "L with a key"])
def test_grey_with_alpha_goes_through_a_grey_profile(mode: str) -> None:
    expected = srgb_encoded(RAMP / 255)
    clear = np.zeros(RAMP.shape, bool)
    if mode == "LA":
        clear[3:5] = True
        alpha = Image.fromarray(np.where(clear, 0, 255).astype(np.uint8))
        image = Image.merge("LA", (Image.fromarray(RAMP), alpha))
    else:
        clear[5, 5] = True
        scale = 257 if mode.startswith("I") else 1
        image = Image.fromarray(RAMP.astype(np.uint16) * 257 if scale > 1 else RAMP)
        image.info["transparency"] = int(RAMP[5, 5]) * scale
    got = converted(image, dataset_files.icc_grey(1.0))
    # LittleCMS interpolates a grey curve between nodes, too few for the toe of this one.
    expected = np.where(clear, 255, expected)[..., None].repeat(3, axis=2)
    np.testing.assert_allclose(got[1:], expected[1:], atol=2)


def test_what_shines_through_is_blended_in_srgb() -> None:
    # Linear 0.5 is 188 in sRGB; half of it over white is half way from 188 to 255.
    grey = Image.new("LA", (4, 4), (128, 128))
    got = converted(grey, dataset_files.icc_grey(1.0))[0, 0]
    np.testing.assert_allclose(got, 188 / 2 + 255 / 2, atol=2)
    colour_image = Image.new("RGBA", (4, 4), (128, 128, 128, 128))
    got = converted(colour_image, dataset_files.icc_rgb(1.0))[0, 0]
    np.testing.assert_allclose(got, 188 / 2 + 255 / 2, atol=2)


@pytest.mark.parametrize(
    "mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "F", "RGBa", "La", "PA"]
)
def test_bands_of_a_large_picture_are_the_same_as_the_whole(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 1 << 16, (50, 31)).astype(np.uint16))
    elif mode == "F":
        image = Image.fromarray(rng.random((50, 31)).astype(np.float32))
    else:
        rgba = Image.fromarray(rng.integers(0, 256, (50, 31, 4)).astype(np.uint8))
        steps = {
            "La": ("LA", "La"),
            "PA": ("P", "PA"),
            "LA": ("LA",),
            "RGBA": (),
            "RGBa": ("RGBa",),
        }
        image = rgba
        for step in steps.get(mode, ("RGB", mode)):
            image = image.convert(step)
    for profile in (None, dataset_files.icc_rgb(1.0), dataset_files.icc_grey(1.0)):
        image.info["icc_profile"] = profile
        monkeypatch.setattr(colour, "_WHOLE_PIXELS", 1 << 22)
        whole = colour.to_srgb(image)
        monkeypatch.setattr(colour, "_WHOLE_PIXELS", 100)
        monkeypatch.setattr(colour, "_BAND_PIXELS", 200)
        banded = colour.to_srgb(image)
        assert banded.mode == whole.mode
        np.testing.assert_array_equal(np.asarray(banded), np.asarray(whole))


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
    got = np.asarray(colour.to_srgb(Image.fromarray(samples)).convert("L"))
    np.testing.assert_array_equal(got, np.rint(samples / 65_535 * 255))
