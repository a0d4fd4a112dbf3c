"""The run directory: config.json, metrics.csv, tensorboard/, checkpoints/, model.keras."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfrecords.errors import EvenshardWarning, TrainerError, UsageError
from tfrecords.ledger import LedgerError
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from tfrecords.system import atomic, disk, locks
from trainer import environment
from trainer.config import TrainConfig
from trainer.data.selection import Source
from trainer.devices import Devices
from trainer.models import springfield_cnn
from trainer.recipes.flags import OWN_MODEL
from trainer.runs import config_file, inherited, locate, replaced, tensorboard, trained_on
from trainer.runs.ancestry import Extension, Fork
from trainer.runs.checkpoints import Checkpoint, Store
from trainer.runs.config_file import CONFIG, DeviceSummary, RunConfig
from trainer.runs.history import METRICS, stopped_early
from trainer.runs.inherited import Inherited

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


class UnknownPicturesWarning(EvenshardWarning):
    """The data set does not say which pictures a run is trained on."""


class MendedRunWarning(EvenshardWarning):
    """A file of a run was damaged, and is written again from the rest."""


class SurroundingsWarning(EvenshardWarning):
    """A run is resumed with other versions or environment variables than it began with."""


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
        """Adds training pictures of epoch `epoch`, from 0, to tensorboard/."""
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
        dataset=locate.identity(
            manifest.name, manifest.digest, config.data_dir, os.path.realpath(config.run_dir)
        ),
        selection=train.selection,
        size=train.size,
        manifest=manifest,
        device=DeviceSummary(devices.kind, devices.names, devices.precision, devices.deterministic),
        versions=_versions(),
        environment=environment.recorded(),
        network_version=springfield_cnn.VERSION if config.model == OWN_MODEL else 1,
    )


def of(described: RunConfig) -> RunDir:
    """Returns the directory of a run; nothing is written.

    Raises:
      UsageError, TrainerError: it holds a run that this one does not resume; as `check`.
    """
    # A link stays one: what --noresume moves aside is the directory that it leads to.
    path = Path(os.path.realpath(described.flags.run_dir))
    run_dir = RunDir(path, described, Store(path / "checkpoints", described.flags.keep_checkpoints))
    run_dir = dataclasses.replace(
        run_dir, config=dataclasses.replace(described, fork=_fork_begun(run_dir))
    )
    stored = check(run_dir)
    if stored is not None and (changes := config_file.surroundings(stored, described)):
        warnings.warn(
            f"{path} is resumed in another environment ({'; '.join(changes)}): it may end with "
            "slightly other weights than without the interruption",
            SurroundingsWarning,
            stacklevel=2,
        )
    return (
        run_dir if stored is None else dataclasses.replace(run_dir, config=_grown(run_dir, stored))
    )


def check(run_dir: RunDir) -> RunConfig | None:
    """Checks that a run may write to its directory.

    It may where nothing has been trained, with --noresume, and to resume a run of its own
    configuration, or to give one at its end more to do. A config.json that is absent or damaged
    is as good as that of the checkpoints.

    Returns:
      The configuration of the run that it resumes, if any.

    Raises:
      UsageError: it holds a run of another configuration; the text shows the difference.
      TrainerError: its config.json is damaged, and its checkpoints are of another configuration.
    """
    described, path = run_dir.config, run_dir.path
    if not run_dir.resumes:
        return None
    try:
        stored = RunConfig.read_if_present(path)
    except TrainerError as error:
        if not _is_resumable(run_dir):
            raise
        warnings.warn(f"{error}; it is written again", MendedRunWarning, stacklevel=2)
        return None
    if stored is None and not _is_resumable(run_dir):
        raise UsageError(
            f"{path} holds a run of another configuration, whose {CONFIG} is gone: give another "
            "--run_dir, the flags of that run to resume it, or --noresume to start anew"
        )
    if stored is None:
        return None
    _refuse_earlier_network(path, stored)
    changes = config_file.differences(stored, described.flags, described.dataset.digest)
    more = _extending(stored.flags, described.flags)
    changes = [text for text in changes if text.partition(" ")[0] not in more]
    if changes and stored.flags.fits_head and not described.flags.fits_head:
        # Flags of steps, such as --epochs, leave a recipe that was chosen by auto.
        raise UsageError(
            f"{path} holds a head on features that are computed once, and these flags train "
            f"{described.flags.model} by steps: to go on from the head give --recipe=finetune "
            f"--head_features={stored.flags.head_features}, for another training another --run_dir"
        )
    if changes:
        same = "the same flags"
        if stored.flags.head_features != described.flags.head_features:
            same += f" with --head_features={stored.flags.head_features}"
        raise UsageError(
            f"{path} holds a run of another configuration ({'; '.join(changes)}): give another "
            f"--run_dir, {same} to resume, or --noresume to start anew"
        )
    if more and not is_at_end(stored, run_dir.store.latest()):
        raise UsageError(
            f"{', '.join(more)}: the run in {path} has not come to the end of its "
            f"{stored.flags.epochs} epochs; only then may it be given more"
        )
    return stored


def _refuse_earlier_network(path: Path, stored: RunConfig) -> None:
    """Refuses to train on what this version builds otherwise.

    Raises:
      UsageError: the run's springfield_cnn has another architecture at its size.
    """
    if stored.flags.model == OWN_MODEL and not springfield_cnn.is_current(
        stored.size, stored.network_version
    ):
        height, width = stored.size
        raise UsageError(
            f"{path} holds a run of an earlier evenshard, whose springfield_cnn for pictures of "
            f"{height}x{width} was another network: predict, evaluate and export take it as it is, "
            "but it cannot be trained on; give another --run_dir, or --noresume to start anew"
        )


@contextmanager
def claimed(run_dir: RunDir, data_dir: Folder, kept: Inherited | None = None) -> Iterator[None]:
    """Holds a run's directory while the block runs, made if absent.

    What killed runs left half written is removed, and its config.json and trained_on.parquet are
    written. With --noresume, the run that it holds is moved aside first; two locks are held then,
    that of the directory moved and that of the new one.

    Args:
      run_dir: to hold.
      data_dir: of the data set to train on.
      kept: of the run that this one begins with; None for none, and where it has begun.

    Raises:
      LockedError: another process trains there; nothing is changed.
      UsageError, TrainerError: as `check`, or it cannot be written.
    """
    path, described = run_dir.path, run_dir.config
    with ExitStack() as held:
        _make(path)
        held.enter_context(locked(path))
        check(run_dir)  # Again: another process may have trained since.
        if not described.flags.resume and replaced.was_trained(path):
            aside = replaced.move_aside(path)
            _make(path)
            held.enter_context(locked(path))
            with disk.explained(path / replaced.MARKER):
                replaced.remember(path, aside)
        for folder in (path, path / "report"):
            atomic.remove_temporary(folder)  # Of a killed run.
        _write_trained_on(run_dir, data_dir)
        _write_inherited(run_dir, kept)
        with disk.explained(path / CONFIG):
            atomic.write_text(path / CONFIG, described.to_json())
        yield


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


def _grown(run_dir: RunDir, stored: RunConfig) -> RunConfig:
    """Returns a run's configuration with what it was asked for and known as before."""
    described, flags = run_dir.config, stored.flags
    before, latest = stored.extended_from, None
    if _extending(flags, described.flags):
        latest = run_dir.store.latest()
    if latest is not None:
        before = (*before, Extension(flags.epochs, flags.early_stopping, latest.epoch))
    return dataclasses.replace(described, extended_from=before, earlier=stored.earlier)


