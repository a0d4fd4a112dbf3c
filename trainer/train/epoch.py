"""One epoch: its running totals, its row of metrics.csv, and the choice of the best epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.config import TrainConfig
from trainer.metrics.metrics import Evaluation
from trainer.runs.directory import Row
from trainer.train.progress import INPUT_BOUND
from trainer.train.step import Tally, add_tallies, train_metrics

# Augmentations whose resampling takes longer than decoding; see `trainer.data.augment`.
_SLOW_AUGMENTATIONS = ("rotate", "randaugment")


@dataclass
class Meter:
    """The totals of an epoch so far; a checkpoint holds them, so that a resumed epoch is whole.

    Attributes:
      tally: the sum over its steps.
      pictures: trained on.
      seconds: spent on them.
      timed_pictures, timed_seconds: without the first step of each process, which compiles.
      waited: seconds of `timed_seconds` spent waiting for input.
    """

    tally: Tally
    pictures: int = 0
    seconds: float = 0.0
    timed_pictures: int = 0
    timed_seconds: float = 0.0
    waited: float = 0.0

    def add(self, tallies: Sequence[Tally], *, timed: bool) -> int:
        """Adds the steps of an execution and returns their number of pictures."""
        pictures = round(sum(float(np.sum(tally.actual)) for tally in tallies))
        for tally in tallies:
            self.tally = add_tallies(self.tally, tally)
        self.pictures += pictures
        if timed:
            self.timed_pictures += pictures
        return pictures

    def spend(self, waited: float, seconds: float, *, timed: bool) -> None:
        """Adds time: `seconds` of it in all, `waited` of them for input."""
        self.seconds += seconds
        if timed:
            self.timed_seconds += seconds
            self.waited += waited

    @property
    def rate(self) -> float:
        """Pictures a second."""
        if not self.timed_seconds:
            return self.pictures / max(1e-9, self.seconds)
        return self.timed_pictures / self.timed_seconds

    @property
    def input_wait(self) -> float:
        """Fraction of the time spent waiting for input."""
        return self.waited / self.timed_seconds if self.timed_seconds else 0.0

    def counters(self) -> dict[str, float]:
        """Returns everything but the tally, for a checkpoint."""
        return {k: v for k, v in vars(self).items() if k != "tally"}


def metrics_row(
    epoch: int, step: int, meter: Meter, evaluation: Evaluation, learning_rate: float
) -> dict[str, float | int | None]:
    """Returns an epoch's row of metrics.csv.

    Args:
      epoch: 1 for the first.
      step: optimizer steps done.
      meter: of the epoch's training.
      evaluation: on validation.
      learning_rate: of the next step.
    """
    return {
        "epoch": epoch,
        "step": step,
        **train_metrics(meter.tally),
        "val_loss": evaluation.loss_uncalibrated,
        "val_top1": evaluation.top1,
        "val_macro_f1": evaluation.macro_f1,
        "val_balanced_accuracy": evaluation.balanced_accuracy,
        "learning_rate": learning_rate,
        "images_per_second": round(meter.rate, 1),
        "input_wait": round(meter.input_wait, 4),
        "val_head": evaluation.head,
        "val_medium": evaluation.medium,
        "val_tail": evaluation.tail,
        "val_ece": evaluation.ece,
        "val_ece_calibrated": evaluation.ece_calibrated,
        "val_temperature": None if evaluation.temperature_note else evaluation.temperature,
        "seconds": round(meter.seconds, 2),
    }


def summary(row: Row, config: TrainConfig) -> str:
    """Returns the line shown at the end of an epoch, with advice where input is the bottleneck."""
    text = (
        f"loss {row['loss']:.3f}  top-1 {row['top1']:.1%}  |  validation: loss "
        f"{row['val_loss']:.3f}  top-1 {row['val_top1']:.1%}  macro-F1 {row['val_macro_f1']:.3f}"
        f"  |  {row['images_per_second']:,.0f} img/s  input-bound {row['input_wait']:.0%}"
    )
    if row["input_wait"] > INPUT_BOUND:
        text += f" (the device waits for input: {input_advice(config)})"
    return text


def input_advice(config: TrainConfig) -> str:
    """Returns the cheapest change, not made yet, that would speed up a run's input."""
    if config.cache != "decoded":
        return "--cache=decoded keeps the pixels in memory, a bake at the trained size decodes less"
    slow = [name for name in _SLOW_AUGMENTATIONS if name in config.augmentations]
    if slow:
        return f"--augment without {' and '.join(slow)} costs half"
    if config.augmentations:
        return "fewer --augment, or more CPU cores"
    return "more CPU cores, or --steps_per_execution=8"
