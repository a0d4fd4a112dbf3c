"""The state of a run in progress: how it is saved in a checkpoint and restored from one."""

from __future__ import annotations

import math
import warnings
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecords.errors import TrainerError
from trainer.config import TrainConfig
from trainer.data.selection import Source
from trainer.data.version import DataVersion
from trainer.devices import Devices
from trainer.metrics.metrics import Predictions
from trainer.runs import checkpoints
from trainer.runs.background import Writer
from trainer.runs.checkpoints import Checkpoint
from trainer.runs.directory import Row, RunDir
from trainer.runs.inherited import Inherited
from trainer.train.epoch import Meter
from trainer.train.failures import diverged, stepping
from trainer.train.fork import Parent
from trainer.train.step import Stepper, Tally, to_host


@dataclass(frozen=True, eq=False)
class Execution:
    """Steps that were given to the device, which may still compute them.

    Attributes:
      packed: their tallies, from `Stepper.run`.
      first: number of the first of them among the steps of the run, from 1.
      timed: whether their time counts; not of those that compile.
    """

    packed: tf.Tensor
    first: int
    timed: bool


@dataclass
class State:
    """Everything that changes while a run goes on.

    Attributes:
      stepper: the network, the optimizer and the compiled step.
      meter: totals of the current epoch.
      epoch: the current epoch, from 0.
      step: steps done of that epoch.
      history: a row of metrics.csv for each finished epoch.
      stop: number of the signal that asked the run to stop after the current step; 0 for none.
      compiled: whether this process has done its first step, which compiles.
      predictions: of the best epoch so far on validation, if this process made them.
      in_flight: executions whose tallies `meter` lacks, the oldest first.
      writer: of checkpoints.
    """

    stepper: Stepper
    meter: Meter
    epoch: int = 0
    step: int = 0
    history: tuple[Row, ...] = ()
    stop: int = 0
    compiled: bool = False
    predictions: Predictions | None = None
    in_flight: deque[Execution] = field(default_factory=deque)
    writer: Writer = field(default_factory=Writer)

    def global_step(self, per_epoch: int) -> int:
        """Returns the optimizer steps done, of `per_epoch` each."""
        return self.epoch * per_epoch + self.step


@dataclass(frozen=True, eq=False)
class Task:
    """Everything that does not change while a run goes on.

    Attributes:
      config: with --batch_size resolved.
      train, validation: the records to read.
      devices: to compute on.
      directory: to write to.
      steps: of an epoch.
      version: of the data set.
      parent: the run that a fresh fork begins with; None once it has begun.
      kept: of it, or of the run whose weights --weights names; None once it has begun.
      recipe: what is said of the recipe; may be empty.
      flips: why there are none, where --augment=auto would have them; else empty.
    """

    config: TrainConfig
    train: Source
    validation: Source
    devices: Devices
    directory: RunDir
    steps: int
    version: DataVersion
    parent: Parent | None = None
    kept: Inherited | None = None
    recipe: str = ""
    flips: str = ""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.train.selection.classes)


def settle(task: Task, state: State, keep: int = 0) -> list[tuple[int, float]]:
    """Brings the tallies of executions to the host, all but the last `keep`; waits for those.

    Returns:
      The number of pictures and their mean loss, of each execution.

    Raises:
      TrainerError: a loss is not finite, or what the device ran into.
    """
    done = []
    while len(state.in_flight) > keep:
        execution = state.in_flight.popleft()
        with stepping(task.config, deterministic=task.devices.deterministic):
            tallies = to_host(execution.packed)
        for number, tally in enumerate(tallies, start=execution.first):
            if not math.isfinite(tally.loss):
                state.writer.flush()  # The text names the last checkpoint.
                problem = f"the loss became {float(tally.loss)}"
                raise diverged(problem, task.directory, number, state.epoch)
        pictures = state.meter.add(tallies, timed=execution.timed)
        done.append((pictures, sum(float(tally.loss) for tally in tallies) / max(1, pictures)))
    return done


def save(task: Task, state: State) -> None:
    """Saves a checkpoint, after every step that was given to the device is done.

    It is written while training goes on; at most one is under way, and one copy in memory.

    Raises:
      TrainerError: the data set was replaced, or the checkpoint before this one has a weight that
        is not finite or could not be written. `state.writer` raises the like of this one.
    """
    task.version.check()
    settle(task, state)
    state.writer.flush()
    _begin_save(task, state)


def save_epoch(task: Task, state: State, best: Checkpoint | None) -> None:
    """Saves the end of an epoch as `save` does, behind the checkpoint of the best one, if any."""
    state.writer.flush()
    if best is not None:
        state.writer.submit(lambda: task.directory.store.save_best(best))
    _begin_save(task, state)


