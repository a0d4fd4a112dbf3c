"""The classes of a run as its tables show them, and per_class.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfrecords.system import atomic
from trainer.metrics import metrics
from trainer.metrics.metrics import Evaluation


@dataclass(frozen=True)
class ClassRow:
    """A class as the table shows it.

    Attributes:
      label: its index.
      name: of the class.
      group: head, medium or tail.
      train_count: training pictures without copies.
      result: precision, recall, F1 and support.
      mistaken_for: the class that its pictures are most often mistaken for, if any.
      mistaken: how many of them are.
    """

    label: int
    name: str
    group: str
    train_count: int
    result: metrics.ClassResult
    mistaken_for: str | None
    mistaken: int


def class_rows(
    evaluation: Evaluation, classes: Sequence[str], train_counts: Sequence[int]
) -> list[ClassRow]:
    """Returns a row for each class, in label order."""
    rows = []
    for label, name in enumerate(classes):
        others = evaluation.confusion[label].copy()
        others[label] = 0
        most = int(others.argmax())
        rows.append(
            ClassRow(
                label=label,
                name=name,
                group=metrics.class_group(train_counts[label]),
                train_count=int(train_counts[label]),
                result=evaluation.per_class[label],
                mistaken_for=classes[most] if others[most] else None,
                mistaken=int(others[most]),
            )
        )
    return rows


def write_per_class(
    path: Path, evaluation: Evaluation, classes: Sequence[str], train_counts: Sequence[int]
) -> None:
    """Writes a row for each class, in label order; unknown numbers are empty cells."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        "label class group train_count support precision recall f1 mistaken_for mistaken".split()
    )
    for row in class_rows(evaluation, classes, train_counts):
        result = row.result
        scores = ("" if v is None else f"{v:.6f}" for v in _scores(result))
        writer.writerow(
            [row.label, row.name, row.group, row.train_count, result.support, *scores]
            + [row.mistaken_for or "", row.mistaken]
        )
    atomic.write_file(path, buffer.getvalue().encode())


def _scores(result: metrics.ClassResult) -> tuple[float | None, ...]:
    return result.precision, result.recall, result.f1
