"""Confused pairs and worst mistakes."""

from __future__ import annotations

import numpy as np

from tests.support.runs import fake_run
from trainer.metrics import mistakes
from trainer.metrics.metrics import Predictions


def _predictions(rows: list[tuple[str, int, int, float]], classes: int = 3) -> Predictions:
    """Rows are (id, label, predicted, probability of the predicted class)."""
    probabilities = np.empty((len(rows), classes))
    for i, (_, _, predicted, confidence) in enumerate(rows):
        probabilities[i] = (1 - confidence) / (classes - 1)
        probabilities[i, predicted] = confidence
    ids, labels, _, _ = zip(*rows, strict=True)
    return Predictions(ids, np.array(labels), np.log(probabilities))


CASE = _predictions(
    [
        ("a1", 0, 0, 0.9),
        ("a2", 0, 1, 0.5),
        ("a3", 0, 1, 0.8),
        ("b1", 1, 1, 0.6),
        ("b2", 1, 1, 0.7),
        ("c1", 2, 0, 0.9),
        ("b3", 1, 0, 0.4),
    ]
)


def test_ranks_pairs_by_number_then_by_share() -> None:
    pairs = mistakes.most_confused(CASE, 10)
    found = [(pair.true, pair.predicted, pair.count, pair.support) for pair in pairs]
    assert found == [(0, 1, 2, 3), (2, 0, 1, 1), (1, 0, 1, 3)]
    assert len(mistakes.most_confused(CASE, 1)) == 1


def test_shows_the_surest_of_a_pair() -> None:
    first, second, _ = mistakes.most_confused(CASE, 3, examples=2, references=1)
    assert first.examples == ("a3", "a2")
    assert first.true_examples == ("a1",)
    assert first.predicted_examples == ("b2",)
    assert second.true_examples == ()  # No picture of the class is recognised.


def test_the_worst_mistake_gives_its_truth_least() -> None:
    worst = mistakes.worst(CASE, 3)
    assert [mistake.id for mistake in worst] == ["c1", "a3", "a2"]
    assert (worst[0].true, worst[0].predicted) == (2, 0)
    np.testing.assert_allclose(
        [worst[0].probability, worst[0].true_probability], [0.9, 0.05], rtol=1e-5
    )


def test_a_network_without_fault_has_none() -> None:
    perfect = fake_run.predictions([2, 2], skill=50)
    assert mistakes.most_confused(perfect, 5) == ()
    assert mistakes.worst(perfect, 5) == ()
