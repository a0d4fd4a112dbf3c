"""The run directory: config.json, metrics.csv, tensorboard/, checkpoints/, model.keras."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
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
from trainer.data.selection import Selection
from trainer.devices import Devices
from trainer.runs import config_file, tensorboard
from trainer.runs.checkpoints import Store
from trainer.runs.config_file import CONFIG, stored_config

METRICS = "metrics.csv"
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
      fingerprint: of the configuration.
      store: its checkpoints.
    """

    path: Path
    fingerprint: str
    store: Store

    def write_metrics(self, history: Sequence[Row]) -> None:
        """Writes metrics.csv, one row an epoch; empty cells where a number is unknown."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        with _explained(self.path / METRICS):
            atomic.write_text(self.path / METRICS, text.getvalue())

    def write_history(self, history: Sequence[Row]) -> None:
        """Writes metrics.csv and tensorboard/ anew; a resumed run may repeat an epoch."""
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


def claim(
    config: TrainConfig, manifest: Manifest, devices: Devices, selection: Selection,
    size: tuple[int, int],
) -> RunDir:  # fmt: skip
    """Returns the run's directory, made and described by config.json.

    Raises:
      UsageError: it holds a run of another configuration; the text shows the difference.
      TrainerError: it cannot be written.
    """
    path = Path(config.run_dir)
    wanted = config_file.of(config, manifest.digest)
    described = {
        "flags": config.to_dict(),
        "dataset": {"name": manifest.name, "digest": manifest.digest},
        "selection": dataclasses.asdict(selection),
        "size": size,
        "device": {
            "kind": devices.kind,
            "names": devices.names,
            "precision": devices.precision,
            "deterministic": devices.deterministic,
        },
        "versions": _versions(),
        "manifest": json.loads(manifest.to_json()),
    }
    store = Store(path / "checkpoints", config.keep_checkpoints)
    if not config.resume:
        store.clear()
    else:
        _refuse_another(path, wanted)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot make run directory {path}: {error.strerror}") from error
    with _explained(path / CONFIG):
        atomic.write_text(path / CONFIG, json.dumps(described, indent=2, ensure_ascii=False))
    return RunDir(path, _digest(wanted), store)


def locked(run_dir: str | Path) -> AbstractContextManager[None]:
    """Holds a run directory against a second process; raises as `locks.locked`."""
    return locks.locked(
        Path(run_dir) / LOCK,
        taken=f"another process trains in {run_dir}",
        advice="wait for it, or give another --run_dir",
    )


def _refuse_another(path: Path, wanted: Mapping[str, Any]) -> None:
    stored = stored_config(path)
    if stored is None:
        return
    changes = config_file.changes(stored, wanted)
    if changes:
        raise UsageError(
            f"{path} holds a run of another configuration ({'; '.join(changes)}): give another "
            "--run_dir, the same flags to resume, or --noresume to start anew"
        )


def _digest(wanted: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def _versions() -> dict[str, str]:
    try:
        own = metadata.version("evenshard")
    except metadata.PackageNotFoundError:
        own = "unknown"
    return {
        "evenshard": own,
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
    try:
        yield
    except OSError as error:
        raise TrainerError(f"cannot write {path}: {error.strerror or error}") from error
