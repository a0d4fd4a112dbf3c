"""PNGs with damaged metadata are pictures; with damaged pixels they are corrupt."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from tests.support.pictures import dataset_files
from tfrecords.images.canonicalise import ImageError, PixelLimits, RejectReason, canonicalise
from tfrecords.images.canonicalise import decode as decode_source
from tfrecords.schema import ImageSpec

SPEC = ImageSpec(32, 32)
KNOWN = np.random.default_rng(0).integers(0, 256, (9, 7, 3))


def png(*chunks: bytes) -> bytes:
    data = dataset_files.png(KNOWN, 8, dataset_files.RGB)
    return data[:33] + b"".join(chunks) + data[33:]


def chunk(kind: bytes, data: bytes, *, damaged: bool = False) -> bytes:
    checksum = zlib.crc32(kind + data) ^ damaged
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


@pytest.mark.parametrize(
    "broken",
    [
        chunk(b"tEXt", b"Comment\0hello", damaged=True),
        chunk(b"pHYs", bytes(9), damaged=True),
        chunk(b"eXIf", b"MM\0*\0\0\0\x08", damaged=True),
        chunk(b"iCCP", b"name\0\0" + zlib.compress(b"x"), damaged=True),
        chunk(b"vpAg", bytes(9), damaged=True),
        chunk(b"iCCP", b"name\0\1" + b"unknown compression"),
        chunk(b"pHYs", b"short"),
    ],
)
def test_damaged_metadata_is_left_out_and_said(broken: bytes) -> None:
    image, _ = decode_source(png(broken), SPEC, PixelLimits())
    np.testing.assert_array_equal(np.asarray(image), KNOWN)
    note = canonicalise(png(broken), SPEC, PixelLimits()).note
    assert note == f"damaged metadata left out: {broken[4:8].decode()}"


def test_sound_metadata_beside_it_counts() -> None:
    profile = chunk(b"iCCP", b"name\0\0" + zlib.compress(dataset_files.icc_rgb(1.0)))
    broken = chunk(b"tEXt", b"Comment\0hello", damaged=True)
    got, _ = decode_source(png(profile, broken), SPEC, PixelLimits())
    expected, _ = decode_source(png(profile), SPEC, PixelLimits())
    np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))
    assert not np.array_equal(np.asarray(got), KNOWN)


@pytest.mark.parametrize(
    "broken",
    [
        chunk(b"tRNS", bytes(6), damaged=True),
        chunk(b"PLTE", bytes(6), damaged=True),
        chunk(b"IDAT", bytes(6), damaged=True),
    ],
)
def test_damaged_pixels_are_corrupt(broken: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        canonicalise(png(broken), SPEC, PixelLimits())
    assert caught.value.reason is RejectReason.CORRUPT


def test_the_form_of_iphone_applications_is_refused_by_its_name() -> None:
    data = dataset_files.png(KNOWN, 8, dataset_files.RGB)
    with pytest.raises(ImageError, match="iPhone applications .CgBI. is not supp") as caught:
        canonicalise(data[:8] + chunk(b"CgBI", bytes(4)) + data[8:], SPEC, PixelLimits())
    assert caught.value.reason is RejectReason.UNSUPPORTED_FORMAT
