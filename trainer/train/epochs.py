"""What an epoch came to: its row of metrics.csv, its line on the screen, and which is best."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.config import TrainConfig
from trainer.metrics.metrics import Evaluation
from trainer.runs.directory import Row
from trainer.runs.history import less_is_better
from trainer.train import step as steps
from trainer.train.meter import Meter

# A run whose input takes more of its time than this is told what would help.
INPUT_BOUND = 0.1

# Augmentations whose resampling takes longer than decoding; see `trainer.data.augment`.
_SLOW_AUGMENTATIONS = ("rotate", "randaugment")


def row(
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
        **steps.train_metrics(meter.tally),
        "val_loss": evaluation.loss,
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
        "val_temperature": evaluation.temperature,
        "seconds": round(meter.seconds, 2),
    }


def summary(row: Row, config: TrainConfig) -> str:
    """Returns an epoch's line on the screen, with advice where the input holds it up."""
    text = (
        f"loss {row['loss']:.3f}  top-1 {row['top1']:.1%}  |  validation: loss "
        f"{row['val_loss']:.3f}  top-1 {row['val_top1']:.1%}  macro-F1 {row['val_macro_f1']:.3f}"
        f"  |  {row['images_per_second']:,.0f} img/s  input-bound {row['input_wait']:.0%}"
    )
    if row["input_wait"] > INPUT_BOUND:
        text += f" (the input holds the device up: {input_advice(config)})"
    return text


def input_advice(config: TrainConfig) -> str:
    """Returns what would make the input of a run faster: the cheapest thing not yet done."""
    if config.cache != "decoded":
        return "--cache=decoded keeps the pixels in memory, a bake at the trained size decodes less"
    slow = [name for name in _SLOW_AUGMENTATIONS if name in config.augmentations]
    if slow:
        return f"--augment without {' and '.join(slow)} costs half"
    if config.augmentations:
        return "fewer --augment, or more CPU cores"
    return "more CPU cores, or --steps_per_execution=8"


def best_epoch(history: Sequence[Row], monitor: str) -> int | None:
    """Returns the number, from 1, of the epoch with the best `monitor`, the first of equals."""
    values = [row[monitor] for row in history]
    if not values:
        return None
    return values.index(min(values) if less_is_better(monitor) else max(values)) + 1


def stopped_early(history: Sequence[Row], config: TrainConfig) -> bool:
    """Returns whether --early_stopping epochs have gone by without a better --monitor."""
    best = best_epoch(history, config.monitor)
    patience = config.early_stopping
    return bool(patience and best is not None and len(history) - best >= patience)
