"""Fitting, encoding and hashing: against float references, by inverses and by invariants."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.support.datasets.fakes import picture, picture_bytes
from tfrecords.images import canonicalise as pixels
from tfrecords.images.canonicalise import PixelLimits, canonicalise, decode, decode_record, encode
from tfrecords.images.formats import jpeg as jpeg_segments
from tfrecords.schema import Encoding, ImageSpec, Resize
from tfrecords.sharding import stable_hash

LIMITS = PixelLimits()
DATA = Path(os.environ.get("EVENSHARD_TEST_DATA", "nowhere"))


def triangle_weights(source: int, target: int) -> np.ndarray:
    """The antialiased triangle filter as a matrix [target, source], in float64."""
    scale = source / target
    support = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(source) + 0.5 - centres[:, None]) / support
    weights = np.clip(1 - distance, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def reference_resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    rows = np.tensordot(triangle_weights(picture.shape[0], height), picture.astype(float), 1)
    return np.einsum("wx,hxc->hwc", triangle_weights(picture.shape[1], width), rows)


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((first.astype(float) - second) ** 2)))


def natural(seed: str, height: int, width: int) -> Image.Image:
    """A picture as photographs are: a 1/f spectrum, smoother colour than light, hard edges."""
    rng = np.random.default_rng(stable_hash("natural", seed))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    frequency[0, 0] = np.inf
    light = _filtered(rng.standard_normal((1, height, width)), 1 / frequency)
    colour = _filtered(rng.standard_normal((3, height, width)), 1 / frequency**1.5)
    channels = 128 + 42 * light + 16 * colour
    channels[:, height // 3 : height // 2, width // 3 : width // 2] += 60
    return Image.fromarray(channels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def _filtered(noise: np.ndarray, response: np.ndarray) -> np.ndarray:
    found = np.fft.ifft2(np.fft.fft2(noise) * response).real
    return found / found.std()


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def canonical_pixels(data: bytes, spec: ImageSpec) -> np.ndarray:
    return decode_record(canonicalise(data, spec, LIMITS).data, spec)


def png_spec(height: int, width: int, resize: str = "squash") -> ImageSpec:
    return ImageSpec(height, width, Resize(resize), Encoding.PNG)


class TestQuality:
    """At least 42 dB of a float resize of the whole picture, scaled decoding included."""

    # Sides that end each way: no scaling, just at and just beyond 2 x 2^n, odd remainders.
    @pytest.mark.parametrize("size", [(90, 110), (256, 257), (301, 401), (611, 455), (765, 1021)])
    def test_synthetic(self, size: tuple[int, int]) -> None:
        data = jpeg(natural("quality", *size))
        full = np.asarray(Image.open(io.BytesIO(data)))
        got = canonical_pixels(data, png_spec(64, 64))
        assert psnr(got, reference_resize(full, 64, 64)) >= 45

    @pytest.mark.parametrize("side", [64, 224])
    @pytest.mark.parametrize("name", ["caltech60", "plankton"])
    def test_real(self, name: str, side: int) -> None:
        paths = sorted((DATA / name).rglob("*.jpg"))
        if not paths:
            pytest.skip(f"needs EVENSHARD_TEST_DATA/{name}")
        for path in paths[:: len(paths) // 25]:
            data = path.read_bytes()
            with Image.open(io.BytesIO(data)) as source:
                if source.info.get("icc_profile"):
                    continue  # The reference below knows no colour management.
                full = np.asarray(source.convert("RGB"))
            got = canonical_pixels(data, png_spec(side, side))
            assert psnr(got, reference_resize(full, side, side)) >= 42, path

    def test_upscaling(self) -> None:
        small = natural("small", 20, 30)
        got = pixels.resize(small, png_spec(64, 64))
        assert psnr(np.asarray(got), reference_resize(np.asarray(small), 64, 64)) >= 56

    @pytest.mark.parametrize("size", [(90, 110), (257, 256), (455, 611), (1021, 765)])
    def test_what_is_decoded_whole_is_rounded_once_a_direction(self, size: tuple[int, int]) -> None:
        image = natural("whole", *size)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        got = canonical_pixels(buffer.getvalue(), png_spec(64, 64))
        wanted = reference_resize(np.asarray(image), 64, 64)
        assert psnr(got, wanted) >= 56
        assert np.abs(got - wanted).max() <= 1

    def test_grey_is_as_good_as_its_three_channels(self) -> None:
        grey = natural("grey", 200, 150).convert("L")
        one, three = io.BytesIO(), io.BytesIO()
        grey.save(one, "PNG")
        grey.convert("RGB").save(three, "PNG")
        for resize in ("squash", "pad", "crop", "short_side"):
            spec = png_spec(64, 64, resize)
            got = canonical_pixels(one.getvalue(), spec)
            np.testing.assert_array_equal(got, canonical_pixels(three.getvalue(), spec))


class TestFitting:
    # Left half red, right half blue; upper quarter darker.
    WIDE = np.zeros((40, 80, 3), np.uint8)
    WIDE[:, :40, 0] = 200
    WIDE[:, 40:, 2] = 200

    def fitted(self, resize: str, height: int = 20, width: int = 20) -> np.ndarray:
        image = pixels.resize(Image.fromarray(self.WIDE), png_spec(height, width, resize))
        return np.asarray(image).astype(int)

    def test_squash_takes_all_of_it(self) -> None:
        got = self.fitted("squash")
        assert got.shape == (20, 20, 3)
        np.testing.assert_array_equal(got[:, :9], np.broadcast_to((200, 0, 0), (20, 9, 3)))
        np.testing.assert_array_equal(got[:, 11:], np.broadcast_to((0, 0, 200), (20, 9, 3)))

    def test_pad_keeps_the_shape_between_black_bars(self) -> None:
        got = self.fitted("pad")
        assert got.shape == (20, 20, 3)
        assert got[:5].max() == got[15:].max() == 0
        assert got[5:15].max(axis=2).min() >= 95

    def test_crop_takes_the_centre(self) -> None:
        got = self.fitted("crop")
        assert got.shape == (20, 20, 3)
        np.testing.assert_allclose(got, self.fitted("squash", 20, 40)[:, 10:30], atol=1)

    def test_short_side_keeps_everything(self) -> None:
        assert self.fitted("short_side").shape == (20, 40, 3)

    @given(
        st.integers(1, 300),
        st.integers(1, 300),
        st.integers(1, 80),
        st.integers(1, 80),
        st.sampled_from(["squash", "pad", "crop"]),
    )
    @settings(max_examples=150, deadline=None)
    def test_any_shape_fits_any_target(
        self, height: int, width: int, to_height: int, to_width: int, resize: str
    ) -> None:
        image = Image.new("RGB", (width, height), (9, 99, 199))
        got = pixels.resize(image, png_spec(to_height, to_width, resize))
        assert got.size == (to_width, to_height)
        colours = {colour for _, colour in got.getcolors() or ()}
        assert (9, 99, 199) in colours
        assert colours <= {(9, 99, 199), (0, 0, 0)}
        assert resize == "pad" or len(colours) == 1

    @given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 64))
    @settings(max_examples=50, deadline=None)
    def test_the_short_side_has_its_length(self, height: int, width: int, side: int) -> None:
        got = pixels.resize(Image.new("L", (width, height)), png_spec(side, side, "short_side"))
        assert min(got.size) == side
        assert abs(max(got.size) - max(height, width) / min(height, width) * side) <= 0.5

    def test_a_picture_of_the_right_size_is_untouched(self) -> None:
        image = picture("same", 24, 24)
        for resize in ("squash", "pad", "crop", "short_side"):
            got = pixels.resize(image, png_spec(24, 24, resize))
            np.testing.assert_array_equal(np.asarray(got), np.asarray(image))


class TestScaledDecoding:
    @given(st.integers(16, 400), st.integers(16, 400), st.integers(8, 48), st.integers(8, 48))
    @settings(max_examples=40, deadline=None)
    def test_crops_find_twice_the_target_or_all_of_it(
        self, height: int, width: int, to_height: int, to_width: int
    ) -> None:
        data = jpeg(Image.new("RGB", (width, height)))
        image, header = decode(data, ImageSpec(to_height, to_width), LIMITS)
        assert (header.width, header.height) == (width, height)
        scaled = image.size != (width, height)
        assert not scaled or min(image.size) >= 2 * max(to_height, to_width)

    def test_a_large_picture_is_scaled(self) -> None:
        image, _ = decode(jpeg(picture("large", 512, 512)), ImageSpec(32, 32), LIMITS)
        assert image.size == (64, 64)


class TestEncoding:
    @pytest.mark.parametrize("encoding", ["png", "raw"])
    @pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 5), (32, 48)])
    def test_lossless_round_trip(self, encoding: str, height: int, width: int) -> None:
        spec = ImageSpec(height, width, encoding=Encoding(encoding))
        image = natural("round trip", height * 4, width * 4).resize((width, height))
        got = decode_record(encode(image, spec), spec)
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, np.asarray(image))

    @pytest.mark.parametrize("side", [32, 64, 128, 224])
    def test_jpeg_round_trip_is_close(self, side: int) -> None:
        spec = ImageSpec(side, side)
        image = natural("jpeg", side * 2, side * 2).resize((side, side), Image.Resampling.BOX)
        assert psnr(decode_record(encode(image, spec), spec), np.asarray(image)) >= 34

    @pytest.mark.parametrize(("side", "full"), [(32, True), (128, True), (129, False)])
    def test_small_jpegs_keep_their_chroma(self, side: int, full: bool) -> None:
        data = encode(picture("chroma", side, side), ImageSpec(side, side))
        # Sampling factors of the luma component: the frame header's 12th byte.
        factors = data[data.index(b"\xff\xc0") + 11]
        assert factors == (0x11 if full else 0x22)

    @pytest.mark.parametrize("size", [32, 160])
    def test_nothing_of_the_source_but_pixels_is_stored(self, size: int) -> None:
        # Pillow writes a JPEG's comment and a PNG's profile and transparency of its own accord. The
        # profile would hold the time of the bake.
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
        image = natural("metadata", 200, 200)
        image.info |= {"comment": b"by me", "icc_profile": profile, "transparency": (0, 0, 0)}
        image.info |= {"exif": Image.Exif().tobytes(), "xmp": b"<x/>", "dpi": (300, 300)}
        image = pixels.resize(image, png_spec(size, size))
        segments = jpeg_segments.segments(encode(image, ImageSpec(size, size)))
        assert {s.marker for s in segments} == {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}
        png = encode(image, png_spec(size, size))
        at, kinds = 8, set()
        while at < len(png):
            kinds.add(png[at + 4 : at + 8])
            at += 12 + int.from_bytes(png[at : at + 4], "big")
        assert kinds == {b"IHDR", b"IDAT", b"IEND"}

    def test_quality_counts(self) -> None:
        image = natural("quality", 96, 96)
        sizes = [len(encode(image, ImageSpec(96, 96, jpeg_quality=q))) for q in (50, 80, 95)]
        assert sizes == sorted(set(sizes))

    def test_tensorflow_reads_the_same_pixels(self) -> None:
        tf = pytest.importorskip("tensorflow")
        image = natural("tensorflow", 96, 96)
        png = encode(image, png_spec(96, 96))
        np.testing.assert_array_equal(tf.io.decode_png(png).numpy(), np.asarray(image))
        for side in (96, 160):
            spec = ImageSpec(side, side)
            data = encode(image.resize((side, side)), spec)
            other = tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE").numpy()
            np.testing.assert_allclose(decode_record(data, spec), other.astype(int), atol=1)

    @pytest.mark.parametrize("encoding", list(Encoding))
    def test_a_wrong_image_is_refused(self, encoding: Encoding) -> None:
        spec = ImageSpec(16, 16, encoding=encoding)
        other = encode(picture("other", 8, 16), ImageSpec(8, 16, encoding=encoding))
        with pytest.raises(ValueError, match=r"8x16, 16x16 expected|384 bytes, 768 expected"):
            decode_record(other, spec)

    @pytest.mark.parametrize("encoding", [Encoding.JPEG, Encoding.PNG])
    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_damage_is_a_value_error_at_worst(
        self, encoding: Encoding, data: st.DataObject
    ) -> None:
        spec = ImageSpec(12, 12, encoding=encoding)
        damaged = bytearray(encode(picture("record", 12, 12), spec))
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
        try:
            assert decode_record(bytes(damaged), spec).shape == (12, 12, 3)
        except ValueError:
            pass


class TestPerceptualHash:
    def test_equal_pictures_are_near_and_others_far(self) -> None:
        spec = png_spec(224, 224)
        far = []
        hashes = []
        for seed in "abcdefgh":
            image = natural(seed, 300, 400)
            versions = [
                jpeg(image, 95),
                jpeg(image, 50),
                jpeg(image.resize((200, 150), Image.Resampling.LANCZOS)),
                jpeg(image.crop((4, 3, 396, 297))),
            ]
            found = [canonicalise(data, spec, LIMITS).phash for data in versions]
            assert max((found[0] ^ other).bit_count() for other in found) <= 6
            hashes.append(found[0])
        far = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
        assert min(far) > 12


def test_equal_bytes_give_equal_bytes() -> None:
    data = picture_bytes("deterministic", height=70, width=50)
    spec = ImageSpec(32, 32)
    assert canonicalise(data, spec, LIMITS) == canonicalise(data, spec, LIMITS)


def test_pillow_has_every_codec_of_the_rules() -> None:
    from PIL import features

    for codec in ("jpg", "zlib", "libtiff", "webp", "avif", "littlecms2"):
        assert features.check(codec), codec


def test_no_warning_escapes() -> None:
    # A palette with bytes of transparency makes Pillow warn when it is converted.
    buffer = io.BytesIO()
    image = picture("warn").quantize(16)
    image.save(buffer, "PNG", transparency=bytes(range(0, 256, 16)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        canonicalise(buffer.getvalue(), ImageSpec(8, 8), LIMITS)
