"""Training as one call: `run(config)` from the manifest to the report."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import keras

from tfrecords import kinds
from tfrecords.errors import OutOfMemoryError, TrainerError
from tfrecords.system import disk
from trainer.choices import AUTO_BATCH
from trainer.config import TrainConfig
from trainer.metrics import inference
from trainer.metrics.metrics import Predictions
from trainer.models import own
from trainer.report import page
from trainer.report.settings import settings_of
from trainer.runs import directory, opening
from trainer.runs.history import METRICS
from trainer.train import batch_size, fork, loop
from trainer.train.loop import RunResult
from trainer.train.prepare import prepare
from trainer.train.state import State, Task, check_resumable


def run(config: TrainConfig, *, report: bool = True) -> RunResult:
    """Trains, resuming where an earlier run of the same configuration stopped, and reports.

    With --batch_size=auto, a run that is out of memory before its first checkpoint starts anew
    with the next smaller batch: a batch that fits a trial may not fit beside everything else.

    Args:
      config: of the run.
      report: write the report of a run that is finished: its page, figures, tables, predictions
        and model card.

    Raises:
      ManifestError, UsageError, TrainerError: with one readable line.
    """
    directory.refuse_held(config.run_dir)
    kinds.refuse_other(config.run_dir, "run_dir", kinds.RUN)
    task = prepare(config)
    while True:
        try:
            # The network is built before the directory is touched: a wrong --model costs nothing.
            state = loop.build_state(task)
            return _train(_begun(_noting_weights(task, state), state), state, report=report)
        except OutOfMemoryError:
            smaller = _smaller_batch(config, task)
            if smaller is None:
                raise
        task = prepare(smaller)


def write_report(
    task: Task,
    model: keras.Model,
    predictions: Predictions | None = None,
    weights: str = "best",
    best_epoch: int | None = None,
) -> Path:
    """Writes the report on a finished run, and returns the path of its page.

    Args:
      task: the run.
      model: with the weights of the best epoch.
      predictions: of the model on validation; made here by default.
      weights: those of the model: "best", or "last" where the best are gone.
      best_epoch: 1 for the first; by the metrics where None.
    """
    if predictions is None:
        predictions = inference.predict(model, loop.validation_stream(task))
    described = task.directory.config
    return page.write(
        page.RunFiles(
            run_dir=task.directory.path,
            data_dir=task.train.data_dir,
            classes=described.selection.classes,
            train_counts=described.train_counts,
            history=task.directory.path / METRICS,
            predictions=predictions,
            flags=task.config,
            settings=settings_of(described),
            split=task.config.validation_split,
            weights=weights,
            best_epoch=best_epoch,
            fork=described.fork,
        )
    )


def _begun(task: Task, state: State) -> Task:
    """Returns a run that has the state of the run that it begins with, if it is a fresh fork."""
    if task.parent is None:
        return task
    described = task.directory.config
    begun = dataclasses.replace(described, fork=fork.begin(task.parent, state.stepper, described))
    return dataclasses.replace(task, directory=dataclasses.replace(task.directory, config=begun))


def _train(task: Task, state: State, *, report: bool) -> RunResult:
    """Trains, and reports before another process may use the run directory."""
    name = task.config.model
    blaming = own.blaming(name, kind=TrainerError) if own.is_own(name) else nullcontext()
    check_resumable(task)
    with opening.claimed(task.directory, task.train.data_dir, task.kept), blaming:
        trained = loop.train(task, state)
        if report and trained.result.finished:
            with task.version.reading(), _trained_anyway(task.directory.path):
                result = trained.result
                write_report(
                    task, trained.model, trained.predictions, result.weights, result.best_epoch
                )
            task.directory.show_report(trained.result.best_epoch or 1)
        return trained.result


def _noting_weights(task: Task, state: State) -> Task:
    """Returns the task with which weights the network was given, for config.json."""
    loaded = state.stepper.loaded
    if loaded is None:
        return task
    config = dataclasses.replace(task.directory.config, loaded=loaded.describe())
    return dataclasses.replace(task, directory=dataclasses.replace(task.directory, config=config))


@contextmanager
def _trained_anyway(run_dir: Path) -> Iterator[None]:
    """Says of a report that a full disk keeps from being written that the network is there."""
    try:
        yield
    except Exception as error:
        fault = disk.find(error)
        if fault is None:
            raise
        raise TrainerError(
            f"{run_dir} has finished training, but its report is not written: {fault.line()}. Then "
            f"`evenshard report {shlex.quote(str(run_dir))}`, or the same command, writes it"
        ) from error


def _smaller_batch(config: TrainConfig, task: Task) -> TrainConfig | None:
    """Returns the configuration to try after running out of memory.

    None where the batch size was given, has no smaller one, or a checkpoint depends on it.
    """
    smaller = batch_size.next_smaller(task.config)
    latest = task.directory.store.latest()
    started = latest is not None and latest.global_step > 0  # A fork saves what it begins with.
    if config.batch_size != AUTO_BATCH or smaller is None or started:
        return None
    return dataclasses.replace(config, batch_size=smaller, resume=False)
