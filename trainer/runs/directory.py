"""The run directory: config.json, metrics.csv, tensorboard/, checkpoints/, model.keras."""

from __future__ import annotations

import csv
import io
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfrecords.errors import TrainerError, UsageError
from tfrecords.manifest import Manifest
from tfrecords.system import atomic, locks
from trainer.config import TrainConfig
from trainer.data.selection import Source
from trainer.devices import Devices
from trainer.runs import config_file, tensorboard
from trainer.runs.checkpoints import Store
from trainer.runs.config_file import CONFIG, DatasetIdentity, DeviceSummary, RunConfig
from trainer.runs.history import METRICS

MODEL = "model.keras"
LOCK = ".lock"

COLUMNS = (
    "epoch", "step", "loss", "top1", "macro_f1", "val_loss", "val_top1", "val_macro_f1",
    "val_balanced_accuracy", "learning_rate", "images_per_second", "input_wait",
    "val_head", "val_medium", "val_tail", "val_ece", "val_ece_calibrated", "val_temperature",
    "seconds",
)  # fmt: skip

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

    def write_metrics(self, history: Sequence[Row]) -> None:
        """Writes metrics.csv, one row an epoch; empty cells where a number is unknown."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        with _explained(self.path / METRICS):
            atomic.write_text(self.path / METRICS, text.getvalue())

    def write_history(self, history: Sequence[Row]) -> None:
        """Writes metrics.csv and tensorboard/ anew: a resumed run may repeat an epoch."""
        self.write_metrics(history)
        with _explained(self.path / "tensorboard"):
            tensorboard.restart(
                self.path / "tensorboard",
                [_event(history[: number + 1]) for number in range(len(history))],
            )

    def add_epoch(self, history: Sequence[Row]) -> None:
        """Adds the last row of `history` to metrics.csv and tensorboard/."""
        self.write_metrics(history)
        with _explained(self.path / "tensorboard"):
            tensorboard.append(self.path / "tensorboard", *_event(history))

    def write_model(self, model: keras.Model) -> Path:
        """Writes model.keras, whole or not at all."""
        path = self.path / MODEL
        with _explained(path), atomic.temporary_path(path) as temporary:
            model.save(temporary)
        return path


def describe(config: TrainConfig, manifest: Manifest, train: Source, devices: Devices) -> RunConfig:
    """Returns the config.json of a run.

    Args:
      config: with --batch_size resolved.
      manifest: of the data set.
      train: the records to train on.
      devices: to compute on.
    """
    return RunConfig(
        flags=config,
        dataset=DatasetIdentity(manifest.name, manifest.digest),
        selection=train.selection,
        size=train.size,
        manifest=manifest,
        device=DeviceSummary(devices.kind, devices.names, devices.precision, devices.deterministic),
        versions=_versions(),
    )


def claim(described: RunConfig) -> RunDir:
    """Returns the directory of a run, made if absent, with its config.json written.

    Raises:
      UsageError: it holds a run of another configuration; the text shows the difference.
      TrainerError: it cannot be written.
    """
    path = Path(described.flags.run_dir)
    store = Store(path / "checkpoints", described.flags.keep_checkpoints)
    if described.flags.resume:
        _refuse_another(path, described)
    else:
        store.clear()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot make run directory {path}: {error.strerror}") from error
    with _explained(path / CONFIG):
        atomic.write_text(path / CONFIG, described.to_json())
    return RunDir(path, described, store)


def locked(run_dir: str | Path) -> AbstractContextManager[None]:
    """Holds a run directory against a second process; raises as `locks.locked`."""
    return locks.locked(
        Path(run_dir) / LOCK,
        taken=f"another process trains in {run_dir}",
        advice="wait for it, or give another --run_dir",
    )


def _refuse_another(path: Path, described: RunConfig) -> None:
    stored = RunConfig.read_if_present(path)
    if stored is None:
        return
    changes = config_file.differences(stored, described.flags, described.dataset.digest)
    if changes:
        raise UsageError(
            f"{path} holds a run of another configuration ({'; '.join(changes)}): give another "
            "--run_dir, the same flags to resume, or --noresume to start anew"
        )


def _versions() -> dict[str, str]:
    try:
        ours = metadata.version("evenshard")
    except metadata.PackageNotFoundError:
        ours = "unknown"
    return {
        "evenshard": ours,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
    }


def _event(history: Sequence[Row]) -> tuple[dict[str, float], int, float]:
    """Returns (tag → value, step, seconds since the start) of the last row."""
    row = history[-1]
    scalars = {_tag(name): row[name] for name in COLUMNS[2:] if row.get(name) is not None}
    return scalars, row["step"], sum(row["seconds"] for row in history)


def _tag(name: str) -> str:
    return f"validation/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Translates an OSError while `path` is written."""
    try:
        yield
    except OSError as error:
        raise TrainerError(f"cannot write {path}: {error.strerror or error}") from error
