"""Probable wrong labels, from predictions of networks that did not train on the pictures.

Confident learning (Northcutt, Jiang and Chuang 2021): each class has a threshold, the mean
probability that pictures of its label are given for it. A picture is confidently of every class
whose threshold its probability reaches; where the likeliest of those is not its label, the label
is in doubt. So a class that the networks rarely recognise needs little, and one that they always
recognise needs much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.metrics.metrics import Predictions


@dataclass(frozen=True)
class LabelIssue:
    """A picture whose label is in doubt.

    Attributes:
      row: of the predictions.
      id: of the record.
      label: that it has.
      suggested: label that the networks are confident of.
      self_confidence: probability of its own label.
      probability: of the suggested one.
    """

    row: int
    id: str
    label: int
    suggested: int
    self_confidence: float
    probability: float


def thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns float64[classes], the mean probability of each class among pictures of its label.

    Infinite for a class without a picture: nothing can be confidently of it.

    Args:
      labels: int64[n].
      probabilities: float[n, classes].
    """
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, own, minlength=classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def find(predictions: Predictions) -> tuple[LabelIssue, ...]:
    """Returns the pictures whose label is in doubt, the most doubtful first.

    They are ordered by how much likelier the suggested label is than their own.

    Args:
      predictions: out of fold; those of a network on its own training pictures agree with
        wrong labels too.
    """
    probabilities = predictions.probabilities()
    labels, rows = predictions.labels, np.arange(len(predictions.labels))
    if not len(rows):
        return ()
    confident = probabilities >= thresholds(labels, probabilities)[None]
    suggested = np.where(confident, probabilities, -1).argmax(axis=1)
    doubtful = np.flatnonzero(confident.any(axis=1) & (suggested != labels))
    own = probabilities[rows, labels]
    best = probabilities[rows, suggested]
    order = doubtful[np.argsort((own - best)[doubtful], kind="stable")]
    return tuple(
        LabelIssue(
            row=row,
            id=predictions.ids[row],
            label=int(labels[row]),
            suggested=int(suggested[row]),
            self_confidence=float(own[row]),
            probability=float(best[row]),
        )
        for row in order.tolist()
    )
