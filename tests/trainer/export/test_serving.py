"""Files to pixels in TensorFlow ops, against the path of the bake."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.datasets import fakes
from tfrecords.images import canonicalise
from tfrecords.images import resize as resizing
from tfrecords.schema import Encoding, ImageSpec, Resize
from trainer.data import record_pixels
from trainer.export import serving

_DECODE = tf.function(
    lambda file: serving.decode(file, ImageSpec(64, 64)).pixels,
    input_signature=[tf.TensorSpec([], tf.string)],
)


def _bytes(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)  # type: ignore[arg-type]  # Values of a table.
    return buffer.getvalue()


def _alpha() -> Image.Image:
    image = fakes.picture("alpha", height=30, width=40).convert("RGBA")
    image.putalpha(fakes.picture("mask", height=30, width=40).convert("L"))
    return image


def _animated_webp() -> bytes:
    frames = [fakes.picture(seed) for seed in "ab"]
    return _bytes(frames[0], "WEBP", save_all=True, append_images=frames[1:])


def _files() -> dict[str, bytes]:
    plain = fakes.picture("plain", height=30, width=40)
    flat = plain.copy()
    flat.paste((9, 200, 30), (3, 5, 20, 25))
    deep = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40) * 54
    return {
        "jpeg": _bytes(plain, "JPEG"),
        "progressive": _bytes(plain, "JPEG", progressive=True, subsampling="4:4:4"),
        "grey jpeg": _bytes(plain.convert("L"), "JPEG"),
        "png": _bytes(plain, "PNG"),
        "alpha": _bytes(_alpha(), "PNG"),
        "grey with alpha": _bytes(_alpha().convert("LA"), "PNG"),
        "palette": _bytes(plain.quantize(16), "PNG"),
        "palette with one transparent": _bytes(plain.quantize(16), "PNG", transparency=3),
        "palette with alpha": _bytes(plain.quantize(4), "PNG", transparency=b"\x80\x00\xff\x10"),
        "transparent colour": _bytes(flat, "PNG", transparency=(9, 200, 30)),
        "transparent grey": _bytes(flat.convert("L"), "PNG", transparency=124),
        "black and white": _bytes(plain.convert("1"), "PNG"),
        "deep grey": _bytes(Image.fromarray(deep), "PNG"),
        "gif": _bytes(plain.quantize(64), "GIF"),
        "animation": _bytes(
            plain.quantize(64), "GIF", save_all=True, append_images=[plain.rotate(90).quantize(64)]
        ),
        "bmp": _bytes(plain, "BMP"),
        "webp": _bytes(plain, "WEBP", lossless=True),
        "lossy webp": _bytes(plain, "WEBP"),
        "webp with alpha": _bytes(_alpha(), "WEBP", lossless=True, exact=True),
        "lossy webp with alpha": _bytes(_alpha(), "WEBP"),
    }


@pytest.mark.parametrize("name", _files())
def test_decodes_as_the_bake(name: str) -> None:
    file = _files()[name]
    expected, _ = canonicalise.decode(file, ImageSpec(64, 64), canonicalise.PixelLimits())
    found = _DECODE(tf.constant(file)).numpy()
    assert np.abs(found.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (fakes.picture_bytes("x", "TIFF"), "Unknown image file format"),
        (fakes.picture_bytes("x", "AVIF"), "Unknown image file format"),
        (_bytes(fakes.picture("x").quantize(16), "BMP"), "a BMP with a palette"),
        (_animated_webp(), "WebP Animation"),
        (fakes.picture_bytes("x")[:200], "Invalid JPEG data"),
        (b"", "empty"),
    ],
    ids=["tiff", "avif", "palette bmp", "animated webp", "cut jpeg", "empty"],
)
def test_says_that_it_cannot_read_a_file(file: bytes, message: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        _DECODE(tf.constant(file))


_SIDES = st.integers(5, 400)


@settings(deadline=None, max_examples=60)
@given(
    resize=st.sampled_from(list(Resize)), source=st.tuples(_SIDES, _SIDES), side=st.integers(32, 48)
)
def test_fits_as_the_bake(resize: Resize, source: tuple[int, int], side: int) -> None:
    width = side if resize is Resize.SHORT_SIDE else side + 7
    spec = ImageSpec(side, width, resize, Encoding.PNG)
    image = fakes.picture("fit", height=source[0], width=source[1])
    expected = np.asarray(resizing.resize(image, spec))
    found = serving.fit(serving.whole(tf.constant(np.asarray(image))), spec).numpy()
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        (ImageSpec(32, 32), (32, 32)),
        (ImageSpec(32, 32), (16, 16)),
        (ImageSpec(160, 160), (160, 160)),  # Halved chroma.
        (ImageSpec(32, 48, Resize.PAD, Encoding.PNG), (32, 48)),
        (ImageSpec(32, 32, Resize.CROP, Encoding.RAW), (32, 32)),
        (ImageSpec(32, 32, Resize.SHORT_SIDE), (24, 20)),
    ],
    ids=lambda value: (
        f"{value.resize.value}-{value.encoding.value}" if isinstance(value, ImageSpec) else None
    ),
)
def test_reads_what_training_saw(spec: ImageSpec, size: tuple[int, int]) -> None:
    """From file to the network's pixels: equal, where both have the same libjpeg-turbo."""
    read = tf.function(serving.reader(spec, size), input_signature=[tf.TensorSpec([], tf.string)])
    decode = record_pixels.decoder(spec, size)
    for seed, (height, width) in enumerate([(90, 120), (200, 61), (33, 40), (271, 533)]):
        file = fakes.picture_bytes(seed, height=height, width=width)
        baked = canonicalise.canonicalise(file, spec, canonicalise.PixelLimits()).data
        difference = np.abs(read(file).numpy().astype(int) - decode(baked).numpy())
        assert difference.max() <= 1
        assert difference.mean() < 0.02
