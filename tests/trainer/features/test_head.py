"""A linear head on features."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.features import head as heads_module
from trainer.features.extract import Features
from trainer.features.head import PENALTIES, Objective, fits

CLASSES, CHANNELS = 3, 6


def clusters(pictures: int = 90, seed: int = 0) -> Features:
    """Features of classes that overlap; one feature is large, one never changes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(pictures) % CLASSES
    values = rng.normal(size=(pictures, CHANNELS)) + np.eye(CLASSES, CHANNELS)[labels]
    values[:, 3] = 50 + 20 * values[:, 3]
    values[:, 5] = 7
    ids = tuple(map(str, range(pictures)))
    return Features(values.astype(np.float16), labels.astype(np.int32), ids)


def cross_entropy(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


def objective(features: Features, penalty: float = 0.1) -> Objective:
    made = Objective(features, CLASSES, cross_entropy)
    made.penalty = penalty
    return made


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_the_gradient_is_that_of_the_loss(seed: int) -> None:
    function = objective(clusters())
    rng = np.random.default_rng(seed)
    vector, direction = rng.normal(size=(2, function.size))
    direction /= np.linalg.norm(direction)
    step = 3e-2
    slope = (function(vector + step * direction)[0] - function(vector - step * direction)[0]) / (
        2 * step
    )
    assert slope == pytest.approx(function(vector)[1] @ direction, abs=1e-2)


def test_a_head_takes_features_as_they_are() -> None:
    """The loss of its logits is the objective's, though that works on standardised features."""
    features = clusters()
    function = objective(features, penalty=0.0)
    vector = np.random.default_rng(1).normal(size=function.size)
    logits = function.head(vector).logits(features.values)
    loss = np.mean(cross_entropy(logits, np.eye(CLASSES, dtype=np.float32)[features.labels]))
    assert loss == pytest.approx(function(vector)[0], rel=1e-3)


def test_a_fit_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    features = clusters()
    heads = list(fits(Objective(features, CLASSES, cross_entropy)))
    scaled = (features.values - features.values.mean(0, dtype=np.float32)) / (
        features.values.astype(np.float32).std(0) + 1e-3
    )
    for head in heads:
        own = LogisticRegression(C=1 / (head.penalty * len(scaled)), max_iter=1000)
        expected = own.fit(scaled, features.labels).predict_proba(scaled)
        probabilities = tf.nn.softmax(head.logits(features.values)).numpy()
        np.testing.assert_allclose(probabilities, expected, atol=0.02)


def test_less_penalty_gives_larger_weights_and_a_better_fit() -> None:
    features = clusters(600)
    heads = list(fits(Objective(features, CLASSES, cross_entropy)))
    assert [head.penalty for head in heads] == list(PENALTIES)
    for head in heads:
        right = head.logits(features.values).argmax(1) == features.labels
        assert right.mean() > 0.5
    sizes = [float(np.abs(head.kernel[:CLASSES]).sum()) for head in heads]
    assert sizes[0] < sizes[2] < sizes[-1]


def test_a_fit_is_a_function_of_its_input() -> None:
    one, two = (list(fits(Objective(clusters(), CLASSES, cross_entropy))) for _ in range(2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first.kernel, second.kernel)


def test_features_beyond_those_kept_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    vector = np.random.default_rng(2).normal(size=objective(clusters()).size)
    whole = objective(clusters())(vector)
    channels = clusters().values.shape[1]
    monkeypatch.setattr(heads_module, "_CHUNK", 16)
    monkeypatch.setattr(heads_module, "_KEPT_BYTES", 4 * 40 * channels)
    parts = objective(clusters())
    for _ in range(2):
        value, gradient = parts(vector)
        assert value == pytest.approx(whole[0], rel=1e-5)
        np.testing.assert_allclose(gradient, whole[1], rtol=1e-3, atol=5e-4)
