from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.support.datasets import fakes
from tfrecords.images import fingerprints


def detailed(seed: int, side: int = 224) -> Image.Image:
    """A picture with detail at every scale, as photographs have: 1/f noise."""
    rng = np.random.default_rng(seed)
    total = np.full((side, side, 3), 128.0)
    for cells in (3, 6, 12, 24, 48):
        coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        layer = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        total += (np.asarray(layer, float) - 128) * 2 / cells**0.5
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def distance(a: Image.Image, b: Image.Image) -> int:
    words = fingerprints.words([fingerprints.fingerprint(a), fingerprints.fingerprint(b)])
    return int(np.bitwise_count(words[0] ^ words[1]).sum())


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_picture_in_other_clothes_differs_in_few_bits(seed: int) -> None:
    image = detailed(seed)
    assert distance(image, recompressed(image, 40)) <= 16
    assert distance(image, image.resize((112, 112), Image.Resampling.BICUBIC)) <= 16
    assert distance(image, image.resize((160, 224), Image.Resampling.BICUBIC)) <= 16
    # A cell rounds each of three channels, or their one luma.
    assert distance(image, image.convert("L").convert("RGB")) <= 6


def test_other_pictures_differ_in_about_half_of_the_bits() -> None:
    pictures = [detailed(seed, 64) for seed in range(12)]
    found = [distance(a, b) for a in pictures for b in pictures if a is not b]
    assert min(found) > 64
    assert 96 < np.mean(found) < 160


def test_a_blank_picture_has_hardly_a_bit_whatever_its_grain() -> None:
    assert fingerprints.fingerprint(Image.new("RGB", (50, 70), (200, 10, 10))) == bytes(32)
    rng = np.random.default_rng(0)
    grain = (240 + rng.integers(-3, 4, (224, 224, 1)).repeat(3, axis=2)).astype(np.uint8)
    bits = int.from_bytes(fingerprints.fingerprint(Image.fromarray(grain)), "big").bit_count()
    assert bits <= 3


def test_the_bits_are_the_same_on_every_machine() -> None:
    # Sums of whole numbers below 2^53: neither BLAS nor processor may change them.
    ramp = np.add.outer(np.arange(64) * 3, np.arange(64)).astype(np.uint8)
    wave = np.where(ramp % 32 < 16, ramp, 255 - ramp).astype(np.uint8)
    golden = "0002001c0003800007000020f1000041fe00a0087fc0178071cf400ee21e41b6"
    assert fingerprints.fingerprint(Image.fromarray(wave)).hex() == golden


class TestDifferenceHash:
    def test_known_bits(self) -> None:
        ramp = np.tile(np.arange(0, 216, 3, dtype=np.uint8), (72, 1))
        assert fingerprints.difference_hash(Image.fromarray(ramp).convert("RGB")) == 2**64 - 1
        falling = Image.fromarray(ramp[:, ::-1].copy()).convert("RGB")
        assert fingerprints.difference_hash(falling) == 0
        # Rising only in the top eighth: the first 8 bits.
        mixed = np.where(np.arange(72)[:, None] < 9, ramp, 0).astype(np.uint8)
        assert fingerprints.difference_hash(Image.fromarray(mixed).convert("RGB")) >> 56 == 0xFF

    def test_noise_in_a_plain_picture_is_no_difference(self) -> None:
        rng = np.random.default_rng(0)
        noisy = rng.integers(250, 254, (224, 224, 3)).astype(np.uint8)
        assert fingerprints.difference_hash(Image.fromarray(noisy)) == 0


def test_words_keep_the_lowest_frequencies_first() -> None:
    words = fingerprints.words([bytes(range(32)), bytes(32)])
    assert words.shape == (2, 4)
    assert words.dtype == np.uint64
    assert int(words[0, 0]) == 0x0001020304050607
    assert fingerprints.words([]).shape == (0, 4)
    with pytest.raises(ValueError, match="32 bytes"):
        fingerprints.words([bytes(31), bytes(33)])


def test_thumbnail_is_the_mean_of_each_cell() -> None:
    image = fakes.picture("thumb", 32, 64)
    expected = np.asarray(image, float).reshape(16, 2, 16, 4, 3).mean(axis=(1, 3))
    thumbnail = fingerprints.thumbnail(image)
    assert thumbnail.shape == (16, 16, 3)
    assert thumbnail.dtype == np.uint8
    assert np.abs(thumbnail - expected).max() <= 1.5
