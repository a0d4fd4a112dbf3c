from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.metrics import label_issues
from trainer.metrics.metrics import Predictions


def predictions(labels: np.ndarray, probabilities: np.ndarray) -> Predictions:
    ids = tuple(f"p{row}" for row in range(len(labels)))
    return Predictions(ids, labels, np.log(probabilities))


def test_a_swapped_label_is_found() -> None:
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(3), 30)
    probabilities = np.full((90, 3), 0.05) + 0.85 * np.eye(3)[true]
    probabilities += rng.uniform(0, 0.02, probabilities.shape)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = true.copy()
    labels[[4, 40]] = [1, 2]
    found = label_issues.find(predictions(labels, probabilities))
    assert {(each.row, each.label, each.suggested) for each in found} == {(4, 1, 0), (40, 2, 1)}
    assert all(each.id == f"p{each.row}" for each in found)
    assert all(each.self_confidence < 0.2 < 0.8 < each.probability for each in found)


def test_each_class_has_its_own_threshold() -> None:
    """0.55 is nothing of a class that is always sure, and enough of one that never is."""
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 1])
    own = np.array([0.99, 0.99, 0.99, 0.99, 0.55, 0.55, 0.55, 0.55, 0.45, 0.45])
    rest = np.where(labels == 0, 1 - own, own)
    probabilities = np.stack([1 - rest, rest], axis=1)
    assert label_issues.thresholds(labels, probabilities) == pytest.approx([0.882, 0.53])
    (found,) = label_issues.find(predictions(labels, probabilities))
    assert (found.row, found.label, found.suggested) == (8, 0, 1)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 40), st.integers(2, 5), st.integers(0, 99))
def test_what_is_found(rows: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    probabilities = rng.dirichlet(np.ones(classes), rows) + 1e-6
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    data = Predictions(
        tuple(map(str, range(rows))), labels, np.log(probabilities).reshape(rows, classes)
    )
    found = label_issues.find(data)
    limits = label_issues.thresholds(labels, data.probabilities())
    margins = [each.self_confidence - each.probability for each in found]
    assert margins == sorted(margins)
    for each in found:
        assert each.label == labels[each.row] != each.suggested
        assert each.probability >= limits[each.suggested]
        assert each.probability > each.self_confidence
    # A class of few pictures, or of none, has no threshold that anything reaches.
    counts = np.bincount(labels, minlength=classes)
    assert all(counts[each.suggested] >= label_issues.FEWEST for each in found)


@pytest.mark.parametrize("pictures", [1, label_issues.FEWEST - 1, label_issues.FEWEST])
def test_a_class_of_few_pictures_is_not_suggested(pictures: int) -> None:
    """The network knows nothing of class 2, so that its mean probability there is about 0."""
    labels = np.array([0] * 10 + [1] * 10 + [2] * pictures)
    probabilities = np.array(
        [[0.794, 0.2, 0.006]] * 10
        + [[0.3, 0.69, 0.01]] * 9
        + [[0.1, 0.1, 0.8]]
        + [[0.5, 0.499, 0.001]] * pictures
    )
    found = label_issues.find(predictions(labels, probabilities))
    enough = pictures >= label_issues.FEWEST
    assert [(each.row, each.suggested) for each in found] == ([(19, 2)] if enough else [])


def test_a_less_likely_class_is_not_suggested() -> None:
    """0.3 is above the threshold of class 1, and less than the label's 0.6."""
    labels = np.array([0] * 6 + [1] * 6)
    probabilities = np.array([[0.9, 0.1]] * 5 + [[0.7, 0.3]] + [[0.8, 0.2]] * 6)
    assert label_issues.thresholds(labels, probabilities)[1] == pytest.approx(0.2)
    found = label_issues.find(predictions(labels, probabilities))
    assert {each.label for each in found} <= {1}
