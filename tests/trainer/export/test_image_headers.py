"""Headers of files read in TensorFlow ops, against Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from tests.support.datasets import fakes
from tfrecords.schema import ImageSpec
from trainer.export import image_headers, serving

_ORIENTATION = tf.function(
    image_headers.orientation, input_signature=[tf.TensorSpec([], tf.string)]
)


def _jpeg(orientation: int, endian: str = "<") -> bytes:
    tags = Image.Exif()
    tags.endian = endian
    tags[ExifTags.Base.Make] = "A maker, so that orientation is not the first"
    tags[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    fakes.picture("exif", height=40, width=64).save(buffer, "JPEG", exif=tags, quality=95)
    return buffer.getvalue()


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_does(orientation: int, endian: str) -> None:
    data = _jpeg(orientation, endian)
    assert int(_ORIENTATION(data)) == orientation
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    found = serving.decode(tf.constant(data), ImageSpec(64, 64)).pixels.numpy()
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_unknown_orientation_is_none(orientation: int) -> None:
    assert int(_ORIENTATION(_jpeg(orientation))) == 1


@pytest.mark.parametrize(
    ("mode", "options", "expected"),
    [
        ("RGB", {}, False),
        ("L", {}, False),
        ("P", {}, False),
        ("RGBA", {}, True),
        ("LA", {}, True),
        ("P", {"transparency": 3}, True),
        ("RGB", {"transparency": (1, 2, 3)}, True),
    ],
)
def test_whether_a_png_is_transparent(mode: str, options: dict, expected: bool) -> None:
    buffer = io.BytesIO()
    fakes.picture("png").convert(mode).save(buffer, "PNG", **options)
    assert bool(image_headers.has_transparency(tf.constant(buffer.getvalue()))) is expected


def test_without_exif() -> None:
    assert int(_ORIENTATION(fakes.picture_bytes("plain"))) == 1
    assert int(_ORIENTATION(b"")) == 1


@settings(deadline=None)
@given(st.data())
def test_any_damage_leaves_an_orientation(data: st.DataObject) -> None:
    """Bytes of the EXIF segment replaced, or the file cut short."""
    whole = bytearray(_jpeg(6))
    start = whole.index(b"Exif")
    for _ in range(data.draw(st.integers(0, 8))):
        place = data.draw(st.integers(start, start + 60))
        whole[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    assert 1 <= int(_ORIENTATION(bytes(whole[:cut]))) <= 8
