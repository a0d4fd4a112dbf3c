"""BMP masks, colour float maps, JPEG 2000, HEIF and JPEG XL."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from tests.support.datasets.fakes import picture, picture_bytes
from tests.support.pictures import dataset_files
from tfrecords.images import decoder_setup
from tfrecords.images.canonicalise import ImageError, ImageHeader, PixelLimits, RejectReason, decode
from tfrecords.images.formats import boxes, claims
from tfrecords.schema import ImageSpec

FULL = ImageSpec(512, 512)


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, FULL, PixelLimits())[0]).astype(int)


def rejection(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, FULL, PixelLimits())
    return caught.value


def masked_bmp(words: np.ndarray, masks: tuple[int, ...], header: int = 108) -> bytes:
    """Returns a BMP of uint16 or uint32[height, width], bottom row first, with a longer header."""
    height, width = words.shape
    rows = b"".join(
        row.tobytes() + bytes(-row.nbytes % 4) for row in words[::-1].astype(words.dtype)
    )
    info = struct.pack(
        "<IiiHHIIiiII", header, width, height, 1, words.itemsize * 8, 3, len(rows), 0, 0, 0, 0
    ) + struct.pack("<4I", *masks)
    info = info.ljust(header, b"\0")
    start = 14 + header
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + info + rows


class TestBmpMasks:
    @given(st.permutations([0, 8, 16, 24]), st.booleans())
    def test_channels_of_8_bits_may_lie_anywhere(self, shifts: list[int], alpha: bool) -> None:
        known = np.random.default_rng(1).integers(0, 256, (5, 3, 4)).astype(np.uint32)
        known[0, 0, 3] = 255
        words = sum(known[..., i] << np.uint32(shifts[i]) for i in range(4))
        masks = [0xFF << shift for shift in shifts]
        if not alpha:
            masks[3] = 0
        got = pixels_of(masked_bmp(np.asarray(words, "<u4"), tuple(masks)))
        weight = known[..., 3:] / 255 if alpha else 1.0
        np.testing.assert_allclose(got, known[..., :3] * weight + 255 * (1 - weight), atol=1)

    @pytest.mark.parametrize(
        ("dtype", "widths"),
        [
            ("<u2", (4, 4, 4, 4)),
            ("<u2", (5, 6, 5, 0)),
            ("<u2", (5, 5, 5, 1)),
            ("<u4", (10, 10, 10, 2)),
        ],
    )
    def test_channels_of_other_widths_are_scaled(self, dtype: str, widths: tuple[int, ...]) -> None:
        tops = [(1 << width) - 1 for width in widths]
        known = np.random.default_rng(2).integers(0, 1 << 16, (5, 3, 4)) % (np.array(tops) + 1)
        known[..., 3] = tops[3]
        shifts = np.cumsum([0, *widths[:3]])
        words = (known << shifts).sum(axis=2).astype(dtype)
        masks = tuple(top << int(shift) for top, shift in zip(tops, shifts, strict=True))
        expected = known[..., :3] * 255 / np.array(tops[:3])
        np.testing.assert_allclose(pixels_of(masked_bmp(words, masks)), expected, atol=1)

    @pytest.mark.parametrize(
        "masks", [(0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF, 0xFF00, 0xFF0000, 0xFF000000)]
    )
    def test_alpha_that_nobody_set_is_none(self, masks: tuple[int, ...]) -> None:
        words = np.random.default_rng(3).integers(0, 1 << 24, (5, 3)).astype("<u4")
        opaque = words | np.uint32(0xFF000000)
        np.testing.assert_array_equal(
            pixels_of(masked_bmp(words, masks)), pixels_of(masked_bmp(opaque, masks))
        )

    @pytest.mark.parametrize("masks", [(0xF0F, 0xF0, 0xF000, 0), (0xFF, 0xFF, 0xFF00, 0)])
    def test_masks_that_make_no_sense_are_refused(self, masks: tuple[int, ...]) -> None:
        found = rejection(masked_bmp(np.zeros((4, 4), "<u4"), masks))
        assert found.reason is RejectReason.UNSUPPORTED_FORMAT


class TestFloatMap:
    KNOWN = np.random.default_rng(4).random((6, 5, 3)).astype(np.float32)

    @pytest.mark.parametrize(("scale", "order"), [("-1.0", "<"), ("1", ">"), ("-2.5e0", "<")])
    def test_colour(self, scale: str, order: str) -> None:
        data = f"PF\n5 6\n{scale}\n".encode() + self.KNOWN[::-1].astype(f"{order}f4").tobytes()
        np.testing.assert_allclose(pixels_of(data), np.rint(self.KNOWN * 255), atol=1)

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"PF\n5 6\n-1\n" + bytes(5 * 6 * 12 - 1), "truncated"),
            (b"PF\n5 6\n-1\n" + b"\xff" * 5 * 6 * 12, "unsupported_format"),
            (b"PF\n0 6\n-1\n", "corrupt"),
            (b"PF\n5 6\n0\n" + bytes(360), "corrupt"),
            (b"PF\n99999 99999\n-1\n", "bomb"),
        ],
    )
    def test_what_is_wrong_with_it(self, data: bytes, reason: str) -> None:
        assert rejection(data).reason.value == reason


class TestJpeg2000:
    @pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
    @pytest.mark.parametrize("options", [{}, {"no_jp2": True}, {"tile_size": (16, 16)}])
    def test_lossless(self, mode: str, options: dict[str, object]) -> None:
        known = picture("jp2", 40, 30).convert(mode)
        buffer = io.BytesIO()
        known.save(buffer, "JPEG2000", **options)  # type: ignore[arg-type]  # Values of a table.
        png = io.BytesIO()
        known.save(png, "PNG")
        np.testing.assert_array_equal(pixels_of(buffer.getvalue()), pixels_of(png.getvalue()))

    def test_its_profile_counts(self) -> None:
        buffer = io.BytesIO()
        picture("jp2").save(buffer, "JPEG2000")
        data = buffer.getvalue()
        at = data.index(b"colr") - 4
        (size,) = struct.unpack_from(">I", data, at)
        profile = dataset_files.icc_rgb(1.0)
        colour = struct.pack(">I4sBBB", len(profile) + 11, b"colr", 2, 0, 0) + profile
        header = data.index(b"jp2h") - 4
        (length,) = struct.unpack_from(">I", data, header)
        grown = struct.pack(">I", length + len(colour) - size)
        data = data[:header] + grown + data[header + 4 : at] + colour + data[at + size :]
        png = io.BytesIO()
        picture("jp2").save(png, "PNG", icc_profile=profile)
        np.testing.assert_array_equal(pixels_of(data), pixels_of(png.getvalue()))

    def test_a_broken_header_is_named(self) -> None:
        found = rejection(b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40))
        assert found.reason is RejectReason.CORRUPT
        assert "JPEG2000" in found.detail

    def test_without_its_decoder_the_reason_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(decoder_setup, "has_jpeg_2000", lambda: False)
        found = rejection(picture_bytes("jp2", "JPEG2000"))
        assert found.reason is RejectReason.DECODER_MISSING
        assert "JPEG 2000" in found.detail


HEIC = b"\0\0\0\x20ftypheic\0\0\0\0mif1heic" + bytes(32)
JXL = b"\xff\x0a" + bytes(32)
JXL_BOX = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(32)


class TestExtras:
    @pytest.mark.parametrize(
        ("data", "decoder", "extra"),
        [
            (HEIC, "heif_decoder", "HEIF: install it with pip install 'evenshard[heif]'"),
            (JXL, "jpeg_xl_decoder", "JPEG XL: install it with pip install 'evenshard[jxl]'"),
            (JXL_BOX, "jpeg_xl_decoder", "JPEG XL: install it with pip install 'evenshard[jxl]'"),
        ],
    )
    def test_the_reason_names_the_extra(
        self, data: bytes, decoder: str, extra: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decoder_setup, decoder, lambda: None)
        found = rejection(data)
        assert found.reason is RejectReason.DECODER_MISSING
        assert found.detail == extra

    @pytest.mark.parametrize("data", [HEIC, JXL, JXL_BOX])
    def test_garbage_is_an_image_error_with_the_decoder_too(self, data: bytes) -> None:
        rejection(data)

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
    def test_jpeg_xl(self, mode: str) -> None:
        pytest.importorskip("pillow_jxl")
        known = picture("jxl", 40, 30).convert(mode)
        jxl, png = io.BytesIO(), io.BytesIO()
        known.save(jxl, "JXL", lossless=True)
        known.save(png, "PNG")
        np.testing.assert_array_equal(pixels_of(jxl.getvalue()), pixels_of(png.getvalue()))
        claim = claims.jpeg_xl(jxl.getvalue())
        assert claim is not None
        assert (claim.width, claim.height) == (30, 40)

    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    def test_heif(self, orientation: int) -> None:
        heif = pytest.importorskip("pillow_heif")
        known = picture("heif", 64, 48)
        buffer = io.BytesIO()
        stored = picture("heif", 64, 48)
        exif = Image.Exif()
        exif[0x0112] = orientation
        heif.from_pillow(stored).save(buffer, quality=100, chroma=444, exif=exif.tobytes())
        turned = {1: 0, 3: 180, 6: 270, 8: 90}[orientation]
        expected = np.asarray(known.rotate(turned, expand=True)).astype(int)
        got = pixels_of(buffer.getvalue())
        assert got.shape == expected.shape
        assert np.abs(got - expected).mean() < 4
        assert claims.heif(buffer.getvalue()).memory >= 64 * 48 * 24


class TestClaims:
    SIZES = st.tuples(st.integers(1, 300), st.integers(1, 300))

    @given(SIZES, st.sampled_from([{}, {"lossless": True}]), st.booleans())
    def test_webp(self, size: tuple[int, int], options: dict[str, bool], alpha: bool) -> None:
        buffer = io.BytesIO()
        Image.new("RGBA" if alpha else "RGB", size, (9, 9, 9)).save(buffer, "WEBP", **options)  # type: ignore[arg-type]  # Values of a table.
        claim = claims.webp(buffer.getvalue())
        assert claim is not None
        assert (claim.width, claim.height) == size

    @given(SIZES)
    def test_jpeg_2000(self, size: tuple[int, int]) -> None:
        buffer = io.BytesIO()
        Image.new("RGB", size).save(buffer, "JPEG2000")
        claim = claims.jpeg_2000(buffer.getvalue())
        assert claim is not None
        assert (claim.width, claim.height) == size

    @pytest.mark.parametrize("size", [(1, 1), (64, 48), (300, 7)])
    @pytest.mark.parametrize("mode", ["RGB", "RGBA"])
    def test_avif(self, size: tuple[int, int], mode: str) -> None:
        buffer = io.BytesIO()
        Image.new(mode, size).save(buffer, "AVIF")
        data = buffer.getvalue()
        assert boxes.largest_stated(data) == size
        assert boxes.av1_pixels(data) == size[0] * size[1]

    def test_an_av1_stream_larger_than_its_container_says(self) -> None:
        # The container says 64x48, the stream 16,384x16,384 (reduced header, 14 bits a side).
        buffer = io.BytesIO()
        Image.new("RGB", (64, 48)).save(buffer, "AVIF")
        data = bytearray(buffer.getvalue())
        bits = "000110000011011101" + "1" * 28 + "0" * 40
        units = int(bits[:80], 2).to_bytes(10, "big")
        start = data.index(b"mdat") + 4
        data[start : start + 12] = b"\x0a\x0a" + units
        assert boxes.av1_pixels(bytes(data)) == 1 << 28
        found = rejection(bytes(data))
        assert found.reason is RejectReason.BOMB
        assert found.header == ImageHeader("AVIF", 64, 48, "")

    @given(
        st.binary(max_size=300),
        st.sampled_from([b"RIFF\0\0\0\0WEBP", b"\xff\x4f\xff\x51", b"", JXL]),
    )
    def test_any_bytes_are_read_without_an_error(self, data: bytes, begin: bytes) -> None:
        readers: tuple[Callable[[bytes], object], ...] = (
            claims.webp, claims.avif, claims.heif, claims.jpeg_xl, claims.jpeg_2000,
            boxes.exif_is_honest, boxes.jpeg_2000_profile,
        )  # fmt: skip
        for reader in readers:
            reader(begin + data)


def test_no_decoder_class_is_loaded_without_need() -> None:
    for decoder in (decoder_setup.heif_decoder(), decoder_setup.jpeg_xl_decoder()):
        assert decoder is None or issubclass(decoder, ImageFile.ImageFile)


def test_a_long_gif_comment_costs_nothing() -> None:
    data = picture_bytes("gif", "GIF")
    at = 13 + 3 * (2 << (data[10] & 7))
    comment = b"\x21\xfe" + (b"\xff" + bytes(255)) * 40_000 + b"\0"
    np.testing.assert_array_equal(pixels_of(data[:at] + comment + data[at:]), pixels_of(data))


def test_exif_as_text_of_a_png_is_checked_too() -> None:
    rows = b"".join(struct.pack("<HHII", 40_000 + n, 7, 200_000, 8) for n in range(20_000))
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 20_000) + rows
    text = b"Raw profile type exif\0\nexif\n%8d\n" % len(block) + block.hex().encode()
    body = b"tEXt" + text
    chunk = struct.pack(">I", len(text)) + body + struct.pack(">I", zlib.crc32(body))
    data = picture_bytes("png", "PNG")
    np.testing.assert_array_equal(pixels_of(data[:33] + chunk + data[33:]), pixels_of(data))
