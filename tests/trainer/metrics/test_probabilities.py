"""The rule that makes probabilities of logits, and the temperature in it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import softmax as reference

from trainer.metrics import probabilities
from trainer.metrics.probabilities import Probabilities, Temperature


def draw(seed: int, rows: int, classes: int, scale: float = 2.0, sharp: float = 1.0) -> tuple:
    """Returns logits of a network that is calibrated at temperature `sharp`, and labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, classes)) * scale
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return (logits * sharp).astype(np.float32), labels


def loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    p = reference(logits.astype(np.float64) / temperature, axis=1)
    return float(-np.log(p[np.arange(len(labels)), labels] + 1e-300).mean())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99), st.integers(1, 40), st.integers(2, 6), st.floats(0.1, 8))
def test_the_minimum_is_the_best_there_is(seed: int, rows: int, classes: int, scale: float) -> None:
    logits, labels = draw(seed, rows, classes, scale)
    best = minimize_scalar(
        lambda log: loss(logits, labels, float(np.exp(log))),
        bounds=np.log([probabilities.MIN_TEMPERATURE, probabilities.MAX_TEMPERATURE]),
        method="bounded",
    )
    assert loss(logits, labels, probabilities.minimum(logits, labels)) <= best.fun * 1.001 + 1e-4


def test_finds_a_known_temperature() -> None:
    found = probabilities.fit(*draw(0, 5000, 5, sharp=3.0))
    assert found.value == pytest.approx(3, rel=0.05)
    assert str(found) == f"at temperature {found.value:.3f}"


RIGHT = np.eye(3, dtype=np.float32)[np.arange(3000) % 3] * 9
TRUE = np.arange(3000) % 3


@pytest.mark.parametrize(
    ("logits", "labels", "note"),
    [
        (RIGHT[:99], TRUE[:99], "needs 100 validation pictures, and there are 99"),
        (RIGHT, TRUE, "needs 10 mistakes on validation, and there are 0 in 3,000 pictures"),
        # Wrong nearly everywhere, and sure of it.
        (RIGHT, np.where(np.arange(3000) < 19, TRUE, (TRUE + 1) % 3), "no best one from 0.05 to"),
        # Right nearly everywhere, and not sure of it at all.
        (
            RIGHT / 1000,
            np.where(np.arange(3000) < 25, (TRUE + 1) % 3, TRUE),
            "no best one from 0.05 to 20 was found",
        ),
        (np.zeros((200, 3), np.float32), np.arange(200) % 3, None),
    ],
)
def test_too_little_or_an_end_at_a_bound_is_no_fit(
    logits: np.ndarray, labels: np.ndarray, note: str | None
) -> None:
    found = probabilities.fit(logits.astype(np.float32), labels)
    if note is None:  # No temperature changes anything.
        assert np.isfinite(found.value)
        return
    assert found.value == 1.0
    assert note in found.note
    assert str(found).startswith("without a fitted temperature: ")


@settings(max_examples=100, deadline=None)
@given(st.none() | st.floats(1e-3, 1e3), st.integers(0, 300), st.floats(0, 1))
def test_what_was_recorded_is_held_to_the_same(
    value: float | None, rows: int, share: float
) -> None:
    """Earlier versions kept the floor of the search, 0.05, as any other temperature."""
    mistakes = round(share * rows)
    found = probabilities.recorded(value, rows, mistakes)
    enough = rows >= 100 and mistakes >= 10
    cautious = rows >= 20 and value is not None and value < 0.9
    good = (enough or cautious) and value is not None and 0.0505 < value < 19.8
    assert (found.value, bool(found.note)) == ((value, False) if good else (1.0, True))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 999), st.integers(20, 300), st.sampled_from([10.0, 30.0]), st.booleans())
def test_with_few_mistakes_only_too_little_confidence_is_mended(
    seed: int, rows: int, scale: float, unsure: bool
) -> None:
    sharp = 0.25 if unsure else 2.0
    logits, labels = draw(seed, rows, 4, scale, sharp)
    mistakes = int((logits.argmax(axis=1) != labels).sum())
    if not probabilities.too_little(rows, mistakes):
        return
    found = probabilities.fit(logits, labels)
    if not unsure:
        assert found.value == 1.0 and found.note
    elif not found.note:
        others = draw(seed + 1000, 4000, 4, scale, sharp)
        assert loss(*others, found.value) < loss(*others, 1.0)


def test_a_network_that_is_always_right_and_never_sure_becomes_surer() -> None:
    logits = np.eye(5, dtype=np.float32)[np.arange(300) % 5] * 3
    found = probabilities.fit(logits, np.arange(300) % 5)
    assert 0.3 < found.value < 0.9 and not found.note


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 99), st.floats(0.2, 5), st.booleans())
def test_arrays_and_tensors_give_the_same(seed: int, value: float, shifted: bool) -> None:
    logits, _ = draw(seed, 7, 4, scale=10)
    shift = np.log([0.1, 0.2, 0.3, 0.4]).astype(np.float32) if shifted else None
    rule = Probabilities(Temperature(value), shift)
    expected = reference((logits.astype(np.float64) - (0 if shift is None else shift)) / value, 1)
    np.testing.assert_allclose(rule.of(logits), expected, atol=2e-6)
    in_graph = tf.nn.softmax(rule.scaled(tf.constant(logits))).numpy()
    np.testing.assert_allclose(in_graph, expected, atol=2e-6)
    assert (rule.adjusted(logits).argmax(1) == rule.of(logits).argmax(1)).all()


def test_nothing_fitted_and_nothing_shifted_changes_nothing() -> None:
    logits, _ = draw(0, 5, 3)
    np.testing.assert_array_equal(Probabilities().scaled(logits), logits)
