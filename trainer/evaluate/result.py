"""The results of an evaluation, and the lines that tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.metrics import metrics
from trainer.metrics.metrics import Evaluation, Predictions
from trainer.runs.overlap import Leak


@dataclass(frozen=True, eq=False)
class Result:
    """The results of an evaluation.

    Attributes:
      evaluation: the metrics.
      predictions: one row a picture.
      temperature_split: on which the temperature was fitted; empty where none could be.
      validation: what the run found on its own validation split with these weights, as a row of
        metrics.csv; empty where it did not validate them, and of several runs.
      leaks: pictures that a run had been trained on, with --allow_leaks.
      left_out: pictures of the split whose class the network does not know.
      page: path of the report.
      run_dirs: of the runs.
    """

    evaluation: Evaluation
    predictions: Predictions
    temperature_split: str
    leaks: tuple[Leak, ...]
    left_out: int
    page: Path
    validation: Mapping[str, Any] = field(default_factory=dict)
    run_dirs: tuple[str, ...] = ()


def describe(result: Result) -> str:
    """Returns the lines that end the command's output."""
    evaluation = result.evaluation
    groups = ", ".join(
        f"{group} {value:.4f}"
        for group in metrics.GROUPS
        if (value := getattr(evaluation, group)) is not None
    )
    lines = [
        f"{len(result.predictions.ids):,} pictures: macro-F1 "
        f"{evaluation.macro_f1:.4f}{evaluation.coverage}, "
        f"top-1 {evaluation.top1:.4f}, balanced accuracy {evaluation.balanced_accuracy:.4f}, "
        f"loss {evaluation.loss:.4f}{_without_temperature(evaluation)}",
        f"mean recall by class size: {groups}",
        _calibration(result),
    ]
    if len(result.run_dirs) > 1:
        runs = ", ".join(result.run_dirs)
        lines.insert(0, f"mean probabilities of {len(result.run_dirs):,} runs: {runs}")
    if result.validation:
        lines.insert(1, _own_validation(result))
    if result.left_out:
        lines.append(
            f"left out: {result.left_out:,} pictures of classes that the network does not know"
        )
    if result.leaks:
        lines.append(
            f"warning: {len(result.leaks):,} of them are, or resemble, pictures that "
            f"{'a' if len(result.run_dirs) > 1 else 'the'} run was trained on"
        )
    return "\n".join([*lines, f"report: {result.page}"])


def _without_temperature(evaluation: Evaluation) -> str:
    """Returns what follows the loss; empty where no temperature divides the logits."""
    if evaluation.temperature_note:
        return ""
    return f" (without the temperature {evaluation.loss_uncalibrated:.4f})"


def _own_validation(result: Result) -> str:
    """Returns the run's own numbers on validation, to hold those of the evaluation against."""
    row = result.validation
    of_logits = "" if result.evaluation.temperature_note else " without the temperature"
    return (
        f"its own validation, at epoch {row['epoch']}: macro-F1 {row['val_macro_f1']:.4f}, "
        f"top-1 {row['val_top1']:.4f}, balanced accuracy {row['val_balanced_accuracy']:.4f}, "
        f"loss {row['val_loss']:.4f}{of_logits}"
    )


def _calibration(result: Result) -> str:
    evaluation = result.evaluation
    if evaluation.temperature_note:
        return (
            f"calibration error {evaluation.ece:.4f}, without a fitted temperature: "
            f"{evaluation.temperature_note}"
        )
    return (
        f"calibration error {evaluation.ece:.4f}, {evaluation.ece_calibrated:.4f} at temperature "
        f"{evaluation.temperature:.3f} (fitted on {result.temperature_split})"
    )
