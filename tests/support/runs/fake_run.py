"""Runs without training: a data set of small pictures, a history and made-up predictions."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.support.datasets import fakes
from tests.support.runs import run_configs
from tfrecords.schema import ImageSpec, record_id
from tfrecords.sharding import stable_hash
from trainer.config import TrainConfig
from trainer.metrics.metrics import Predictions

if TYPE_CHECKING:
    from trainer.report.page import RunFiles

COLUMNS = (
    "epoch step loss top1 macro_f1 val_loss val_top1 val_macro_f1 val_balanced_accuracy "
    "learning_rate images_per_second input_wait"
).split()


def predictions(
    per_class: Sequence[int], seed: int = 0, names: Sequence[str] | None = None, skill: float = 2.0
) -> Predictions:
    """Returns predictions of `per_class[i]` pictures of class i, right more often than not.

    Their ids are those of the validation split that `fakes.write_dataset` writes.
    """
    classes = len(per_class)
    rng = np.random.default_rng(stable_hash("predictions", seed))
    labels = np.repeat(np.arange(classes), per_class)
    logits = rng.normal(size=(len(labels), classes)).astype(np.float32)
    logits[np.arange(len(labels)), labels] += skill
    names = names or class_names(classes)
    ids = [
        record_id(f"{names[label]}/validation{index:03d}.png", 0)
        for label, count in enumerate(per_class)
        for index in range(count)
    ]
    return Predictions(tuple(ids), labels, logits)


def class_names(classes: int) -> list[str]:
    """Returns the names that `fakes.write_dataset` gives."""
    return [fakes.CLASSES[i] if i < 3 else f"class{i:02d}" for i in range(classes)]


def write_history(path: Path, epochs: int, columns: Sequence[str] = COLUMNS) -> Path:
    """Writes a metrics.csv whose validation scores peak one epoch before the last."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for epoch in range(1, epochs + 1):
            progress = min(epoch, max(epochs - 1, 1)) / (epochs + 1)
            dip = 0.01 * (epoch == epochs and epochs > 1)
            row = {name: progress - dip for name in columns}
            row |= {"epoch": epoch, "step": 10 * epoch, "val_loss": 2 - progress + dip}
            writer.writerow([row[name] for name in columns])
    return path


def files(
    root: Path,
    validation: Sequence[int] = (4, 3, 2),
    epochs: int = 3,
    names: Sequence[str] | None = None,
    train_counts: Sequence[int] | None = None,
) -> RunFiles:
    """Writes a data set and a history below `root` and returns a run of them."""
    # Here, for most who make up predictions draw no report of them.
    from trainer.report.page import RunFiles
    from trainer.report.settings import settings_of

    classes = len(validation)
    data_dir, run_dir = root / "data", root / "run"
    manifest = fakes.write_dataset(
        data_dir,
        {"train": [2] * classes, "validation": list(validation)},
        ImageSpec(12, 12, encoding="png"),  # type: ignore[arg-type]  # A name is converted.
    )
    run_dir.mkdir(parents=True)
    flags = TrainConfig(data_dir=str(data_dir), run_dir=str(run_dir), epochs=max(1, epochs))
    return RunFiles(
        run_dir=run_dir,
        data_dir=data_dir,
        classes=tuple(names or manifest.classes),
        train_counts=tuple(train_counts or [3 + 40 * i for i in range(classes)]),
        history=write_history(run_dir / "metrics.csv", epochs),
        predictions=predictions(validation),
        flags=flags,
        settings=settings_of(run_configs.describe(flags, manifest)),
    )
