"""Metrics against scikit-learn, SciPy and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.runs import fake_run
from trainer.metrics import metrics
from trainer.metrics.metrics import ClassResult, Predictions
from trainer.metrics.probabilities import MIN_TEMPERATURE, Temperature


def _predictions(labels: list[int], logits: list[list[float]]) -> Predictions:
    return Predictions(tuple(map(str, range(len(labels)))), np.array(labels), np.array(logits))


@st.composite
def _cases(draw: st.DrawFn) -> Predictions:
    classes = draw(st.integers(2, 8))
    n = draw(st.integers(1, 40))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    seed = draw(st.integers(0, 2**32 - 1))
    scale = draw(st.sampled_from([0.1, 1.0, 30.0]))
    logits = np.random.default_rng(seed).normal(size=(n, classes)) * scale
    return _predictions(labels, logits.tolist())


@settings(max_examples=60, deadline=None)
@given(_cases())
def test_agrees_with_scikit_learn(case: Predictions) -> None:
    found = metrics.evaluate(case, [50] * case.classes)
    labels, predicted = case.labels, case.predicted
    every = list(range(case.classes))
    assert found.top1 == pytest.approx(sklearn.metrics.accuracy_score(labels, predicted))
    assert found.macro_f1 == pytest.approx(
        sklearn.metrics.f1_score(labels, predicted, labels=np.unique(labels), average="macro")
    )
    assert found.judged_classes == len(np.unique(labels))
    recalls = [(predicted[labels == label] == label).mean() for label in np.unique(labels)]
    assert found.balanced_accuracy == pytest.approx(np.mean(recalls))
    # Above 1e-15 scikit-learn clips nothing, so the comparison is exact.
    logarithms = case.probabilities().astype(np.float64)
    if logarithms.min() > 1e-12:
        expected = sklearn.metrics.log_loss(
            labels, logarithms / logarithms.sum(axis=1, keepdims=True), labels=every
        )
        assert found.loss_uncalibrated == pytest.approx(expected, rel=1e-4, abs=1e-6)
    np.testing.assert_array_equal(
        found.confusion, sklearn.metrics.confusion_matrix(labels, predicted, labels=every)
    )
    expected = sklearn.metrics.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    for result, *scores in zip(found.per_class, *expected, strict=True):
        mine = (result.precision, result.recall, result.f1, result.support)
        assert [value or 0 for value in mine] == pytest.approx(scores)


def test_undoes_a_known_temperature() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 5)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    case = _predictions(labels.tolist(), (logits * 3).tolist())
    found = metrics.evaluate(case, [50] * 5)
    assert found.temperature == pytest.approx(3, rel=0.05)
    assert found.ece > 0.15
    assert found.ece_calibrated < 0.015
    given = metrics.evaluate(case, [50] * 5, temperature=Temperature(3.0))
    assert given.temperature == 3.0
    true = (case.probabilities(3.0)[np.arange(20_000), labels]).astype(np.float64)
    assert given.loss == pytest.approx(-np.log(true).mean(), rel=1e-4)
    assert given.loss_uncalibrated > given.loss + 0.1


def test_expected_calibration_error_by_hand() -> None:
    # Confidences 0.9, 0.9 (one right) and 0.6 (right): bins 13 and 8 of 15.
    logits = np.log([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    case = _predictions([0, 1, 1], logits.tolist())
    bins = metrics.calibration_bins(case)
    assert [(i, bin_.count) for i, bin_ in enumerate(bins) if bin_.count] == [(8, 1), (13, 2)]
    assert bins[13].accuracy == 0.5
    assert metrics.calibration_error(bins) == pytest.approx((2 * 0.4 + 1 * 0.4) / 3)


def test_head_medium_and_tail_are_means_over_classes() -> None:
    # Class 0 (head): 1 of 2 right; class 1 (medium): 1 of 1; classes 2, 3 (tail): 0 of 1, none.
    logits = np.eye(4)[[0, 1, 1, 0]] * 5
    case = _predictions([0, 0, 1, 2], logits.tolist())
    found = metrics.evaluate(case, [101, 100, 19, 3])
    assert (found.head, found.medium, found.tail) == (0.5, 1.0, 0.0)
    assert metrics.evaluate(case, [20, 100, 50, 30]).head is None
    assert metrics.evaluate(case, [20, 100, 50, 3]).tail is None  # no picture of class 3
    assert [metrics.class_group(n) for n in (101, 100, 20, 19, 0)] == (
        ["head", "medium", "medium", "tail", "tail"]
    )


def test_what_a_class_without_pictures_is_known_for() -> None:
    case = _predictions([0, 0], [[1, 0, 0], [0, 1, 0]])
    results = metrics.evaluate(case, [50] * 3).per_class
    assert results[1] == ClassResult(precision=0.0, recall=None, f1=0.0, support=0)
    assert results[2] == ClassResult(precision=None, recall=None, f1=None, support=0)


@pytest.mark.parametrize("mistaken_for", [1, 2, 3])
def test_macro_f1_is_over_the_classes_with_pictures(mistaken_for: int) -> None:
    """A mistake costs the same whether the class that it is taken for has a picture or not."""
    predicted = [0, 0, 0, mistaken_for, 1, 1]
    found = metrics.evaluate(
        _predictions([0, 0, 0, 0, 1, 1], np.eye(4)[predicted].tolist()), [50] * 4
    )
    of_second = 4 / 5 if mistaken_for == 1 else 1.0
    assert found.macro_f1 == pytest.approx((6 / 7 + of_second) / 2)
    assert (found.judged_classes, found.coverage) == (2, " over 2 of 4 classes")


def test_a_mean_over_all_classes_needs_no_words() -> None:
    assert metrics.evaluate(fake_run.predictions([3, 2, 1]), [9] * 3).coverage == ""


def test_top5_counts_the_five_likeliest() -> None:
    logits = [[6, 5, 4, 3, 2, 1, 0]] * 2
    assert metrics.evaluate(_predictions([4, 5], logits), [50] * 7).top5 == 0.5


def test_large_logits_do_not_overflow() -> None:
    case = _predictions([0, 1], [[1e30, 0], [1e30, 0]])
    found = metrics.evaluate(case, [50, 50])
    assert found.top1 == 0.5
    assert np.isfinite(list(found.summary().values())[0])


def test_summary_has_every_single_number() -> None:
    summary = metrics.evaluate(fake_run.predictions([3, 2, 1]), [200, 50, 3]).summary()
    names = "loss loss_uncalibrated top1 top5 macro_f1 balanced_accuracy head medium tail"
    assert list(summary) == [*names.split(), "ece", "temperature", "ece_calibrated"]
    assert all(isinstance(value, float) for value in summary.values())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e37, -3e38])
def test_says_that_a_network_has_diverged(bad: float) -> None:
    case = _predictions([0, 1], [[1.0, 0.0], [bad, 0.0]])
    with pytest.raises(metrics.DivergedError, match="1 of 2 pictures .* not finite"):
        metrics.evaluate(case, [50, 50])


@pytest.mark.parametrize("temperature", [MIN_TEMPERATURE, 1.0, None])
def test_numbers_are_finite_up_to_the_largest_logit(temperature: float | None) -> None:
    largest = metrics.LARGEST_LOGIT
    case = _predictions([0, 1] * 60, [[largest, -largest]] * 120)
    found = metrics.evaluate(case, [50, 50], temperature and Temperature(temperature))
    assert all(np.isfinite(value) for value in found.summary().values() if value is not None)


def test_refuses_nothing_and_other_classes() -> None:
    empty = Predictions((), np.zeros(0), np.zeros((0, 3)))
    with pytest.raises(ValueError, match="nothing to evaluate"):
        metrics.evaluate(empty, [1, 2, 3])
    with pytest.raises(ValueError, match="3 classes, train_counts has 2"):
        metrics.evaluate(fake_run.predictions([1, 1, 1]), [1, 2])


@pytest.mark.parametrize(
    ("ids", "labels", "logits", "message"),
    [
        (("a",), [0], [1.0, 2.0], "must be .n, classes."),
        (("a",), [0, 1], [[1.0, 2.0], [1.0, 2.0]], "1 ids, 2 labels and 2 rows"),
        (("a",), [2], [[1.0, 2.0]], "labels must be 0 to 1"),
        (("a",), [-1], [[1.0, 2.0]], "labels must be 0 to 1"),
    ],
)
def test_predictions_are_checked(ids: tuple, labels: list, logits: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Predictions(ids, np.array(labels), np.array(logits))
