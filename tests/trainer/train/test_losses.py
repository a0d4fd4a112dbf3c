"""Each loss against a computation in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.support.runs.train_configs import config
from trainer.train import losses

COUNTS = (1000, 50, 3, 1)
RNG = np.random.default_rng(7)
LOGITS = RNG.normal(0, 3, (6, 4)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 0, 2])


def numpy_softmax(logits: np.ndarray) -> np.ndarray:
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def loss_of(step: int = 0, targets: np.ndarray | None = None, **flags: object) -> np.ndarray:
    built = losses.build(
        config(**{"label_smoothing": 0.0, "loss": "cross_entropy", **flags}),
        COUNTS,
        total_steps=100,
    )
    if targets is None:
        targets = np.eye(4)[LABELS]
    return built(tf.constant(LOGITS), tf.constant(targets, tf.float32), tf.constant(step)).numpy()


def picked(probabilities: np.ndarray) -> np.ndarray:
    return probabilities[np.arange(len(LABELS)), LABELS]


def test_cross_entropy() -> None:
    np.testing.assert_allclose(loss_of(), -np.log(picked(numpy_softmax(LOGITS))), rtol=1e-5)


def test_label_smoothing() -> None:
    log_p = np.log(numpy_softmax(LOGITS))
    expected = -0.8 * picked(log_p) - 0.2 * log_p.mean(axis=1)
    np.testing.assert_allclose(loss_of(label_smoothing=0.2), expected, rtol=1e-5)


def test_mixed_targets() -> None:
    partners = np.array([1, 1, 0, 2, 3, 0])
    share = np.array([0.3, 1.0, 0.9, 0.5, 0.0, 0.6], np.float32)
    targets = losses.soft_targets(
        tf.constant(LABELS), tf.constant(partners), tf.constant(share), 4
    ).numpy()
    log_p = np.log(numpy_softmax(LOGITS))
    expected = -share * picked(log_p) - (1 - share) * log_p[np.arange(6), partners]
    np.testing.assert_allclose(loss_of(targets=targets), expected, rtol=1e-5)


def test_balanced_softmax_is_softmax_weighted_by_counts() -> None:
    exp = np.exp(LOGITS) * np.array(COUNTS)
    expected = -np.log(picked(exp / exp.sum(axis=1, keepdims=True)))
    np.testing.assert_allclose(loss_of(loss="balanced_softmax"), expected, rtol=1e-4)


def test_logit_adjustment() -> None:
    prior = np.array(COUNTS) / np.sum(COUNTS)
    expected = -np.log(picked(numpy_softmax(LOGITS + 0.5 * np.log(prior))))
    found = loss_of(loss="logit_adjusted", logit_adjustment=0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal(gamma: float) -> None:
    p = picked(numpy_softmax(LOGITS))
    found = loss_of(loss="focal", focal_gamma=gamma)
    np.testing.assert_allclose(found, -((1 - p) ** gamma) * np.log(p), rtol=1e-4)


def test_focal_has_a_finite_gradient_on_certainty() -> None:
    logits = tf.constant([[200.0, 0.0], [-200.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = losses.focal(logits, tf.constant([[1.0, 0.0], [1.0, 0.0]]), 0.5)
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_effective_number_weights() -> None:
    beta = 0.99
    effective = [sum(beta**i for i in range(n)) for n in COUNTS]  # Its definition.
    expected = 1 / np.array(effective)
    expected *= 4 / expected.sum()
    np.testing.assert_allclose(losses.effective_number_weights(COUNTS, beta), expected)
    np.testing.assert_allclose(losses.effective_number_weights(COUNTS, 0), np.ones(4))


def test_weights_multiply_each_class() -> None:
    weights = losses.inverse_weights(COUNTS)
    assert weights.sum() == pytest.approx(4)
    np.testing.assert_allclose(
        loss_of(class_weights="inverse"), loss_of() * weights[LABELS], rtol=1e-5
    )


def test_deferred_weights_take_effect_at_their_step() -> None:
    flags = {"class_weights": "inverse", "loss": "balanced_softmax"}
    np.testing.assert_allclose(loss_of(step=79, defer_weights=0.8, **flags), loss_of())
    np.testing.assert_allclose(loss_of(step=80, defer_weights=0.8, **flags), loss_of(**flags))


def test_log_prior_is_a_distribution() -> None:
    assert np.exp(losses.log_prior(COUNTS)).sum() == pytest.approx(1)
