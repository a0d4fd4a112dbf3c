"""Whether a run may go on in the directory that it names: it is resumed, extended or refused."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Collection
from pathlib import Path

from tfrecords.errors import MendedRunWarning, TrainerError, UsageError
from trainer.config import TrainConfig
from trainer.models import springfield_cnn
from trainer.recipes.flags import OWN_MODEL
from trainer.runs.ancestry import Extension, Fork
from trainer.runs.checkpoints import Checkpoint
from trainer.runs.compare import differences
from trainer.runs.config_file import CONFIG, RunConfig
from trainer.runs.directory import RunDir
from trainer.runs.history import stopped_early


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
    if not run_dir.resumes:
        return None
    stored = _stored(run_dir)
    if stored is None:
        return None
    _refuse_earlier_network(run_dir.path, stored)
    more = _extending(stored.flags, run_dir.config.flags)
    _refuse_other_flags(run_dir, stored, more)
    if more and not is_at_end(stored, run_dir.store.latest()):
        raise UsageError(
            f"{', '.join(more)}: the run in {run_dir.path} has not come to the end of its "
            f"{stored.flags.epochs} epochs; only then may it be given more"
        )
    return stored


def _stored(run_dir: RunDir) -> RunConfig | None:
    """Returns the configuration that a directory holds; None where the checkpoints stand for it.

    Raises:
      UsageError: it is gone, and the checkpoints are of another run.
      TrainerError: it is damaged, and the checkpoints are of another run.
    """
    try:
        stored = RunConfig.read_if_present(run_dir.path)
    except TrainerError as error:
        if not _is_resumable(run_dir):
            raise
        warnings.warn(f"{error}; it is written again", MendedRunWarning, stacklevel=3)
        return None
    if stored is None and not _is_resumable(run_dir):
        raise UsageError(
            f"{run_dir.path} holds a run of another configuration, whose {CONFIG} is gone: give "
            "another --run_dir, the flags of that run to resume it, or --noresume to start again"
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
            "but it cannot be trained on; give another --run_dir, or --noresume to start again"
        )


def _refuse_other_flags(run_dir: RunDir, stored: RunConfig, more: Collection[str]) -> None:
    """Refuses a run that differs from the stored one otherwise than by the flags `more`.

    Raises:
      UsageError: it does; the text shows the difference.
    """
    described, path, before = run_dir.config, run_dir.path, stored.flags
    found = differences(stored, described.flags, described.dataset.digest)
    changes = [text for text in found if text.partition(" ")[0] not in more]
    if not changes:
        return
    if before.fits_head and not described.flags.fits_head:
        # Flags of steps, such as --epochs, leave a recipe that was chosen by auto.
        raise UsageError(
            f"{path} holds a head on features that are computed once, and these flags train "
            f"{described.flags.model} by steps: to go on from the head give --recipe=finetune "
            f"--head_features={before.head_features}, for another training another --run_dir"
        )
    same = "the same flags"
    if before.head_features != described.flags.head_features:
        same += f" with --head_features={before.head_features}"
    raise UsageError(
        f"{path} holds a run of another configuration ({'; '.join(changes)}): give another "
        f"--run_dir, {same} to resume, or --noresume to start again"
    )


def is_at_end(stored: RunConfig, latest: Checkpoint | None) -> bool:
    """Returns whether a run has finished its epochs, or stopped early."""
    if latest is None or latest.step:
        return False
    flags = stored.flags
    return latest.epoch >= flags.epochs or stopped_early(
        latest.history, flags.monitor, flags.early_stopping, stored.patient_from
    )


def grown(run_dir: RunDir, stored: RunConfig) -> RunConfig:
    """Returns a run's configuration with what it was asked for and known as before."""
    described, flags = run_dir.config, stored.flags
    before, latest = stored.extended_from, None
    if _extending(flags, described.flags):
        latest = run_dir.store.latest()
    if latest is not None:
        before = (*before, Extension(flags.epochs, flags.early_stopping, latest.epoch))
    return dataclasses.replace(described, extended_from=before, earlier=stored.earlier)


def fork_begun(run_dir: RunDir) -> Fork | None:
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


def _is_resumable(run_dir: RunDir) -> bool:
    """Returns whether the last checkpoint is of this run's configuration."""
    latest = run_dir.store.latest()
    return latest is not None and latest.fingerprint in run_dir.config.resumable