def _extending(before: TrainConfig, now: TrainConfig) -> tuple[str, ...]:
    """Returns the flags by which a run at its end is given more to do.

    These are more epochs, with any --early_stopping, and more patience.
    """
    flags: list[str] = []
    grows = now.epochs > before.epochs
    if grows:
        flags += ["--epochs", *(["--unfreeze_epochs"] if now.fits_head else [])]
    patient = 0 < before.early_stopping < now.early_stopping or not now.early_stopping
    if now.early_stopping != before.early_stopping and (grows or patient):
        flags.append("--early_stopping")
    return tuple(flags)


def is_at_end(stored: RunConfig, latest: Checkpoint | None) -> bool:
    """Returns whether a run has finished its epochs, or stopped early."""
    if latest is None or latest.step:
        return False
    flags = stored.flags
    return latest.epoch >= flags.epochs or stopped_early(
        latest.history, flags.monitor, flags.early_stopping, stored.patient_from
    )


def _fork_begun(run_dir: RunDir) -> Fork | None:
    """Returns what a fork that is resumed began with, by its config.json or its checkpoints."""
    flags = run_dir.config.flags
    if not flags.fork_from or not run_dir.resumes:
        return None
    try:
        stored = RunConfig.read_if_present(run_dir.path)
    except TrainerError:
        stored = None
    if stored is not None:
        return stored.fork if stored.begins_as(flags) else None
    latest = run_dir.store.latest()
    found = Fork.of(latest.fork) if latest is not None and latest.fork else None
    return found if found is not None and found.is_of(flags.fork_from, flags.fork_epoch) else None


def _is_resumable(run_dir: RunDir) -> bool:
    """Returns whether the last checkpoint is of this run's configuration."""
    latest = run_dir.store.latest()
    return latest is not None and latest.fingerprint in run_dir.config.resumable


def _write_trained_on(run_dir: RunDir, data_dir: Folder) -> None:
    """Writes which pictures are trained on.

    A data set without a readable ledger can be trained on; evaluation then knows what an earlier
    attempt wrote, if that was of the same run, or else cannot tell leaks.
    """
    described, path = run_dir.config, run_dir.path / trained_on.FILENAME
    try:
        split = described.flags.train_split
        of_run = trained_on.of(
            data_dir,
            described.dataset.digest,
            split,
            described.selection,
            described.manifest.split_of_fold(split),
        )
    except LedgerError as error:
        if path.exists() and replaced.was_trained(run_dir.path):
            return
        path.unlink(missing_ok=True)
        warnings.warn(
            f"{error}; evenshard evaluate will not be able to tell what this run was trained on",
            UnknownPicturesWarning,
            stacklevel=2,
        )
        return
    with disk.explained(path):
        trained_on.write(run_dir.path, of_run)


def _write_inherited(run_dir: RunDir, kept: Inherited | None) -> None:
    """Writes what a run keeps of the one that it begins with; one that has begun has it."""
    flags = run_dir.config.flags
    with disk.explained(run_dir.path / inherited.TRAINED_BEFORE):
        if kept is not None:
            kept.write(run_dir.path)
        elif not replaced.was_trained(run_dir.path):
            inherited.remove(run_dir.path)
    if kept is not None and kept.trained is None:
        warnings.warn(
            f"{flags.fork_from or flags.weights}: nothing says what that run was trained on; "
            "evenshard evaluate will not be able to tell what this run was",
            UnknownPicturesWarning,
            stacklevel=2,
        )


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fault = disk.find(error)
        reason = f"{fault.reason}; {fault.advice}" if fault else error.strerror
        raise TrainerError(f"cannot make run directory {path}: {reason}") from error


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
