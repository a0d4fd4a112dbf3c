"""Writes the report of a finished run again, from its checkpoint and its data set."""

from __future__ import annotations

from pathlib import Path

from tfrecords.errors import TrainerError
from trainer import remote
from trainer.data.selection import open_split
from trainer.data.stream import stream_source
from trainer.data.version import DataVersion
from trainer.metrics import inference
from trainer.report import page
from trainer.report.settings import settings_of
from trainer.runs import directory, load, locate, resuming
from trainer.runs.checkpoints import Store
from trainer.runs.config_file import RunConfig
from trainer.runs.history import METRICS


def write_again(run_dir: str, *, trust_run_code: bool = False) -> Path:
    """Writes the report of a run anew, and returns the path of its page.

    Args:
      run_dir: of a run that is trained to its end.
      trust_run_code: as for `load.open_run`.

    Raises:
      LockedError: a process trains there.
      TrainerError: the run is not finished, or its data set is gone.
      ManifestError, UsageError: with one readable line.
    """
    if not _has_finished(run_dir):
        raise TrainerError(
            f"{run_dir} has not finished training: the command that trains it carries on, and "
            "writes the report"
        )
    with directory.locked(run_dir):
        run = load.open_run(run_dir, trust_run_code=trust_run_code)
        best = Store(Path(run_dir, "checkpoints")).best()
        data_dir = locate.data_dir(run_dir, run.stored)
        config, stored = run.config, remote.load(data_dir)
        validation = open_split(
            run.stored.of_same_fold(stored),
            data_dir,
            config.validation_split,
            run.selection.natural(),
            run.size,
            config.read_parallelism,
        )
        with DataVersion.of(data_dir, stored, validation).reading():
            predicted = inference.predict(run.model, stream_source(validation, 32))
            return page.write(
                page.RunFiles(
                    run_dir=Path(run_dir),
                    data_dir=data_dir,
                    classes=run.selection.classes,
                    train_counts=run.train_counts,
                    history=Path(run_dir, METRICS),
                    predictions=predicted,
                    flags=config,
                    settings=settings_of(run.stored),
                    split=config.validation_split,
                    weights="last" if best is None else "best",
                    best_epoch=None if best is None else len(best.history) or None,
                    fork=run.stored.fork,
                )
            )


def _has_finished(run_dir: str) -> bool:
    """Returns whether a run has come to its end: one that was given more epochs is under way."""
    if not Path(run_dir, directory.MODEL).exists():
        return False
    latest = Store(Path(run_dir, "checkpoints")).latest()
    return latest is None or resuming.is_at_end(RunConfig.read(run_dir), latest)
