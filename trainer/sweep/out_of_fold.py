"""Out-of-fold predictions: each training picture's by the run that did not train on it.

<runs_dir>/folds.csv                          a line a configuration: mean and spread over folds
<runs_dir>/out_of_fold/<group>.parquet        key, label, fold, predicted, probabilities
<runs_dir>/out_of_fold/<group>.label_issues.csv  labels that are probably wrong
"""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrecords.errors import TrainerError
from tfrecords.manifest import Manifest
from tfrecords.schema import VALIDATION, parse_id
from tfrecords.system import atomic
from trainer.metrics import label_issues, metrics, predictions
from trainer.metrics.label_issues import LabelIssue
from trainer.metrics.metrics import Predictions
from trainer.metrics.predictions import PredictionsError
from trainer.sweep.fold_groups import FoldGroup

FOLDER = "out_of_fold"
CSV = "folds.csv"

_METADATA = b"evenshard"


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """The predictions of a group whose folds are all done.

    Attributes:
      group: the trials.
      classes: names in label order.
      predictions: one row a picture, fold after fold.
      fold: int8[n], of each.
      issues: labels that are probably wrong, the most doubtful first.
      top1, macro_f1: over all pictures together.
    """

    group: FoldGroup
    classes: tuple[str, ...]
    predictions: Predictions
    fold: np.ndarray
    issues: tuple[LabelIssue, ...]
    top1: float
    macro_f1: float

    @classmethod
    def of(cls, group: FoldGroup, digest: str) -> OutOfFold:
        """Reads and joins the validation predictions of the trials of a complete group.

        Args:
          group: whose folds are all done.
          digest: of the data set.

        Raises:
          TrainerError: a file is absent or of something else, or the runs know other classes.
        """
        parts: list[Predictions] = []
        known: tuple[str, ...] | None = None
        for run_dir in group.run_dirs:
            path = Path(run_dir) / predictions.FILENAME
            try:
                part, classes, about = predictions.read(path)
            except (PredictionsError, OSError) as error:
                raise TrainerError(
                    f"no out-of-fold predictions of {group.name}: {error}"
                ) from error
            if about.get("dataset") != digest or about.get("split") != VALIDATION:
                raise TrainerError(f"{path} holds no validation predictions of this data set")
            if known is not None and classes != known:
                raise TrainerError(
                    f"no out-of-fold predictions of {group.name}: its runs know different classes, "
                    "as --num_classes chooses them by the pictures of each fold; name --classes"
                )
            known = classes
            parts.append(part)
        joined = Predictions(
            tuple(id_ for part in parts for id_ in part.ids),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.logits for part in parts]),
        )
        folds = [row.entry.trial.config.fold or 0 for row in group.rows]
        fold = np.repeat(np.array(folds, np.int8), [len(part.ids) for part in parts])
        counts = np.bincount(joined.labels, minlength=joined.classes)
        judged = metrics.evaluate(joined, counts.tolist())
        issues = label_issues.find(joined)
        return cls(group, known or (), joined, fold, issues, judged.top1, judged.macro_f1)

    def keys(self) -> list[str]:
        """Returns the key of each picture's file."""
        return [parse_id(id_)[0] for id_ in self.predictions.ids]

    def to_table(self, digest: str) -> pa.Table:
        """Returns the table of out-of-fold predictions, in key order."""
        probabilities = self.predictions.probabilities()
        names = pa.array(self.classes, pa.string())
        columns = {
            "key": pa.array(self.keys(), pa.string()),
            "label": names.take(pa.array(self.predictions.labels)),
            "fold": pa.array(self.fold),
            "predicted": names.take(pa.array(self.predictions.predicted)),
            "probabilities": pa.FixedSizeListArray.from_arrays(
                pa.array(probabilities.reshape(-1)), self.predictions.classes
            ),
        }
        about = {
            "classes": list(self.classes),
            "dataset": digest,
            "runs": list(self.group.run_dirs),
        }
        table = pa.table(columns).sort_by("key")
        return table.replace_schema_metadata(
            {_METADATA: json.dumps(about, ensure_ascii=False).encode()}
        )


def complete(groups: Iterable[FoldGroup], manifest: Manifest) -> tuple[list[OutOfFold], list[str]]:
    """Returns the predictions of groups that are complete, and why those of some are not there."""
    found, reasons = [], []
    for group in groups:
        if group.complete:
            try:
                found.append(OutOfFold.of(group, manifest.digest))
            except TrainerError as error:
                reasons.append(str(error))
    return found, reasons


def write(
    runs_dir: Path, groups: Sequence[FoldGroup], found: Sequence[OutOfFold], digest: str
) -> None:
    """Writes folds.csv and, of each complete group, its predictions and label issues.

    Raises:
      OSError: a file cannot be written.
    """
    if not groups:
        return
    by_group = {each.group.name: each for each in found}
    atomic.write_file(runs_dir / CSV, _folds_csv(groups, by_group).encode())
    for each in found:
        folder = runs_dir / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        with atomic.temporary_path(folder / f"{each.group.name}.parquet") as temporary:
            pq.write_table(each.to_table(digest), temporary, compression="zstd")
        issues = label_issues.to_csv(each.issues, each.classes, each.fold)
        atomic.write_file(folder / f"{each.group.name}.label_issues.csv", issues.encode())


def predict_command(group: FoldGroup) -> str:
    """Returns the command that predicts with the mean of all folds, ready to paste."""
    runs = shlex.quote(f"--run_dir={','.join(group.run_dirs)}")
    return f"evenshard predict {runs} --input=PICTURES --output=predictions.csv"


def evaluate_command(group: FoldGroup, runs_dir: str | Path) -> str:
    """Returns the command that evaluates that mean on the test split, into the sweep."""
    output = Path(runs_dir) / FOLDER / f"{group.name}.test"
    flags = (f"--run_dir={','.join(group.run_dirs)}", "--split=test", f"--output_dir={output}")
    return shlex.join(("evenshard", "evaluate", *flags))


def _folds_csv(groups: Sequence[FoldGroup], found: dict[str, OutOfFold]) -> str:
    lines: list[Sequence[str]] = [
        ("group", "folds", "of", "mean", "spread", "least", "most", "out_of_fold_top1",
         "out_of_fold_macro_f1", "label_issues"),
    ]  # fmt: skip
    for group in groups:
        whole = found.get(group.name)
        numbers = (group.mean, group.spread, min(group.scores, default=math.nan),
                   max(group.scores, default=math.nan), whole.top1 if whole else math.nan,
                   whole.macro_f1 if whole else math.nan)  # fmt: skip
        lines.append(
            (
                group.name, str(len(group.scores)), str(group.folds),
                *("" if math.isnan(number) else f"{number:.6f}" for number in numbers),
                str(len(whole.issues)) if whole else "",
            )
        )  # fmt: skip
    return _csv(lines)


def _csv(lines: Iterable[Sequence[str]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()
