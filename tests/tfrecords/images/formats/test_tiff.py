"""Samples that Pillow lacks, in every arrangement, against pixels known by construction."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from tests.support.pictures.tiff_files import DEFLATE, NONE, Arrangement, tiff
from tfrecords.images.canonicalise import (
    ImageError,
    PixelLimits,
    RejectReason,
    canonicalise,
    decode,
)
from tfrecords.schema import ImageSpec

FULL = ImageSpec(512, 512)


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, FULL, PixelLimits())[0]).astype(int)


def samples(kind: str, channels: int, height: int = 37, width: int = 21) -> np.ndarray:
    rng = np.random.default_rng(channels)
    shape = (height, width, channels)
    if kind.startswith("f"):
        return rng.random(shape).astype(kind)
    return rng.integers(0, np.iinfo(kind).max + 1, shape).astype(kind)


def levels(known: np.ndarray) -> np.ndarray:
    """Returns samples as 8 bits by the rules of docs/pixels.md."""
    if known.dtype.kind == "f":
        return np.rint(known.astype(np.float64) * 255).astype(int)
    if known.dtype.itemsize == 1:
        return known.astype(int)
    if known.shape[2] == 1:
        return np.rint(known / 65_535 * 255).astype(int)
    return known.astype(int) >> 8


ARRANGEMENTS = [
    Arrangement(big_endian, big, planar, compression, predictor, tile)
    for big_endian, big, planar, (compression, predictor), tile in itertools.product(
        (False, True), (False, True), (False, True), ((NONE, 1), (DEFLATE, 1), (DEFLATE, 2)),
        (None, (16, 32)),
    )
    if not (big and big_endian)
]  # fmt: skip


@pytest.mark.parametrize("kind", ["u1", "u2", "f2", "f4", "f8"])
@pytest.mark.parametrize(("photometric", "channels"), [(1, 1), (2, 3)])
def test_every_arrangement_gives_its_samples(kind: str, photometric: int, channels: int) -> None:
    known = samples(kind, channels)
    expected = np.broadcast_to(levels(known), (*known.shape[:2], 3))
    tolerance = 1 if kind.startswith("f") else 0
    for how in ARRANGEMENTS:
        got = pixels_of(tiff(known, photometric, how))
        np.testing.assert_allclose(got, expected, atol=tolerance, err_msg=str(how))


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("big_endian", [False, True])
def test_differences_of_floats(
    kind: str, planar: bool, tile: tuple[int, int] | None, big_endian: bool
) -> None:
    known = samples(kind, 3)
    how = Arrangement(big_endian, False, planar, DEFLATE, 3, tile)
    np.testing.assert_allclose(pixels_of(tiff(known, 2, how)), levels(known), atol=1)


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(("photometric", "colours"), [(1, 1), (2, 3)])
def test_alpha_lies_over_white(kind: str, planar: bool, photometric: int, colours: int) -> None:
    known = samples(kind, colours + 1)
    scaled = levels(known)
    for meaning in (0, 1, 2):
        how = Arrangement(planar=planar, tags={338: [meaning]})
        colour, alpha = scaled[..., :-1], scaled[..., -1:] / 255
        if meaning == 1:
            known = np.minimum(known, known[..., -1:])
            scaled = levels(known)
            colour, alpha = scaled[..., :-1], scaled[..., -1:] / 255
            expected = colour + 255 * (1 - alpha)
        elif meaning == 2:
            expected = colour * alpha + 255 * (1 - alpha)
        else:
            expected = colour if colours == 3 else levels(known)[..., :-1]
        expected = np.broadcast_to(expected, (*known.shape[:2], 3))
        np.testing.assert_allclose(pixels_of(tiff(known, photometric, how)), expected, atol=2)


@pytest.mark.parametrize("kind", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("big_endian", [False, True])
def test_white_may_be_zero(kind: str, big_endian: bool) -> None:
    known = samples(kind, 1)
    got = pixels_of(tiff(known, 0, Arrangement(big_endian)))
    np.testing.assert_allclose(got, np.broadcast_to(255 - levels(known), got.shape), atol=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int) -> None:
    deep = samples("u2", 3)
    plain = (deep >> 8).astype("u1")
    how = Arrangement(planar=True, tags={274: [orientation]})
    np.testing.assert_array_equal(
        pixels_of(tiff(deep, 2, how)), pixels_of(tiff(plain, 2, Arrangement(tags=how.tags)))
    )


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("bad", [1.5, -0.1, np.nan, np.inf])
def test_floats_of_unknown_range_are_rejected(kind: str, bad: float) -> None:
    known = samples(kind, 3)
    known[30, 20, 2] = bad
    with pytest.raises(ImageError, match="outside 0 to 1") as caught:
        pixels_of(tiff(known, 2))
    assert caught.value.reason is RejectReason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("number", "name"),
    [(50_001, "WebP"), (34_712, "JPEG 2000"), (50_002, "JPEG XL"), (7777, "7777")],
)
def test_a_compression_is_refused_by_its_name(number: int, name: str) -> None:
    data = tiff(samples("u1", 3), 2, Arrangement(compression=number))
    with pytest.raises(ImageError, match=f"compressed with .*{name}.* not supported") as caught:
        pixels_of(data)
    assert caught.value.reason is RejectReason.UNSUPPORTED_FORMAT


def test_other_samples_are_refused_by_what_they_are() -> None:
    with pytest.raises(ImageError, match=r"16\+16\+16 bits a pixel \(signed integers") as caught:
        pixels_of(tiff(samples("i2", 3), 2))
    assert caught.value.reason is RejectReason.UNSUPPORTED_FORMAT


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damage_gives_an_image_or_an_image_error(data: st.DataObject) -> None:
    how = data.draw(st.sampled_from(ARRANGEMENTS))
    kind = data.draw(st.sampled_from(["u2", "f4"]))
    damaged = bytearray(tiff(samples(kind, 3), 2, how))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(damaged), FULL, PixelLimits())
    except ImageError as error:
        assert isinstance(error.reason, RejectReason)


NEW_TYPE, OLD_TYPE = 254, 255


def pages(path: Path, *tags: dict[int, int]) -> bytes:
    """Returns a TIFF of pages of 8, 16, 24 … pixels a side with these tags."""
    with TiffImagePlugin.AppendingTiffWriter(str(path), new=True) as file:
        for number, own in enumerate(tags, 1):
            directory = TiffImagePlugin.ImageFileDirectory_v2()
            for tag, value in own.items():
                directory[tag] = value
            Image.new("RGB", (8 * number,) * 2, "red").save(file, "TIFF", tiffinfo=directory)
            file.newFrame()
    return path.read_bytes()


@pytest.mark.parametrize("mark", [{NEW_TYPE: 1}, {OLD_TYPE: 2}])
def test_a_thumbnail_before_the_picture_is_not_taken_for_it(
    tmp_path: Path, mark: dict[int, int]
) -> None:
    with pytest.raises(ImageError, match="begins with a thumbnail") as caught:
        pixels_of(pages(tmp_path / "a.tif", mark, {}))
    assert caught.value.reason is RejectReason.UNSUPPORTED_FORMAT
    for others in (({}, mark), (mark,), ({NEW_TYPE: 2}, {NEW_TYPE: 2})):  # Pages of a document.
        assert pixels_of(pages(tmp_path / "a.tif", *others)).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("tags", "is_said"), [([{}, {}], True), ([{}, {NEW_TYPE: 1}], False), ([{}], False)]
)
def test_the_first_of_several_pages_is_noted(
    tmp_path: Path, tags: list[dict[int, int]], is_said: bool
) -> None:
    data = pages(tmp_path / "a.tif", *tags)
    note = canonicalise(data, ImageSpec(16, 16), PixelLimits()).note
    assert note == ("the first of several pages" if is_said else "")


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize(("most", "is_dark"), [(4_095, True), (255, True), (65_535, False)])
def test_sixteen_bits_of_which_few_are_used_are_noted(
    format: str, most: int, is_dark: bool
) -> None:
    buffer = io.BytesIO()
    grey = np.linspace(0, most, 32 * 32).astype(np.uint16).reshape(32, 32)
    Image.fromarray(grey).save(buffer, format)
    note = canonicalise(buffer.getvalue(), ImageSpec(16, 16), PixelLimits()).note
    assert ("nearly black" in note) == is_dark
    black = io.BytesIO()
    Image.new("L", (32, 32)).save(black, format)  # Of 8 bits, black is meant.
    assert not canonicalise(black.getvalue(), ImageSpec(16, 16), PixelLimits()).note
