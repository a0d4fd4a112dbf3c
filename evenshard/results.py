"""What a run says of pictures, and what that is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from evenshard import notebook

_MOST_ROWS = 20


@dataclass(frozen=True, eq=False, repr=False)
class RunPrediction:
    """The classes of pictures.

    Attributes:
      ids: of the pictures, in the order of the input.
      classes: the likeliest class of each; None where it could not be read.
      probabilities: float32[n, len(class_names)]; NaN where it could not be read.
      class_names: in the order of the columns of `probabilities`.
      rejects: id → why it could not be read.
    """

    ids: tuple[str, ...]
    classes: tuple[str | None, ...]
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    rejects: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.ids)

    def table(self) -> pa.Table:
        """Returns the columns id, class and probability; `to_pandas()` gives a data frame."""
        likeliest = pa.array(self.probabilities.max(axis=1), pa.float32(), from_pandas=True)
        return pa.table(
            {"id": self.ids, "class": pa.array(self.classes, pa.string()), "probability": likeliest}
        )

    def __repr__(self) -> str:
        return f"<RunPrediction: {self._summary()}>"

    def _repr_html_(self) -> str:
        rows = self.table().slice(0, _MOST_ROWS).to_pylist()
        more = len(self) - len(rows)
        below = notebook.heading("", f"and {more:,} more") if more else ""
        head = ("id", "class", "probability")
        top = notebook.heading("Predictions:", self._summary())
        return top + notebook.table(head, (tuple(row.values()) for row in rows)) + below

    def _summary(self) -> str:
        most = Counter(name for name in self.classes if name is not None).most_common(3)
        often = ", ".join(f"{name} ({count:,})" for name, count in most)
        unread = f"; {len(self.rejects):,} could not be read" if self.rejects else ""
        return f"{len(self):,} pictures, most often {often}{unread}"


@dataclass(frozen=True, eq=False, repr=False)
class RunEvaluation:
    """What a network is worth on a split.

    Attributes:
      split: its name.
      metrics: macro_f1, top1, balanced_accuracy, loss, …, as in evaluation.json; None where the
        split cannot tell. `loss` is that of the probabilities, `loss_uncalibrated` that of the
        logits without the temperature.
      per_class: class, precision, recall, f1 and support.
      pictures: number of pictures evaluated.
      leaks: how many of them resemble what the run was trained on, where that was allowed.
      left_out: pictures of classes that the network does not know.
      report: path of the page with figures and mistakes.
    """

    split: str
    metrics: Mapping[str, float | None]
    per_class: pa.Table
    pictures: int
    leaks: int
    left_out: int
    report: Path

    def __repr__(self) -> str:
        return f"<RunEvaluation: {self._summary()}>"

    def _repr_html_(self) -> str:
        top = notebook.heading(f"Evaluation on {self.split}:", self._summary())
        head = tuple(self.per_class.column_names)
        rows = (tuple(row.values()) for row in self.per_class.to_pylist())
        return (
            top
            + notebook.table(("metric", "value"), self.metrics.items())
            + notebook.table(head, rows)
        )

    def _summary(self) -> str:
        shown = ", ".join(
            f"{name} {self.metrics[name]:.4f}" for name in ("macro_f1", "top1", "balanced_accuracy")
        )
        supports = self.per_class.column("support").to_pylist()
        judged = sum(support > 0 for support in supports)
        means = f" over {judged:,} of {len(supports):,} classes" if judged < len(supports) else ""
        beware = f"; warning: {self.leaks:,} resemble training pictures" if self.leaks else ""
        unknown = f"; {self.left_out:,} of unknown classes left out" if self.left_out else ""
        return f"{self.pictures:,} pictures, {shown}{means}{beware}{unknown}"
