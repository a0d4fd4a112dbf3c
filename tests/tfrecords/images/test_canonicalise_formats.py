"""Every format and mode of docs/pixels.md, against pixels known by construction.

Files are written byte by byte (`files.py`) where their layout is plain; where a codec is
needed the reference is another decoder (TensorFlow's) or a lossless encoder.
"""

from __future__ import annotations

import base64
import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image

from tests.support.datasets.fakes import picture
from tests.support.pictures import dataset_files
from tfrecords.images.canonicalise import PixelLimits, RejectReason, canonicalise, decode
from tfrecords.images.rejects import ImageError, ImageHeader
from tfrecords.schema import ImageSpec

LIMITS = PixelLimits()
# Large enough that no JPEG of these tests is decoded at a reduced scale.
FULL = ImageSpec(512, 512)


def pixels_of(data: bytes) -> np.ndarray:
    image, _ = decode(data, FULL, LIMITS)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def header_of(data: bytes) -> ImageHeader:
    return decode(data, FULL, LIMITS)[1]


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)  # type: ignore[arg-type]  # Values of a table.
    return buffer.getvalue()


def samples(channels: int, depth: int, height: int = 11, width: int = 13) -> np.ndarray:
    rng = np.random.default_rng(depth * 10 + channels)
    return rng.integers(0, 1 << depth, (height, width, channels))


