"""The run directory: config.json, metrics.csv, tensorboard/, checkpoints/, model.keras."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfrecords.system import atomic, disk, locks
from trainer.runs import replaced, tensorboard
from trainer.runs.checkpoints import Checkpoint, Store
from trainer.runs.config_file import RunConfig
from trainer.runs.history import METRICS

MODEL = "model.keras"
LOCK = ".lock"
_EVENTS = "tensorboard"
_CONFUSION = "confusion.png"  # Of the report.

COLUMNS = (
    "epoch", "step", "loss", "top1", "macro_f1", "val_loss", "val_top1", "val_macro_f1",
    "val_balanced_accuracy", "learning_rate", "images_per_second", "input_wait",
    "val_head", "val_medium", "val_tail", "val_ece", "val_ece_calibrated", "val_temperature",
    "seconds",
)  # fmt: skip

# Names of metrics in Keras, where they differ from ours.
_KERAS_NAMES = {"top1": "accuracy"}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class RunDir:
    """A directory of results that belongs to one configuration.

    Attributes:
      path: of the directory.
      config: its config.json.
      store: its checkpoints.
    """

    path: Path
    config: RunConfig
    store: Store

    @property
    def fingerprint(self) -> str:
        """Identifies the configuration; checkpoints carry it."""
        return self.config.fingerprint

    @property
    def resumes(self) -> bool:
        """Whether there is something to resume, and --resume asks for it."""
        return self.config.flags.resume and replaced.was_trained(self.path)

    @property
    def replaces(self) -> Path | None:
        """The directory of the run that --noresume replaces, until the first checkpoint."""
        return replaced.kept(self.path)

    def save(self, checkpoint: Checkpoint) -> None:
        """Saves a checkpoint; the run that was moved aside for this one is then deleted.

        Raises:
          TrainerError: it cannot be written.
        """
        self.store.save(checkpoint)
        replaced.forget(self.path)

    def write_metrics(self, history: Sequence[Row]) -> None:
        """Writes metrics.csv, one row an epoch; empty cells where a number is unknown."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        with disk.explained(self.path / METRICS):
            atomic.write_text(self.path / METRICS, text.getvalue())

    def write_history(self, history: Sequence[Row]) -> None:
        """Writes metrics.csv and tensorboard/ anew: a resumed run may repeat an epoch."""
        self.write_metrics(history)
        with self._events() as events:
            tensorboard.restart(events, [_epoch(row) for row in history], _flags(self.config))

    def add_epoch(self, history: Sequence[Row]) -> None:
        """Adds the last row of `history` to metrics.csv and tensorboard/."""
        self.write_metrics(history)
        with self._events() as events:
            tensorboard.append(events, len(history) - 1, _epoch(history[-1]))

    def show_samples(self, images: tf.Tensor, epoch: int) -> None:
        """Adds training pictures to tensorboard/.

        Args:
          images: uint8[B, H, W, 3], or [steps, B, H, W, 3] of stacked batches.
          epoch: that they are of, from 0.
        """
        if not isinstance(images, tf.Tensor):  # Those of several devices are none.
            return
        first = images[0] if images.ndim == 5 else images  # With --steps_per_execution.
        with self._events() as events:
            tensorboard.add_samples(events, first[: tensorboard.SHEET].numpy(), epoch)

    def show_report(self, best_epoch: int) -> None:
        """Adds the report's confusion matrix, of epoch `best_epoch` from 1, to tensorboard/."""
        with self._events() as events:
            confusion = self.path / _CONFUSION
            tensorboard.finish(events, confusion.read_bytes(), best_epoch - 1)

    @contextmanager
    def _events(self) -> Iterator[Path]:
        path = self.path / _EVENTS
        with disk.explained(path):
            yield path

    def write_model(self, model: keras.Model) -> Path:
        """Writes model.keras, whole or not at all."""
        path = self.path / MODEL
        with disk.explained(path), atomic.temporary_path(path) as temporary:
            model.save(temporary)
        return path


def refuse_held(run_dir: str | Path) -> None:
    """Refuses a directory that another process trains in, before any work is done.

    Raises:
      LockedError: another process trains there.
    """
    if locks.is_locked(Path(run_dir) / LOCK):
        with locked(run_dir):
            pass


def locked(run_dir: str | Path) -> AbstractContextManager[None]:
    """Holds a run directory against a second process; raises as `locks.locked`."""
    return locks.locked(
        Path(run_dir) / LOCK,
        taken=f"another process trains in {run_dir}",
        advice="wait for it, or give another --run_dir",
    )


def _epoch(row: Row) -> tensorboard.Epoch:
    """Returns the numbers of a row under the tags that Keras gives them."""
    known = {name: row[name] for name in COLUMNS[2:] if row.get(name) is not None}
    return tensorboard.Epoch(
        train={_tag(name): value for name, value in known.items() if not _of_validation(name)},
        validation={_tag(name): value for name, value in known.items() if _of_validation(name)},
        seconds=row["seconds"],
    )


def _of_validation(name: str) -> bool:
    return name.startswith("val_")


def _tag(name: str) -> str:
    plain = name.removeprefix("val_")
    return f"epoch_{_KERAS_NAMES.get(plain, plain)}"


def _flags(config: RunConfig) -> dict[str, Any]:
    """Returns the flags that make two runs differ, for TensorBoard: numbers, text, bools."""
    flags = {
        **config.identity,
        "dataset": config.dataset.name,
        "batch_size": config.flags.fixed_batch_size,
        "learning_rate": config.flags.peak_learning_rate,
    }
    return {
        name: ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        for name, value in flags.items()
        if value not in (None, "", [], ())
    }
