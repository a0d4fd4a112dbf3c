"""One arithmetic: every kernel gives the bytes of the reference in numpy, in pieces or at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tfrecords.errors import UsageError
from tfrecords.images import convolution, kernels, resample
from tfrecords.images.convolution import Filter

LIBRARY = tuple(name for name in kernels.available() if name != kernels.NUMPY)
NEEDS_LIBRARY = pytest.mark.skipif(not LIBRARY, reason="cykooz-resizer has no wheel here")


def drawn_picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise, black and white, one level, or nearly white: what overflows and what rounds."""
    shape = (height, width, int(rng.choice([1, 3])))
    return [
        lambda: rng.integers(0, 256, shape, np.uint8),
        lambda: rng.integers(0, 2, shape, np.uint8) * np.uint8(255),
        lambda: np.full(shape, rng.integers(0, 256), np.uint8),
        lambda: rng.integers(250, 256, shape).astype(np.uint8),
    ][rng.integers(4)]()


def drawn_part(rng: np.random.Generator, width: int, height: int) -> kernels.Part:
    """All of a picture, a box with fractions, a picture decoded at an eighth, or whole pixels."""
    kind = rng.integers(4)
    if kind == 0:
        return 0.0, 0.0, float(width), float(height)
    if kind == 1:
        (left, right), (top, bottom) = (np.sort(rng.random(2) * side) for side in (width, height))
        return float(left), float(top), float(right - left), float(bottom - top)
    if kind == 2:
        beyond = rng.integers(0, 8, 2) / 8
        return 0.0, 0.0, float(width - beyond[0]), float(height - beyond[1])
    left, top = int(rng.integers(width)), int(rng.integers(height))
    across, down = rng.integers(1, width - left + 1), rng.integers(1, height - top + 1)
    return float(left), float(top), float(across), float(down)


def drawn_side(rng: np.random.Generator, longest: int) -> int:
    return int(np.exp(rng.uniform(0, np.log(longest))))


@NEEDS_LIBRARY
@given(seed=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_every_kernel_gives_the_bytes_of_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = drawn_picture(rng, drawn_side(rng, 2000), drawn_side(rng, 2000))
    part = drawn_part(rng, pixels.shape[1], pixels.shape[0])
    size = drawn_side(rng, 400), drawn_side(rng, 400)
    if rng.random() < 0.2 and part[2].is_integer() and part[3] >= 1:
        size = int(part[2]), (int(part[3]) if rng.random() < 0.5 else size[1])
    filter = rng.choice(list(Filter))
    data = pixels.tobytes()
    expected = kernels.by_numpy(data, pixels.shape, part, size, filter)
    assert expected.shape == (size[1], size[0], pixels.shape[2])
    for name in LIBRARY:
        found = kernels.by_library(name)(data, pixels.shape, part, size, filter)
        np.testing.assert_array_equal(found, expected, err_msg=name)


@NEEDS_LIBRARY
@pytest.mark.parametrize("height", [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33])
def test_kernels_agree_at_the_ends_of_their_registers(height: int) -> None:
    # Vector code works on rows of 4, 8, 16 and 32 samples, and has other code for the rest.
    rng = np.random.default_rng(height)
    for width in range(1, 40):
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        for size in ((17, 5), (1, 1), (33, height), (width, 9)):
            part = (0.0, 0.0, float(width), float(height))
            arguments = (pixels.tobytes(), pixels.shape, part, size, Filter.TRIANGLE)
            expected = kernels.by_numpy(*arguments)
            for name in LIBRARY:
                np.testing.assert_array_equal(kernels.by_library(name)(*arguments), expected)


@given(
    size=st.integers(1, 3000),
    target=st.integers(1, 400),
    edges=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    filter=st.sampled_from(list(Filter)),
)
@settings(max_examples=200, deadline=None)
def test_weights_sum_to_one_and_stay_inside(
    size: int, target: int, edges: tuple[float, float], filter: Filter
) -> None:
    start, end = sorted(edge * size for edge in edges)
    length = max(end - start, 1e-3)
    by = convolution.weights(size, min(start, size - length), length, target, filter)
    assert by.values.min() >= 0 and by.values.max() < 1 << 15
    taps = by.values.shape[1]
    # Each is rounded by at most a half.
    assert np.abs(by.values.sum(axis=1) - (1 << by.precision)).max() <= taps / 2
    last = np.where(by.values > 0, by.start[:, None] + np.arange(taps), 0)
    assert by.start.min() >= 0 and last.max() < size


@pytest.mark.parametrize("kernel", kernels.available())
def test_pieces_give_what_the_whole_gives(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.VARIABLE, kernel)
    rng = np.random.default_rng(3)
    for height, width, size in ((300, 211, (64, 48)), (90, 400, (100, 200)), (57, 33, (33, 40))):
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        box = (3.25, 0.0, width - 1.5, float(height))
        for picture in (pixels, Image.fromarray(pixels), Image.fromarray(pixels[..., 0])):
            expected = resample.resample(picture, size, box)
            with monkeypatch.context() as patch:
                patch.setattr(resample, "_AT_ONCE", 0)
                patch.setattr(resample, "_STRIP", 5_000)
                found = resample.resample(picture, size, box)
            np.testing.assert_array_equal(found, expected)


def test_a_wide_picture_goes_across_first(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 256, (40, 900, 3), np.uint8)
    box = (0.0, 0.0, 900.0, 40.0)
    expected = resample.resample(pixels, (32, 32), box).astype(int)
    monkeypatch.setattr(resample, "_AT_ONCE", 0)
    monkeypatch.setattr(resample, "_BETWEEN", 1_000)
    found = resample.resample(pixels, (32, 32), box)
    across = resample._across(pixels, (0.0, 900.0), 32, Filter.TRIANGLE)
    np.testing.assert_array_equal(found, resample._down(across, (0.0, 40.0), 32, Filter.TRIANGLE))
    assert np.abs(found - expected).max() <= 1


def test_a_side_too_long_to_be_weighed_is_averaged_first() -> None:
    ramp = (np.arange(200_000) * 255 // 200_000).astype(np.uint8)
    picture = Image.fromarray(np.repeat(ramp[None, :, None], 3, axis=2))
    found = resample.resample(picture, (16, 2), (0.0, 0.0, 200_000.0, 1.0))
    assert np.abs(found[0, :, 0] - (np.arange(16) + 0.5) * 255 / 16).max() < 3


def test_the_box_never_reaches_beyond_the_picture() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2_000):
        size = int(rng.integers(1, 500))
        edges = np.sort(rng.random(2) * size)
        start, length = resample._span(edges[0], size if rng.random() < 0.5 else edges[1], size)
        assert start >= 0 and start + length <= size


def test_a_kernel_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.VARIABLE, "abacus")
    with pytest.raises(UsageError, match="EVENSHARD_RESIZE_KERNEL=abacus: expected auto or one"):
        kernels.check()
    monkeypatch.setenv(kernels.VARIABLE, "")
    assert kernels.chosen() == kernels.available()[-1]


@NEEDS_LIBRARY
def test_a_library_that_rounds_otherwise_is_not_used() -> None:
    kernel = kernels.by_library(LIBRARY[-1])
    assert kernels._agrees(kernel)
    assert not kernels._agrees(lambda *arguments: kernel(*arguments) ^ 1)
