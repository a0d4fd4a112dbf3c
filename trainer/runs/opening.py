"""Opening the directory of a run: to resume what it holds, or to begin a run there."""

from __future__ import annotations

import dataclasses
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path

import keras
import tensorflow as tf

from tfrecords.errors import SurroundingsWarning, TrainerError, UnknownPicturesWarning
from tfrecords.ledger import LedgerError
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from tfrecords.system import atomic, disk
from trainer import environment
from trainer.config import TrainConfig
from trainer.data.selection import Source
from trainer.devices import Devices
from trainer.models import springfield_cnn
from trainer.recipes.flags import OWN_MODEL
from trainer.runs import compare, inherited, locate, replaced, resuming, trained_on
from trainer.runs.checkpoints import Store
from trainer.runs.config_file import CONFIG, DeviceSummary, RunConfig
from trainer.runs.directory import RunDir, locked
from trainer.runs.inherited import Inherited


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
      UsageError, TrainerError: it holds a run that this one does not resume; as `resuming.check`.
    """
    # A link stays one: what --noresume moves aside is the directory that it leads to.
    path = Path(os.path.realpath(described.flags.run_dir))
    run_dir = RunDir(path, described, Store(path / "checkpoints", described.flags.keep_checkpoints))
    run_dir = dataclasses.replace(
        run_dir, config=dataclasses.replace(described, fork=resuming.fork_begun(run_dir))
    )
    stored = resuming.check(run_dir)
    if stored is None:
        return run_dir
    if changes := compare.surroundings(stored, described):
        warnings.warn(
            f"{path} is resumed in another environment ({'; '.join(changes)}): it may end with "
            "slightly other weights than without the interruption",
            SurroundingsWarning,
            stacklevel=2,
        )
    return dataclasses.replace(run_dir, config=resuming.grown(run_dir, stored))


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
      UsageError, TrainerError: as `resuming.check`, or it cannot be written.
    """
    path, described = run_dir.path, run_dir.config
    with ExitStack() as held:
        _make(path)
        held.enter_context(locked(path))
        resuming.check(run_dir)  # Again: another process may have trained since.
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
