"""JPEGs that end before their last marker, and metadata that costs more than it is worth."""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.datasets.fakes import picture
from tfrecords.images.canonicalise import (
    ImageError,
    PixelLimits,
    RejectReason,
    Truncated,
    canonicalise,
    decode,
)
from tfrecords.images.formats import jpeg
from tfrecords.schema import ImageSpec

FULL = ImageSpec(512, 512)


def without_bulk(data: bytes) -> bytes:
    return jpeg.without_bulk(data, tuple(jpeg.segments(data)))


STRICT = PixelLimits(truncated=Truncated.REJECT)

KINDS = {
    "baseline": {},
    "grey": {"mode": "L"},
    "cmyk": {"mode": "CMYK"},
    "full chroma": {"subsampling": 0},
    "restarts": {"restart_marker_rows": 1},
    "restarts of blocks": {"restart_marker_blocks": 3},
    "progressive": {"progressive": True},
    "progressive grey": {"progressive": True, "mode": "L"},
    "progressive restarts": {"progressive": True, "restart_marker_rows": 1},
}


def encoded(kind: str, side: int = 200) -> bytes:
    options = dict(KINDS[kind])
    image = picture("jpeg", side, side)
    noise = Image.effect_noise(image.size, 60).convert("RGB")
    image = Image.blend(image, noise, 0.3).convert(str(options.pop("mode", "RGB")))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85, **options)  # type: ignore[arg-type]  # Values of a table.
    data = buffer.getvalue()
    assert data.endswith(b"\xff\xd9")
    return data


def pixels_of(data: bytes, limits: PixelLimits | None = None) -> np.ndarray:
    return np.asarray(decode(data, FULL, limits or PixelLimits())[0]).astype(int)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "end", [b"", b"\xff", b"\xff" * 40, bytes(4096)], ids=["none", "half", "filled", "zeros"]
)
def test_without_its_last_marker_it_is_the_same_picture(kind: str, end: bytes) -> None:
    whole = encoded(kind)
    cut = whole[:-2] + end
    np.testing.assert_array_equal(pixels_of(cut), pixels_of(whole))
    found = canonicalise(cut, ImageSpec(32, 32), PixelLimits())
    assert found.note == "the file ends before the JPEG does: only its last marker is missing"
    assert found.data == canonicalise(whole, ImageSpec(32, 32), PixelLimits()).data
    with pytest.raises(ImageError) as caught:
        canonicalise(cut, ImageSpec(32, 32), STRICT)
    assert caught.value.reason is RejectReason.TRUNCATED


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@given(seed=st.integers(0, 10_000), side=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_a_missing_marker_is_always_noticed(
    options: dict[str, object], seed: int, side: int
) -> None:
    buffer = io.BytesIO()
    picture(seed, side, side).save(buffer, "JPEG", **options)  # type: ignore[arg-type]  # Values of a table.
    whole = buffer.getvalue()
    found = canonicalise(whole[:-2], ImageSpec(16, 16), PixelLimits())
    assert "only its last marker is missing" in found.note
    assert found.data == canonicalise(whole, ImageSpec(16, 16), STRICT).data


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_one_has_no_note(kind: str) -> None:
    whole = encoded(kind)
    for data in (whole, whole + b"\0\0trailing", whole + b"\xff\xd8 a thumbnail"):
        assert canonicalise(data, ImageSpec(32, 32), STRICT).note == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.9])
@pytest.mark.parametrize("padded", [False, True])
def test_cut_in_its_data_it_is_truncated(kind: str, share: float, padded: bool) -> None:
    whole = encoded(kind)
    start = whole.rindex(b"\xff\xda") if "progressive" in kind else whole.index(b"\xff\xda")
    cut = whole[: start + int((len(whole) - start) * share)]
    if padded:
        cut = cut.ljust(len(whole), b"\0")
    with pytest.raises(ImageError, match="of its rows are missing") as caught:
        pixels_of(cut)
    assert caught.value.reason is RejectReason.TRUNCATED


@pytest.mark.parametrize("kind", ["restarts", "restarts of blocks"])
def test_cut_at_a_restart_it_is_truncated(kind: str) -> None:
    whole = encoded(kind)
    marks = [m.start() for m in re.finditer(rb"\xff[\xd0-\xd7]", whole)]
    middle = marks[len(marks) // 2]
    for cut in (whole[:middle], whole[: middle + 2]):
        with pytest.raises(ImageError, match="rows are missing") as caught:
            pixels_of(cut)
        assert caught.value.reason is RejectReason.TRUNCATED


def test_without_some_of_its_scans_it_is_truncated() -> None:
    whole = encoded("progressive")
    for scan in [m.start() for m in re.finditer(rb"\xff\xda", whole)][1:]:
        table = whole.rindex(b"\xff\xc4", 0, scan)
        with pytest.raises(ImageError) as caught:
            pixels_of(whole[:table])
        assert caught.value.reason is RejectReason.TRUNCATED


@pytest.mark.parametrize("kind", ["baseline", "grey", "full chroma"])
def test_up_to_5_percent_of_the_rows_may_be_missing(kind: str) -> None:
    whole = encoded(kind, 800)
    start = whole.index(b"\xff\xda")
    cut = whole[: start + int((len(whole) - start) * 0.97)]
    found = canonicalise(cut, ImageSpec(400, 400), PixelLimits())
    assert re.search(r"the last [1-5]% of its rows are missing", found.note)
    there = int(800 * (1 - jpeg.MAX_MISSING))
    np.testing.assert_array_equal(pixels_of(cut)[:there], pixels_of(whole)[:there])
    with pytest.raises(ImageError):
        canonicalise(cut, ImageSpec(400, 400), STRICT)


@pytest.mark.parametrize("bits", [12, 16])
def test_deep_samples_are_refused_by_their_name(bits: int) -> None:
    data = bytearray(encoded("baseline"))
    data[data.index(b"\xff\xc0") + 4] = bits
    with pytest.raises(ImageError, match=f"a JPEG of {bits} bits a sample is not supp") as caught:
        pixels_of(bytes(data))
    assert caught.value.reason is RejectReason.UNSUPPORTED_FORMAT


class TestBulk:
    def segment(self, marker: int, payload: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload

    def exif(self, orientation: int) -> bytes:
        exif = Image.Exif()
        exif[0x0112] = orientation
        return self.segment(0xE1, exif.tobytes())

    def test_an_ordinary_file_is_not_touched(self) -> None:
        data = encoded("baseline")
        data = data[:2] + self.exif(6) + self.segment(0xFE, b"comment") + data[2:]
        assert without_bulk(data) is data

    def test_of_many_exif_segments_the_first_counts(self) -> None:
        data = encoded("baseline")
        many = data[:2] + self.exif(6) + self.exif(3) * 3000 + data[2:]
        slim = without_bulk(many)
        assert len(slim) < len(data) + 100
        expected = pixels_of(data[:2] + self.exif(6) + data[2:])
        np.testing.assert_array_equal(pixels_of(many), expected)

    def test_overlapping_tags_are_no_metadata(self) -> None:
        rows = b"".join(struct.pack("<HHII", 40_000 + n, 7, 50_000, 8) for n in range(4000))
        block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 4000) + rows + bytes(9000)
        data = encoded("baseline")
        slim = without_bulk(data[:2] + self.segment(0xE1, block) + data[2:])
        assert slim == data

    def test_profiles_stay(self) -> None:
        data = encoded("baseline")
        profile = self.segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(3000))
        bulky = data[:2] + profile + self.segment(0xFE, bytes(65_000)) * 80 + data[2:]
        assert without_bulk(bulky) == data[:2] + profile + data[2:]
