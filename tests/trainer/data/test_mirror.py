"""Pictures whose mirror image is another class, and those whose is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data import mirror


def arrow(rng: np.random.Generator, side: int = 32) -> np.ndarray:
    """Returns uint8[side, side, 3]: a wedge that points to the left, on a noisy ground."""
    picture = rng.integers(0, 90, (side, side, 3))
    rows, columns = np.indices((side, side)) + rng.integers(-2, 3, (2, 1, 1))
    wedge = np.abs(rows - side / 2) < columns * 0.5
    picture[wedge & (columns < side * 0.7)] += rng.integers(60, 160)
    return picture.astype(np.uint8)


def plain(rng: np.random.Generator, side: int = 32) -> np.ndarray:
    """Returns uint8[side, side, 3]: a bright band across the middle."""
    picture = rng.integers(0, 90, (side, side, 3))
    middle = side // 2 + rng.integers(-3, 4)
    picture[middle - 4 : middle + 4] += 140
    return picture.astype(np.uint8)


def thumbnails(kinds: dict[str, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    make = {
        "left": lambda: arrow(rng),
        "right": lambda: arrow(rng)[:, ::-1],
        "band": lambda: plain(rng),
    }
    pictures = [mirror._thumbnail(make[kind]()) for kind, n in kinds.items() for _ in range(n)]
    labels = np.repeat(np.arange(len(kinds)), list(kinds.values()))
    return np.stack(pictures), labels, list(kinds)


@pytest.mark.parametrize("seed", range(5))
def test_classes_that_a_mirror_exchanges_are_found(seed: int) -> None:
    found = mirror.find_exchange(*thumbnails({"band": 40, "left": 40, "right": 30}, seed))
    assert found is not None
    assert found.classes == ("left", "right")
    assert found.share > 0.5


@pytest.mark.parametrize("seed", range(5))
def test_a_class_that_looks_one_way_and_has_no_mirror_image_allows_flips(seed: int) -> None:
    assert mirror.find_exchange(*thumbnails({"band": 40, "left": 40}, seed)) is None


def test_a_class_with_both_directions_allows_flips() -> None:
    pictures, labels, _ = thumbnails({"left": 30, "right": 30, "band": 60})
    assert mirror.find_exchange(pictures, labels // 2, ["arrows", "bands"]) is None


def test_few_pictures_say_nothing() -> None:
    assert mirror.find_exchange(*thumbnails({"left": 12, "right": 12})) is None


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_noise_allows_flips(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), 40)
    noise = rng.uniform(0, 255, (len(labels), mirror.SIDE, mirror.SIDE, 3))
    assert mirror.find_exchange(noise, labels, [str(i) for i in range(classes)]) is None


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (33, 17), (1, 300), (224, 224)])
def test_thumbnails_keep_the_mean_and_mirror_with_the_picture(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3)).astype(np.uint8)
    small = mirror._thumbnail(image)
    assert small.shape == (mirror.SIDE, mirror.SIDE, 3)
    assert abs(small.mean() - image.mean()) < 12
    if shape[1] % mirror.SIDE == 0:
        np.testing.assert_allclose(mirror._thumbnail(image[:, ::-1]), small[:, ::-1], rtol=1e-5)


def test_only_the_first_records_of_each_class_are_read() -> None:
    image = np.zeros((256, 16, 16, 3), np.uint8)
    labels = np.arange(256) % 2
    read = []

    def batches():
        for _ in range(1000):
            read.append(1)
            yield image, labels

    pictures, kept = mirror._first_of_each(batches(), (100_000, 100_000))
    assert len(read) == 1
    assert np.bincount(kept).tolist() == [mirror.PER_CLASS] * 2
    assert len(pictures) == 2 * mirror.PER_CLASS
    mirror._first_of_each(batches(), (100_000, 100_000, 5))  # The third class never comes.
    assert len(read) == 1 + -(-mirror.RECORDS // 256)
