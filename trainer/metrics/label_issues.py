"""Probable wrong labels, from predictions of networks that did not train on the pictures.

Confident learning (Northcutt, Jiang and Chuang 2021): each class has a threshold, the mean
probability that pictures of its label are given for it. A picture is confidently of every class
whose threshold its probability reaches; where the likeliest of those is not its label, and is
likelier than its label, the label is in doubt. So a class that the networks rarely recognise needs
little, and one that they always recognise needs much.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfrecords.schema import parse_id
from trainer.metrics.metrics import Predictions

# Pictures that a threshold needs. It is a mean of probabilities, whose standard error is up to
# 0.5/√n: 0.5 with one picture, which says nothing, 0.22 with five. A network hardly knows so small
# a class, its mean is often about 0, and every picture of another would reach it.
FEWEST = 5


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

    Infinite for a class of fewer than `FEWEST` pictures: nothing can be confidently of it.

    Args:
      labels: int64[n].
      probabilities: float[n, classes].
    """
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, own, minlength=classes)
    return np.where(counts >= FEWEST, sums / np.maximum(counts, 1), np.inf)


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
    own = probabilities[rows, labels]
    best = probabilities[rows, suggested]
    # A label that is likelier than every class that it could be instead is not in doubt.
    doubtful = np.flatnonzero(confident.any(axis=1) & (best > own))
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


def to_csv(
    issues: Sequence[LabelIssue], classes: Sequence[str], fold: np.ndarray | None = None
) -> str:
    """Returns labels in doubt as CSV, in their order.

    Columns: key (of the source), label, suggested, self_confidence, probability; fold, if known.

    Args:
      issues: to write.
      classes: names in label order.
      fold: int[n], the fold of each row of the predictions.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    head = ["key", "label", "suggested", "self_confidence", "probability"]
    writer.writerow(head if fold is None else [*head, "fold"])
    for issue in issues:
        row = [parse_id(issue.id)[0], classes[issue.label], classes[issue.suggested]]
        row += [f"{issue.self_confidence:.6f}", f"{issue.probability:.6f}"]
        writer.writerow(row if fold is None else [*row, str(int(fold[issue.row]))])
    return buffer.getvalue()
