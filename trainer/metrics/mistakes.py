"""The mistakes of a network: the classes it confuses most, and its worst single mistakes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.metrics import metrics
from trainer.metrics.metrics import Predictions


@dataclass(frozen=True)
class ConfusedPair:
    """Pictures of one class that are predicted as another.

    Attributes:
      true: label of the pictures.
      predicted: label that the network gives them.
      count: how many.
      support: number of pictures of the true class.
      examples: ids of some of them, the most confident first.
      true_examples: ids of correctly predicted pictures of the true class, likewise.
      predicted_examples: likewise of the predicted class.
    """

    true: int
    predicted: int
    count: int
    support: int
    examples: tuple[str, ...]
    true_examples: tuple[str, ...]
    predicted_examples: tuple[str, ...]


@dataclass(frozen=True)
class Mistake:
    """One picture that is predicted as another class.

    Attributes:
      id: of the record.
      true: its label.
      predicted: label that the network gives it.
      probability: of the predicted class.
      true_probability: of the true class.
    """

    id: str
    true: int
    predicted: int
    probability: float
    true_probability: float


def most_confused(
    predictions: Predictions, pairs: int, examples: int = 3, references: int = 1
) -> tuple[ConfusedPair, ...]:
    """Returns the pairs of classes with most mistakes; ties by their share of the true class.

    Args:
      predictions: of a split.
      pairs: number of pairs, at most.
      examples: of each pair, at most.
      references: correctly predicted pictures of either class, at most.
    """
    labels, predicted = predictions.labels, predictions.predicted
    confusion = metrics.confusion_matrix(labels, predicted, predictions.classes)
    support = confusion.sum(axis=1)
    mistakes = confusion - np.diag(np.diagonal(confusion))
    ranked = sorted(
        zip(*np.nonzero(mistakes), strict=True),
        key=lambda pair: (-mistakes[pair], -mistakes[pair] / support[pair[0]], pair),
    )
    confidence = predictions.probabilities().max(axis=1)
    by_confidence = np.argsort(-confidence, kind="stable")

    def ids(true: int, guess: int, limit: int) -> tuple[str, ...]:
        rows = by_confidence[(labels[by_confidence] == true) & (predicted[by_confidence] == guess)]
        return tuple(predictions.ids[row] for row in rows[:limit])

    return tuple(
        ConfusedPair(
            true=int(true),
            predicted=int(guess),
            count=int(mistakes[true, guess]),
            support=int(support[true]),
            examples=ids(true, guess, examples),
            true_examples=ids(true, true, references),
            predicted_examples=ids(guess, guess, references),
        )
        for true, guess in ranked[:pairs]
    )


def worst(predictions: Predictions, limit: int) -> tuple[Mistake, ...]:
    """Returns the mistakes with the largest loss, largest first."""
    wrong = np.flatnonzero(predictions.predicted != predictions.labels)
    losses = metrics.picture_losses(predictions)[wrong]
    rows = wrong[np.argsort(-losses, kind="stable")[:limit]]
    probabilities = predictions.probabilities()[rows]
    predicted, labels = predictions.predicted[rows], predictions.labels[rows]
    return tuple(
        Mistake(
            id=predictions.ids[row],
            true=int(labels[i]),
            predicted=int(predicted[i]),
            probability=float(probabilities[i, predicted[i]]),
            true_probability=float(probabilities[i, labels[i]]),
        )
        for i, row in enumerate(rows)
    )