def _begin_save(task: Task, state: State) -> None:
    checkpoint = checkpoint_of(task, state, checkpoints.capture(state.stepper.state))

    def write() -> None:
        bad = checkpoints.first_not_finite(checkpoint.arrays)
        if bad is not None:
            step = checkpoint.global_step + 1
            raise diverged(f"{bad} is not finite", task.directory, step, checkpoint.epoch)
        task.directory.save(checkpoint)

    state.writer.submit(write)


def checkpoint_of(task: Task, state: State, arrays: dict[str, np.ndarray]) -> Checkpoint:
    """Returns a checkpoint of `arrays` and of everything else that a resumed run needs."""
    meter, fork = state.meter, task.directory.config.fork
    tally = {f"tally/{name}": np.asarray(x) for name, x in meter.tally._asdict().items()}
    return Checkpoint(
        epoch=state.epoch,
        step=state.step,
        global_step=state.global_step(task.steps),
        arrays=arrays | tally,
        history=state.history,
        fingerprint=task.directory.fingerprint,
        extra=meter.counters(),
        fork=fork.to_dict() if fork else {},
    )


def resume(task: Task, state: State) -> bool:
    """Brings the state to where the last usable checkpoint was taken; warns of those skipped.

    Returns:
      False if there is no checkpoint.

    Raises:
      TrainerError: there are checkpoints, and none can be used or one is of another
        configuration.
    """
    store = task.directory.store
    reason: str | None = "damaged"
    for path, checkpoint in store.readable():
        _refuse_another(task, checkpoint)
        reason = _unusable(task, state, checkpoint)
        if reason is None:
            _restore(state, checkpoint)
            return True
        checkpoints.warn_of_damage(path, reason)
    count = len(store.numbered())
    if count:
        raise TrainerError(
            f"none of the {count} checkpoints in {store.directory} can be used ({reason}): "
            "--noresume starts again"
        )
    return False


def check_resumable(task: Task) -> None:
    """Checks, while nothing is written yet, that the last checkpoint is one of this run.

    Raises:
      TrainerError: it is of another configuration.
    """
    if not task.directory.resumes:
        return
    with warnings.catch_warnings():  # `resume` tells of damage.
        warnings.simplefilter("ignore", checkpoints.DamagedCheckpointWarning)
        latest = task.directory.store.latest()
    if latest is not None:
        _refuse_another(task, latest)


def _refuse_another(task: Task, checkpoint: Checkpoint) -> None:
    if checkpoint.fingerprint not in task.directory.config.resumable:
        raise TrainerError(
            f"the checkpoints in {task.directory.path} are of another configuration than its "
            "config.json: --noresume starts again"
        )


def _restore(state: State, checkpoint: Checkpoint) -> None:
    checkpoints.assign(state.stepper.state, checkpoint.arrays)
    tally = Tally(*(checkpoint.arrays[f"tally/{name}"] for name in Tally._fields))
    state.meter = Meter(tally, **checkpoint.extra)
    state.epoch, state.step = checkpoint.epoch, checkpoint.step
    state.history = tuple(checkpoint.history)


def _unusable(task: Task, state: State, checkpoint: Checkpoint) -> str | None:
    """Returns why a run cannot resume from a checkpoint whose CRCs are sound, or None."""
    return _wrong_arrays(state, checkpoint) or _wrong_numbers(task, state, checkpoint)


def _wrong_arrays(state: State, checkpoint: Checkpoint) -> str | None:
    try:
        checkpoints.check(state.stepper.state, checkpoint.arrays)
    except TrainerError as error:
        return str(error)
    bad = checkpoints.first_not_finite(checkpoint.arrays)
    if bad is not None:
        return f"{bad} is not finite"
    for name, empty in state.meter.tally._asdict().items():
        values = checkpoint.arrays.get(f"tally/{name}")
        if values is None or values.shape != np.shape(empty):
            return f"it has no tally of {name}"
    return None


def _wrong_numbers(task: Task, state: State, checkpoint: Checkpoint) -> str | None:
    if not _is_place(task, checkpoint):
        return (
            f"epoch {checkpoint.epoch}, step {checkpoint.step} and {checkpoint.global_step} steps "
            f"in all are not a position in {task.config.epochs} epochs of {task.steps} steps"
        )
    if checkpoint.extra.keys() != state.meter.counters().keys():
        return f"its counters are {', '.join(checkpoint.extra) or 'none'}"
    if not all(map(_is_number, checkpoint.extra.values())):
        return "its counters are not numbers"
    needed = ("epoch", "step", "seconds", task.config.monitor)
    for number, row in enumerate(checkpoint.history, start=1):
        if not all(_is_number(row.get(name)) for name in needed) or row["epoch"] != number:
            return f"row {number} of its history is not that of an epoch"
    return None


def _is_place(task: Task, checkpoint: Checkpoint) -> bool:
    """Returns whether a checkpoint's position is one that this run comes to."""
    epoch, step = checkpoint.epoch, checkpoint.step
    return (
        epoch == len(checkpoint.history)
        and epoch <= task.config.epochs
        and step <= task.steps
        and checkpoint.global_step == epoch * task.steps + step
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
