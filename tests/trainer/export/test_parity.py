"""How near two networks are, in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tfrecords.errors import TrainerError
from trainer.export import parity


def _probabilities(rows: int) -> np.ndarray:
    table = np.random.default_rng(1).random((rows, 4)).astype(np.float32)
    return table / table.sum(axis=1, keepdims=True)


def test_the_same_agrees_wholly() -> None:
    live = _probabilities(7)
    assert parity.compare(live, live.copy()) == parity.Parity(7, 1.0, 0.0)


def test_counts_other_answers_and_the_largest_difference() -> None:
    live = np.array([[0.6, 0.4], [0.3, 0.7], [0.5, 0.5], [0.9, 0.1]], np.float32)
    other = np.array([[0.4, 0.6], [0.3, 0.7], [0.5, 0.5], [0.8, 0.2]], np.float32)
    found = parity.compare(live, other)
    assert (found.pictures, found.agreement) == (4, 0.75)
    assert found.max_difference == pytest.approx(0.2)


def test_nan_agrees_with_nothing() -> None:
    """LiteRT gave NaN for every class once, and argmax of NaN is 0: a class like others."""
    live = np.array([[0.9, 0.1], [0.8, 0.2]], np.float32)
    found = parity.compare(live, np.full_like(live, np.nan))
    assert (found.agreement, found.max_difference) == (0.0, 1.0)


def test_one_of_200_may_differ_and_two_may_not() -> None:
    live = np.tile(np.array([[0.6, 0.4]], np.float32), (200, 1))
    one, two = live.copy(), live.copy()
    one[:1], two[:2] = (0.4, 0.6), (0.4, 0.6)
    parity.require(parity.compare(live, one), "onnx")
    with pytest.raises(TrainerError, match=r"--format=onnx: top-1 agreement 99.00% of 200 pict"):
        parity.require(parity.compare(live, two), "onnx")


@pytest.mark.parametrize("shape", [(0, 3), (5, 2)])
def test_refuses_what_cannot_be_compared(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        parity.compare(np.zeros((shape[0], 3)), np.zeros(shape))


def test_pixels_differ_by_levels_not_modulo_256() -> None:
    live = np.zeros((2, 2, 2, 3), np.uint8)
    other = live.copy()
    other[1] = 255
    assert parity.compare_pixels(live, other) == (127.5, 255.0)
