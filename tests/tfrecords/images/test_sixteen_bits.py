"""Colour, and grey with alpha, of 16 bits: what uses few of them is nearly black, and noted."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import dataset_files
from tests.support.pictures.tiff_files import DEFLATE, Arrangement, tiff
from tfrecords.images.canonicalise import PixelLimits, canonicalise
from tfrecords.schema import ImageSpec

# 32x32 pixels of 2,000 of 65,535, by OpenJPEG; its comment is left out.
_DARK_JPEG_2000 = base64.b64decode(
    "/0//UQAvAAAAAAAgAAAAIAAAAAAAAAAAAAAAIAAAACAAAAAAAAAAAAADDwEBDwEBDwEB/1IADAAAAAEABQQEAAH/XAATQI"
    "CIiJCIiJCIiJCIiJCIiJD/kAAKAAAAAAAyAAH/k8/8KAwJrofP/CgMCa6Hz/woDAmuh4CAgICAgICAgICAgICAgP/Z"
)


def note_of(data: bytes) -> str:
    return canonicalise(data, ImageSpec(16, 16), PixelLimits()).note


def ramp(most: int, kind: type[np.unsignedinteger], channels: int = 3) -> np.ndarray:
    return np.linspace(0, most, 32 * 32 * channels).astype(kind).reshape(32, 32, channels)


def png(samples: np.ndarray) -> bytes:
    return dataset_files.png(samples, samples.dtype.itemsize * 8, dataset_files.RGB)


def ppm(samples: np.ndarray) -> bytes:
    most = np.iinfo(samples.dtype).max
    rows = samples.astype(samples.dtype.newbyteorder(">")).tobytes()
    return b"P6\n32 32\n%d\n" % most + rows


WRITERS: dict[str, Callable[[np.ndarray], bytes]] = {
    "png": png,
    "ppm": ppm,
    "tiff": lambda samples: tiff(samples, 2),
    "big_endian": lambda samples: tiff(samples, 2, Arrangement(big_endian=True)),
    "compressed": lambda samples: tiff(samples, 2, Arrangement(compression=DEFLATE)),
    "planes": lambda samples: tiff(samples, 2, Arrangement(planar=True)),
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize(("most", "is_dark"), [(4_095, True), (255, True), (65_535, False)])
def test_colours_that_use_few_of_their_bits_are_noted(
    writer: Callable[[np.ndarray], bytes], most: int, is_dark: bool
) -> None:
    assert ("nearly black" in note_of(writer(ramp(most, np.uint16)))) == is_dark
    # Of 8 bits, black is meant.
    assert not note_of(writer(ramp(15, np.uint8)))


def test_grey_and_colours_with_alpha_are_noted() -> None:
    for colour, channels in ((dataset_files.GREY_ALPHA, 2), (dataset_files.RGBA, 4)):
        known = ramp(4_095, np.uint16, channels)
        known[..., -1] = 65_535
        assert "nearly black" in note_of(dataset_files.png(known, 16, colour))


def test_a_jpeg_2000_of_16_bits_is_noted_by_what_its_codestream_says() -> None:
    assert "nearly black" in note_of(_DARK_JPEG_2000)
    black = io.BytesIO()
    Image.new("RGB", (32, 32)).save(black, "JPEG2000")
    assert not note_of(black.getvalue())


def test_a_bitmap_of_16_bits_a_pixel_is_black_by_intention() -> None:
    rows = [bytes(64)] * 32
    assert not note_of(dataset_files.bmp(rows, 32, 16, masks=(0xF800, 0x7E0, 0x1F)))