def laid_over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Composites 8-bit colour over white in floats; alpha is 0 to 1, [height, width, 1]."""
    return np.rint(colour * alpha + 255 * (1 - alpha)).astype(int)


def grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey, 3, axis=2)


INTERLACED = pytest.mark.parametrize("interlaced", [False, True])


class TestPng:
    @INTERLACED
    @pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
    def test_grey_is_scaled_to_the_full_range(self, depth: int, interlaced: bool) -> None:
        known = samples(1, depth)
        got = pixels_of(dataset_files.png(known, depth, dataset_files.GREY, interlaced=interlaced))
        expected = np.rint(known * 255 / ((1 << depth) - 1)).astype(int)
        np.testing.assert_array_equal(got, grey_to_rgb(expected))

    @INTERLACED
    def test_8_bit_colour_is_exact(self, interlaced: bool) -> None:
        known = samples(3, 8)
        got = pixels_of(dataset_files.png(known, 8, dataset_files.RGB, interlaced=interlaced))
        np.testing.assert_array_equal(got, known)

    @INTERLACED
    def test_16_bit_colour_keeps_the_high_byte(self, interlaced: bool) -> None:
        known = samples(3, 16)
        got = pixels_of(dataset_files.png(known, 16, dataset_files.RGB, interlaced=interlaced))
        np.testing.assert_array_equal(got, known >> 8)
        assert np.abs(got - known * 255 / 65_535).max() < 1

    @INTERLACED
    @pytest.mark.parametrize("depth", [1, 2, 4, 8])
    def test_palette_with_and_without_alpha(self, depth: int, interlaced: bool) -> None:
        count = 1 << depth
        palette = samples(3, 8, 1, count)[0]
        alphas = np.linspace(0, 255, count).astype(int)
        indices = samples(1, depth)
        chunks = [(b"PLTE", palette.astype(np.uint8).tobytes())]
        opaque = dataset_files.png(
            indices, depth, dataset_files.PALETTE, interlaced=interlaced, chunks=chunks
        )
        np.testing.assert_array_equal(pixels_of(opaque), palette[indices[..., 0]])

        chunks.append((b"tRNS", alphas.astype(np.uint8).tobytes()))
        clear = dataset_files.png(
            indices, depth, dataset_files.PALETTE, interlaced=interlaced, chunks=chunks
        )
        expected = laid_over_white(palette[indices[..., 0]], alphas[indices] / 255)
        np.testing.assert_allclose(pixels_of(clear), expected, atol=1)

    @INTERLACED
    @pytest.mark.parametrize("depth", [8, 16])
    @pytest.mark.parametrize("colour", [dataset_files.GREY_ALPHA, dataset_files.RGBA])
    def test_alpha_lies_over_white(self, depth: int, colour: int, interlaced: bool) -> None:
        known = samples(2 if colour == dataset_files.GREY_ALPHA else 4, depth)
        got = pixels_of(dataset_files.png(known, depth, colour, interlaced=interlaced))
        scaled = known / ((1 << depth) - 1)
        expected = laid_over_white(scaled[..., :-1] * 255, scaled[..., -1:])
        # The high bytes of colour and alpha are each up to 1 low, and composition rounds.
        np.testing.assert_allclose(got, np.broadcast_to(expected, got.shape), atol=2)

    @pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
    def test_a_transparent_grey_shows_white(self, depth: int) -> None:
        known = samples(1, depth)
        key = (1 << depth) * 2 // 3
        known[3, 3] = key
        chunks = [(b"tRNS", struct.pack(">H", key))]
        got = pixels_of(dataset_files.png(known, depth, dataset_files.GREY, chunks=chunks))
        scaled = np.rint(known * 255 / ((1 << depth) - 1)).astype(int)
        np.testing.assert_array_equal(got, grey_to_rgb(np.where(known == key, 255, scaled)))

    @pytest.mark.parametrize("depth", [8, 16])
    def test_a_transparent_colour_shows_white(self, depth: int) -> None:
        known = samples(3, depth)
        known[5:, :] = known[3, 3]
        chunks = [(b"tRNS", struct.pack(">3H", *known[3, 3]))]
        got = pixels_of(dataset_files.png(known, depth, dataset_files.RGB, chunks=chunks))
        clear = (known == known[3, 3]).all(axis=2, keepdims=True)
        np.testing.assert_array_equal(got, np.where(clear, 255, known >> (depth - 8)))

    def test_agrees_with_tensorflow(self) -> None:
        tf = pytest.importorskip("tensorflow")
        for depth, colour, interlaced in itertools.product(
            (8, 16), (dataset_files.RGB,), (False, True)
        ):
            data = dataset_files.png(samples(3, depth), depth, colour, interlaced=interlaced)
            other = tf.io.decode_png(data, channels=3).numpy()
            np.testing.assert_array_equal(pixels_of(data), other)

    def test_gamma_and_chromaticity_chunks_change_nothing(self) -> None:
        known = samples(3, 8)
        chunks = [(b"gAMA", struct.pack(">I", 100_000)), (b"cHRM", struct.pack(">8I", *range(8)))]
        got = pixels_of(dataset_files.png(known, 8, dataset_files.RGB, chunks=chunks))
        np.testing.assert_array_equal(got, known)

    def test_apng_gives_its_first_frame(self) -> None:
        first, second = picture("first"), picture("second")
        data = saved(first, "PNG", save_all=True, append_images=[second])
        assert b"acTL" in data
        np.testing.assert_array_equal(pixels_of(data), np.asarray(first))


# 48x32 pixels at quality 60 with chroma at a quarter of the width (4:1:1), written by
# libjpeg-turbo's tjCompress2; Pillow's encoder has no such mode.
_JPEG_411 = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZG"
    "NywtQFdBRkxOUlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09P"
    "T09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAgADADAUEAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAA"
    "AAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS"
    "0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJ"
    "ipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6"
    "/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJB"
    "UQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVm"
    "Z2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna"
    "4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDq59RiKnDCsC/u0O7msy1u0FyOe9dWt5GbPGR0rmnh5LD1"
    "/Ox6zd8LOCOT1OVTIxzWLJcKD1oor7DA14qhFM+cwelI0JJ7pRliazLrUWAILc1TtbmVrgEE9a621a4eADnpXn4n"
    "2ToNrqe1SrJTs9ncpX9vNtY4NcrdeashHNFFeLhsXL2ejPPw2HlyHo+pQQmBtgGa8/v7SZrptqnGav6XYsjqzrXb"
    "adJbrGFbGawo1Z1cGl1OevVcUktyXUFt2t2Ix0rg9Rjj85sUUVngMPN0Vc+mwvs3STOm81pOCacljG53FRS3NskU"
    "JKjFc+b2RLnaG7135LTU1KLPk8R/vco9jVe5ka1yT2rmrtyZTRRX0OBwsfYo9DLq0nQR/9k="
)


class TestJpeg:
    @pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
    @pytest.mark.parametrize("progressive", [False, True])
    def test_agrees_with_tensorflow(self, subsampling: str, progressive: bool) -> None:
        source = picture("jpeg", 61, 77)
        data = saved(source, "JPEG", subsampling=subsampling, progressive=progressive)
        _assert_as_tensorflow(data)

    def test_quarter_width_chroma(self) -> None:
        assert header_of(_JPEG_411) == ImageHeader("JPEG", 48, 32, "RGB")
        _assert_as_tensorflow(_JPEG_411)

    def test_grey(self) -> None:
        data = saved(picture("grey").convert("L"), "JPEG")
        assert header_of(data).mode == "L"
        _assert_as_tensorflow(data)

    def test_cmyk_and_ycck(self) -> None:
        cmyk = samples(4, 8, 1, 1)[0, 0]
        image = Image.new("CMYK", (16, 16), tuple(int(value) for value in cmyk))
        data = saved(image, "JPEG", quality=100)
        expected = (255 - cmyk[:3]) * (255 - cmyk[3]) / 255
        np.testing.assert_allclose(pixels_of(data)[8, 8], expected, atol=3)

        # The same samples declared YCCK: the Adobe marker's last byte says so. They are then
        # Y, Cb, Cr of 255 - C, and so on, and Adobe's C is the inverse of ink (libjpeg,
        # jdcolor.c, ycck_cmyk_convert): what they give as R, G, B is the ink itself.
        at = data.index(b"Adobe") + 11
        ycck = data[:at] + b"\x02" + data[at + 1 :]
        y, cb, cr = (255.0 - cmyk[:3]) - [0, 128, 128]
        ink = [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb]
        expected = (255 - np.clip(ink, 0, 255)) * (255 - cmyk[3]) / 255
        np.testing.assert_allclose(pixels_of(ycck)[8, 8], expected, atol=4)

    def test_mpo_gives_its_first_picture(self) -> None:
        first, second = picture("left", 32, 32), picture("right", 32, 32)
        data = saved(first, "MPO", save_all=True, append_images=[second], quality=95)
        assert header_of(data).format == "MPO"
        _assert_as_tensorflow(data)


def _assert_as_tensorflow(jpeg: bytes) -> None:
    tf = pytest.importorskip("tensorflow")
    other = tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    np.testing.assert_allclose(pixels_of(jpeg), other, atol=1)


class TestGifAndWebp:
    def test_gif_gives_its_first_frame(self) -> None:
        tf = pytest.importorskip("tensorflow")
        first, second = picture("first").quantize(32), picture("second").quantize(32)
        data = saved(first, "GIF", save_all=True, append_images=[second])
        np.testing.assert_array_equal(pixels_of(data), np.asarray(first.convert("RGB")))
        np.testing.assert_array_equal(pixels_of(data), tf.io.decode_gif(data).numpy()[0])

    def test_a_transparent_gif_lies_over_white(self) -> None:
        indices = samples(1, 2)[..., 0].astype(np.uint8)
        image = Image.fromarray(indices).convert("P")
        image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
        data = saved(image, "GIF", transparency=2)
        colours = np.array([[10, 20, 30], [40, 50, 60], [255, 255, 255], [100, 110, 120]])
        np.testing.assert_array_equal(pixels_of(data), colours[indices])

    def test_webp_lossless(self) -> None:
        known = picture("webp")
        data = saved(known, "WEBP", lossless=True)
        np.testing.assert_array_equal(pixels_of(data), np.asarray(known))

    def test_webp_alpha_lies_over_white(self) -> None:
        known = samples(4, 8).astype(np.uint8)
        data = saved(Image.fromarray(known), "WEBP", lossless=True, exact=True)
        expected = laid_over_white(known[..., :3], known[..., 3:] / 255)
        np.testing.assert_allclose(pixels_of(data), expected, atol=1)

    def test_animated_webp_gives_its_first_frame(self) -> None:
        first, second = picture("first"), picture("second")
        data = saved(first, "WEBP", save_all=True, append_images=[second], lossless=True)
        np.testing.assert_array_equal(pixels_of(data), np.asarray(first))

    def test_lossy_webp_and_avif_are_close(self) -> None:
        known = picture("lossy", 64, 64)
        for format, options in (("WEBP", {"quality": 95}), ("AVIF", {"quality": 95})):
            got = pixels_of(saved(known, format, **options))
            assert np.abs(got - np.asarray(known).astype(int)).mean() < 3, format

    def test_avif_alpha_lies_over_white(self) -> None:
        image = Image.new("RGBA", (32, 32), (200, 40, 40, 0))
        image.paste((40, 200, 40, 255), (0, 0, 16, 32))
        got = pixels_of(saved(image, "AVIF", quality=100, subsampling="4:4:4"))
        np.testing.assert_allclose(got[16, 4], (40, 200, 40), atol=4)
        np.testing.assert_allclose(got[16, 28], (255, 255, 255), atol=2)


class TestBmp:
    @pytest.mark.parametrize("top_down", [False, True])
    def test_24_bit(self, top_down: bool) -> None:
        known = samples(3, 8)
        rows = [row[:, ::-1].astype(np.uint8).tobytes() for row in known]
        np.testing.assert_array_equal(
            pixels_of(dataset_files.bmp(rows, 13, 24, top_down=top_down)), known
        )

    def test_32_bit_ignores_its_fourth_byte(self) -> None:
        known = samples(4, 8)
        rows = [row[:, [2, 1, 0, 3]].astype(np.uint8).tobytes() for row in known]
        np.testing.assert_array_equal(pixels_of(dataset_files.bmp(rows, 13, 32)), known[..., :3])

    @pytest.mark.parametrize("bits", [1, 4, 8])
    def test_palette(self, bits: int) -> None:
        palette, indices = samples(3, 8, 1, 1 << bits)[0], samples(1, bits)
        rows = [dataset_files._packed(row.reshape(-1), bits) for row in indices]
        table = b"".join(bytes((*colour[::-1].tolist(), 0)) for colour in palette)
        got = pixels_of(dataset_files.bmp(rows, 13, bits, palette=table))
        np.testing.assert_array_equal(got, palette[indices[..., 0]])

    def test_run_lengths(self) -> None:
        palette = bytes((0, 0, 0, 0, 30, 20, 10, 0))
        rows = [b"\x03\x01\x02\x00\0\0", b"\x05\x00\0\0"]
        data = dataset_files.bmp(rows, 5, 8, palette=palette, compression=1)
        expected = np.zeros((2, 5, 3), int)
        expected[0, :3] = (10, 20, 30)
        np.testing.assert_array_equal(pixels_of(data), expected)

    @pytest.mark.parametrize(
        ("masks", "widths"),
        [((), (5, 5, 5)), ((0x7C00, 0x3E0, 0x1F), (5, 5, 5)), ((0xF800, 0x7E0, 0x1F), (5, 6, 5))],
    )
    def test_16_bit(self, masks: tuple[int, ...], widths: tuple[int, ...]) -> None:
        known = samples(3, 16) % (1 << np.array(widths))
        shifts = np.array([widths[1] + widths[2], widths[2], 0])
        words = (known << shifts).sum(axis=2).astype("<u2")
        data = dataset_files.bmp([row.tobytes() for row in words], 13, 16, masks=masks)
        expected = known * 255 / ((1 << np.array(widths)) - 1)
        np.testing.assert_allclose(pixels_of(data), expected, atol=1)


class TestTiff:
    @pytest.mark.parametrize("big_endian", [False, True])
    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    def test_colour(self, kind: type, big_endian: bool) -> None:
        known = samples(3, np.dtype(kind).itemsize * 8).astype(kind)
        got = pixels_of(dataset_files.tiff(known, 2, big_endian=big_endian))
        np.testing.assert_array_equal(got, known.astype(int) >> (known.itemsize - 1) * 8)

    @pytest.mark.parametrize("big_endian", [False, True])
    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    def test_grey(self, kind: type, big_endian: bool) -> None:
        known = samples(1, np.dtype(kind).itemsize * 8).astype(kind)
        got = pixels_of(dataset_files.tiff(known, 1, big_endian=big_endian))
        expected = np.rint(known / np.iinfo(kind).max * 255).astype(int)
        np.testing.assert_array_equal(got, grey_to_rgb(expected))

    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    def test_white_may_be_zero(self, kind: type) -> None:
        known = samples(1, np.dtype(kind).itemsize * 8).astype(kind)
        expected = 255 - np.rint(known / np.iinfo(kind).max * 255).astype(int)
        np.testing.assert_array_equal(
            pixels_of(dataset_files.tiff(known, 0)), grey_to_rgb(expected)
        )

    def test_12_bit_grey_is_scaled_by_its_own_range(self) -> None:
        known = samples(1, 12, 4, 6).astype(np.uint16)
        pairs = known.reshape(-1, 2).astype(int)
        packed = [(a >> 4, (a & 15) << 4 | b >> 8, b & 255) for a, b in pairs]
        data = dataset_files.tiff(known, 1, bits=12, data=bytes(itertools.chain(*packed)))
        expected = np.rint(known / 4095 * 255).astype(int)
        np.testing.assert_array_equal(pixels_of(data), grey_to_rgb(expected))

    def test_floats_from_0_to_1(self) -> None:
        known = np.linspace(0, 1, 143, dtype=np.float32).reshape(11, 13, 1)
        got = pixels_of(dataset_files.tiff(known, 1))
        np.testing.assert_array_equal(got, grey_to_rgb(np.rint(known * 255).astype(int)))

    @pytest.mark.parametrize("bad", [1.5, -0.1, np.nan, np.inf])
    def test_floats_of_unknown_range_are_rejected(self, bad: float) -> None:
        known = np.full((4, 4, 1), 0.5, np.float32)
        known[2, 2] = bad
        with pytest.raises(ImageError, match="outside 0 to 1") as caught:
            pixels_of(dataset_files.tiff(known, 1))
        assert caught.value.reason is RejectReason.UNSUPPORTED_FORMAT

    @pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint32])
    def test_integers_of_unknown_range_are_rejected(self, kind: type) -> None:
        with pytest.raises(ImageError, match="range unknown") as caught:
            pixels_of(dataset_files.tiff(np.full((4, 4, 1), 99, kind), 1))
        assert caught.value.reason is RejectReason.UNSUPPORTED_FORMAT

    def test_cmyk(self) -> None:
        known = samples(4, 8).astype(np.uint8)
        expected = (255 - known[..., :3].astype(int)) * (255 - known[..., 3:].astype(int)) / 255
        np.testing.assert_allclose(pixels_of(dataset_files.tiff(known, 5)), expected, atol=1)

    def test_lab(self) -> None:
        # White, black, middle grey, and sRGB's red: L* 54.3, a* 80.8, b* 69.9 (D50).
        lab = np.array([[255, 0, 0], [0, 0, 0], [137, 0, 0], [138, 81, 70]], np.uint8)
        got = pixels_of(dataset_files.tiff(lab.reshape(2, 2, 3), 8)).reshape(4, 3)
        expected = [[255, 255, 255], [0, 0, 0], [128, 128, 128], [255, 0, 0]]
        np.testing.assert_allclose(got, expected, atol=6)

    def test_premultiplied_alpha(self) -> None:
        known = np.array([[[100, 50, 0, 128], [0, 0, 0, 0]]], np.uint8)
        got = pixels_of(dataset_files.tiff(known, 2, extra={338: 1}))
        np.testing.assert_allclose(got[0, 0], 127 + np.array([100, 50, 0]), atol=1)
        np.testing.assert_array_equal(got[0, 1], (255, 255, 255))

    @pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
    def test_lossless_compressions(self, compression: str) -> None:
        known = picture("tiff")
        data = saved(known, "TIFF", compression=compression)
        np.testing.assert_array_equal(pixels_of(data), np.asarray(known))

    def test_the_first_page_counts(self) -> None:
        first, second = picture("first"), picture("second")
        data = saved(first, "TIFF", save_all=True, append_images=[second])
        np.testing.assert_array_equal(pixels_of(data), np.asarray(first))


class TestPnm:
    @pytest.mark.parametrize("maximum", [1, 100, 255, 1000, 65_535])
    @pytest.mark.parametrize(("plain", "binary", "channels"), [("P2", "P5", 1), ("P3", "P6", 3)])
    def test_every_maximum_is_white(
        self, plain: str, binary: str, channels: int, maximum: int
    ) -> None:
        known = samples(channels, 16) % (maximum + 1)
        known[0, 0] = maximum
        head = f"\n13 11\n{maximum}\n"
        text = (plain + head + " ".join(map(str, known.reshape(-1)))).encode()
        raw = known.astype(">u2" if maximum > 255 else "u1").tobytes()
        for data in (text, (binary + head).encode() + raw):
            got = pixels_of(data)
            expected = np.broadcast_to(known * 255 / maximum, got.shape)
            np.testing.assert_allclose(got, expected, atol=1)
            np.testing.assert_array_equal(got[0, 0], 255)

    def test_bitmap_ones_are_black(self) -> None:
        expected = np.array([[[0] * 3, [255] * 3, [255] * 3]])
        np.testing.assert_array_equal(pixels_of(b"P1\n3 1\n1 0 0\n"), expected)
        np.testing.assert_array_equal(pixels_of(b"P4\n3 1\n\x80"), expected)


ORIENTATIONS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a.transpose(1, 0, 2), 2),
    8: lambda a: np.rot90(a, -1),
}


def _stored(upright: Image.Image, orientation: int) -> Image.Image:
    """Returns how a camera held at `orientation` stores a scene (the inverse of the turn)."""
    return Image.fromarray(np.ascontiguousarray(ORIENTATIONS[orientation](np.asarray(upright))))


def _with_orientation(
    image: Image.Image, orientation: int, format: str, **options: object
) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, format, exif=exif, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
class TestOrientation:
    @pytest.mark.parametrize(
        ("format", "options", "tolerance"),
        [
            ("PNG", {}, 0),
            ("TIFF", {}, 0),
            ("WEBP", {"lossless": True}, 0),
            ("JPEG", {"quality": 100, "subsampling": 0}, 6),
            ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, 6),
        ],
    )
    def test_is_applied(
        self, format: str, options: dict[str, object], tolerance: int, orientation: int
    ) -> None:
        scene = picture("scene", 24, 40)
        data = _with_orientation(_stored(scene, orientation), orientation, format, **options)
        np.testing.assert_allclose(pixels_of(data), np.asarray(scene), atol=tolerance)

    def test_holds_after_scaled_decoding_of_an_odd_size(self, orientation: int) -> None:
        # 301 at a quarter is 75.25 pixels: the 76th column is a quarter inside the picture, at
        # whichever side the turn puts it.
        scene = picture("scene", 301, 301)
        data = _with_orientation(_stored(scene, orientation), orientation, "JPEG", quality=100)
        spec = ImageSpec(32, 32, encoding="png")  # type: ignore[arg-type]  # A name is converted.
        assert decode(data, spec, LIMITS)[0].size == (76, 76)
        got = np.asarray(Image.open(io.BytesIO(canonicalise(data, spec, LIMITS).data)))
        expected = np.asarray(scene.resize((32, 32), Image.Resampling.BILINEAR))
        assert np.abs(got.astype(int) - expected).mean() < 0.6


def test_damaged_exif_is_ignored() -> None:
    known = picture("exif")
    data = saved(known, "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\xff\xff")
    np.testing.assert_array_equal(pixels_of(data), np.asarray(known))


def test_content_decides_never_the_name() -> None:
    # There is no name to go by: bytes of each format are told apart by themselves.
    for format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "PPM"):
        assert header_of(saved(picture("kind"), format)).format == format
