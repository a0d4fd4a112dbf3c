from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from beam_pipelines.choices import Operation
from beam_pipelines.steps.augment import augmented_copy, copy_generator
from tests.support.datasets import fakes
from tfrecords.images import canonicalise
from tfrecords.schema import ImageSpec, Resize

SOURCE = fakes.picture("source", height=60, width=80)
SPEC = ImageSpec(32, 32)


def copy_of(
    number: int, *operations: Operation, spec: ImageSpec = SPEC, key: str = "k"
) -> np.ndarray:
    return np.asarray(
        augmented_copy(SOURCE, spec, operations, copy_generator(0, key, number)), np.int16
    )


@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize("resize", list(Resize))
def test_a_copy_fits_the_spec_and_differs(operation: Operation, resize: Resize) -> None:
    spec = ImageSpec(32, 32, resize)
    plain = np.asarray(canonicalise.resize(SOURCE, spec), np.int16)
    copies = [copy_of(number, operation, spec=spec) for number in range(1, 9)]
    if spec.fixed_size:
        assert {copy.shape for copy in copies} == {(32, 32, 3)}
    assert any(copy.shape != plain.shape or (copy != plain).any() for copy in copies)


def test_a_copy_is_a_function_of_seed_key_and_number() -> None:
    every = tuple(Operation)
    assert (copy_of(1, *every) == copy_of(1, *every)).all()
    assert (copy_of(1, *every) != copy_of(2, *every)).any()
    assert (copy_of(1, *every) != copy_of(1, *every, key="other")).any()


def test_operations_draw_independently() -> None:
    """Adding colour must not change which copies are flipped."""
    for number in range(1, 20):
        flipped = copy_of(number, Operation.FLIP)
        both = copy_of(number, Operation.FLIP, Operation.CUTOUT)
        assert (flipped == both).all(axis=2).mean() > 0.6


def test_flips_are_even() -> None:
    plain = np.asarray(canonicalise.resize(SOURCE, SPEC), np.int16)
    same = sum((copy_of(number, Operation.FLIP) == plain).all() for number in range(200))
    assert 70 <= same <= 130  # binomial: 4 standard deviations of 7


def test_a_rotated_copy_has_no_empty_corners() -> None:
    white = Image.new("RGB", (100, 60), "white")
    for spec in (ImageSpec(32, 32), ImageSpec(24, 48), ImageSpec(48, 24)):
        for number in range(20):
            copy = augmented_copy(white, spec, (Operation.ROTATE,), copy_generator(0, "k", number))
            assert copy.size == (spec.width, spec.height)
            assert np.asarray(copy).min() == 255


def test_a_one_pixel_source_has_copies() -> None:
    dot = Image.new("RGB", (1, 1), "red")
    copy = augmented_copy(dot, SPEC, tuple(Operation), copy_generator(0, "k", 1))
    assert copy.size == (32, 32)
