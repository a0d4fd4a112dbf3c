"""Rows of `benchmarks.accuracy`: judged alike, kept as JSON, shown as a table."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfrecords import manifest as manifests
from trainer.metrics import metrics
from trainer.metrics.metrics import Predictions

SCORES = ("macro_f1", "top1", "head", "medium", "tail")


@dataclass(frozen=True)
class Row:
    """One training, judged on the test split.

    Attributes:
      problem, recipe, seed: what was run.
      seconds: of training steps.
      pictures: seen.
      epochs: 0 where the recipe does not count them.
      macro_f1, top1, head, medium, tail: fractions; None where the split has no such class.
    """

    problem: str
    recipe: str
    seed: int
    seconds: float
    pictures: int
    epochs: int
    macro_f1: float
    top1: float
    head: float | None
    medium: float | None
    tail: float | None


def judge_logits(output: Path, arrays: Path, problem: str, recipe: str, seed: int) -> Row:
    """Returns the row of a peer that left logits.npy and result.json."""
    took = json.loads((output / "result.json").read_text())
    with np.load(arrays) as stored:
        predictions = Predictions(
            tuple(stored["test_ids"]), stored["test_labels"], np.load(output / "logits.npy")
        )
        evaluation = metrics.evaluate(predictions, tuple(stored["train_originals"]))
    scores = {name: getattr(evaluation, name) for name in SCORES}
    return Row(problem, recipe, seed, took["seconds"], took["pictures"], 0, **scores)


def judge_run(result: Path, run_dir: Path, problem: str, recipe: str, seed: int) -> Row:
    """Returns the row of a run of `trainer.train` that `trainer.evaluate` has judged.

    Args:
      result: the latter's evaluation.json.
      run_dir: of the run.
      problem, recipe, seed: what it is.
    """
    scores = json.loads(result.read_text())["metrics"]
    seconds = epoch_seconds(run_dir)
    pictures = train_records(Path(json.loads(result.read_text())["data_dir"])) * len(seconds)
    chosen = {name: scores[name] for name in SCORES}
    return Row(problem, recipe, seed, round(sum(seconds), 1), pictures, len(seconds), **chosen)


def train_records(data_dir: Path) -> int:
    """Returns the records of a bake's train split, copies too."""
    return manifests.load(data_dir).split("train").records


def epoch_seconds(run_dir: Path) -> list[float]:
    """Returns the seconds of each epoch of a run."""
    with open(run_dir / "metrics.csv", newline="") as file:
        return [float(row["seconds"]) for row in csv.DictReader(file)]


def read(path: Path) -> list[Row]:
    """Returns the rows of an earlier, perhaps interrupted, matrix."""
    if not path.exists():
        return []
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]


def markdown(rows: Sequence[Row]) -> str:
    """Returns a table: the mean over seeds of each recipe, and how far seeds lie apart."""
    lines = [
        "| data set | recipe | macro-F1 | top-1 | head / medium / tail | pictures | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for problem, recipe in dict.fromkeys((row.problem, row.recipe) for row in rows):
        same = [row for row in rows if (row.problem, row.recipe) == (problem, recipe)]
        groups = " / ".join(_mean_of(same, name, "{:.2f}") for name in ("head", "medium", "tail"))
        cells = [
            problem,
            recipe,
            _with_spread(same, "macro_f1"),
            _with_spread(same, "top1"),
            groups,
            _mean_of(same, "pictures", "{:,.0f}"),
            _mean_of(same, "seconds", "{:.0f}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict(rows: Sequence[Row]) -> str:
    """Returns, for each data set, how much of each peer's error our default recipe removes."""
    lines = []
    for problem in dict.fromkeys(row.problem for row in rows):
        for peer in ("story", "torch"):
            for score in ("macro_f1", "top1"):
                ours = _values(rows, problem, "default", score)
                theirs = _values(rows, problem, peer, score)
                if ours and theirs:
                    gone = 1 - (1 - np.mean(ours)) / (1 - np.mean(theirs))
                    lines.append(f"{problem}, {score}: {gone:+.0%} of the error of {peer} gone")
    return "\n".join(lines)


def _values(rows: Sequence[Row], problem: str, recipe: str, score: str) -> list[float]:
    return [getattr(r, score) for r in rows if (r.problem, r.recipe) == (problem, recipe)]


def _with_spread(rows: Sequence[Row], name: str) -> str:
    values = [getattr(row, name) for row in rows]
    text = f"{np.mean(values):.3f}"
    return text if len(values) < 2 else f"{text} ({min(values):.3f} to {max(values):.3f})"


def _mean_of(rows: Sequence[Row], name: str, form: str) -> str:
    values = [value for row in rows if (value := getattr(row, name)) is not None]
    return form.format(np.mean(values)) if values else "–"
