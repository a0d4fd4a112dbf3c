"""JPEGs decoded to arrays have Pillow's pixels, and what is odd is left to Pillow."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.support.datasets.fakes import picture
from tfrecords.images import canonicalise, opening
from tfrecords.images.canonicalise import ImageError, PixelLimits
from tfrecords.images.formats import jpeg, turbo
from tfrecords.images.plain_jpeg import PlainJpeg
from tfrecords.schema import Encoding, ImageSpec

pytest.importorskip("simplejpeg")

LIMITS = PixelLimits()
DATA = Path(os.environ.get("EVENSHARD_TEST_DATA", "nowhere"))
HOSTILE = next((p for p in (DATA / "hostile_images" / "nasty", DATA / "nasty") if p.is_dir()), None)

SAMPLINGS = ("4:4:4", "4:2:2", "4:2:0", "4:1:1")


def saved(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def decoded(data: bytes, scale: int = 1) -> np.ndarray | None:
    frame = jpeg.frame(jpeg.segments(data))
    assert frame is not None
    with Image.open(io.BytesIO(data)) as image:
        return turbo.decode(data, frame, image.mode, scale)


def by_pillow(data: bytes, scale: int) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


@given(
    sides=st.tuples(st.integers(8, 300), st.integers(8, 300)),
    scale=st.sampled_from([1, 2, 4, 8]),
    mode=st.sampled_from(["RGB", "RGB", "L"]),
    sampling=st.sampled_from(SAMPLINGS),
    quality=st.integers(1, 100),
    progressive=st.booleans(),
    restarts=st.sampled_from([0, 1, 3]),
)
@settings(max_examples=300, deadline=None)
def test_pixels_are_those_of_pillow(
    sides: tuple[int, int],
    scale: int,
    mode: str,
    sampling: str,
    quality: int,
    progressive: bool,
    restarts: int,
) -> None:
    image = picture(f"{sides}", *sides).convert(mode)
    options: dict[str, Any] = {"quality": quality, "progressive": progressive}
    if mode == "RGB":
        options["subsampling"] = sampling
    data = saved(image, restart_marker_blocks=restarts, **options)
    found = decoded(data, scale)
    assert found is not None or scale > 1
    if found is not None:
        np.testing.assert_array_equal(found, by_pillow(data, scale))


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_size_modulo_a_coded_unit(scale: int, mode: str) -> None:
    for height, width in ((200 + i, 200 + (5 * i) % 17) for i in range(17)):
        data = saved(picture("sizes", height, width).convert(mode))
        found = decoded(data, scale)
        assert found is not None
        np.testing.assert_array_equal(found, by_pillow(data, scale))


def test_an_eighth_that_two_scales_give_is_left_to_pillow() -> None:
    # 2 of 4 pixels are a half of them, and three eighths too.
    frame = jpeg.frame(jpeg.segments(saved(picture("small", 4, 4))))
    assert frame is not None
    assert not turbo._is_smallest(frame, 2)
    assert decoded(saved(picture("small", 4, 4)), 2) is None


def _lossless() -> bytes:
    data = bytearray(saved(picture("lossless")))
    data[data.index(b"\xff\xc0") + 1] = 0xC3
    return bytes(data)


def _stored_as_rgb() -> bytes:
    return saved(picture("rgb"), keep_rgb=True)


@pytest.mark.parametrize(
    "data",
    [
        saved(picture("cmyk").convert("CMYK")),
        _lossless(),
        _stored_as_rgb(),
        saved(picture("cut", 64, 64))[:-400],
        saved(picture("gap", 64, 64))[:-200] + saved(picture("gap", 64, 64))[-100:],
    ],
    ids=["cmyk", "lossless", "stored as RGB", "cut", "a gap"],
)
def test_what_is_odd_is_left_to_pillow(data: bytes) -> None:
    assert decoded(data) is None


def without_turbo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turbo, "_codec", lambda: None)


def outcome(data: bytes, spec: ImageSpec) -> tuple[Any, ...]:
    try:
        image, header = canonicalise.decode(data, spec, LIMITS)
        found = canonicalise.canonicalise(data, spec, LIMITS)
        return image.size, image.tobytes(), header, found
    except ImageError as error:
        return error.reason, error.detail, error.header


def oriented() -> list[bytes]:
    image = picture("turned", 130, 211)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    made = [saved(image, icc_profile=profile), saved(image, comment=b"x" * 99), saved(image)[:-2]]
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        made += [saved(image.convert(mode), exif=exif) for mode in ("RGB", "L")]
    return made


@pytest.mark.parametrize("side", [16, 32, 64, 300])
def test_a_picture_is_the_same_whichever_way_it_goes(
    side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ImageSpec(side, side + 5, encoding=Encoding.PNG)
    found = [outcome(data, spec) for data in oriented()]
    without_turbo(monkeypatch)
    assert found == [outcome(data, spec) for data in oriented()]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damage_is_the_same_whichever_way_it_goes(data: st.DataObject) -> None:
    options = data.draw(st.sampled_from([{}, {"progressive": True}, {"restart_marker_rows": 1}]))
    damaged = bytearray(saved(picture("damage", 40, 56), **options))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(2, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(len(damaged) - 300, len(damaged))) :]
    spec = ImageSpec(12, 12, encoding=Encoding.PNG)
    found = outcome(bytes(damaged), spec)
    with pytest.MonkeyPatch.context() as patch:
        without_turbo(patch)
        assert outcome(bytes(damaged), spec) == found


def test_ordinary_pictures_do_go_this_way() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options: dict[str, Any]
    for options in ({}, {"progressive": True}, {"subsampling": 0}, {"comment": b"me"}):
        data = saved(picture("plain", 90, 70), **options)
        plain = PlainJpeg.of(data)
        assert plain is not None
        opened = opening.open_picture(data)
        assert plain.header == opened.header
        for side in (8, 32, 64):
            spec = ImageSpec(side, side)
            assert plain.memory(spec) == opened.memory(spec)
            assert opened.load(spec).pixels is not None
            assert plain.load(spec).extent == opened.load(spec).extent
    data = saved(picture("plain", 90, 70), exif=exif)
    assert PlainJpeg.of(data) is None
    assert opening.open_picture(data).load(ImageSpec(32, 32)).pixels is not None


@pytest.mark.skipif(HOSTILE is None, reason="needs EVENSHARD_TEST_DATA with nasty pictures")
def test_hostile_jpegs_are_the_same_whichever_way_they_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert HOSTILE is not None
    files = [p for p in sorted(HOSTILE.rglob("*")) if p.is_file()]
    data = [one for one in (p.read_bytes() for p in files) if one.startswith(b"\xff\xd8\xff")]
    small = [one for one in data if len(one) < 300_000]
    spec = ImageSpec(64, 64, encoding=Encoding.PNG)
    found = [outcome(one, spec) for one in small]
    without_turbo(monkeypatch)
    for one, before in zip(small, found, strict=True):
        assert outcome(one, spec) == before
