"""The state of a run in progress: how it is saved in a checkpoint and restored from one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfrecords.errors import TrainerError
from trainer.config import TrainConfig
from trainer.data.selection import Source
from trainer.devices import Devices
from trainer.metrics.metrics import Predictions
from trainer.runs import checkpoints
from trainer.runs.checkpoints import Checkpoint
from trainer.runs.directory import Row, RunDir
from trainer.train.epoch import Meter
from trainer.train.failures import diverged
from trainer.train.step import Stepper, Tally


@dataclass
class State:
    """Everything that changes while a run goes on.

    Attributes:
      stepper: the network, the optimizer and the compiled step.
      meter: totals of the current epoch.
      epoch: the current epoch, from 0.
      step: steps done of that epoch.
      history: a row of metrics.csv for each finished epoch.
      stop: whether a signal asked the run to stop after the current step.
      compiled: whether this process has done its first step, which compiles.
      predictions: of the best epoch so far on validation, if this process made them.
    """

    stepper: Stepper
    meter: Meter
    epoch: int = 0
    step: int = 0
    history: tuple[Row, ...] = ()
    stop: bool = False
    compiled: bool = False
    predictions: Predictions | None = None

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
    """

    config: TrainConfig
    train: Source
    validation: Source
    devices: Devices
    directory: RunDir
    steps: int

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.train.selection.classes)


def save(task: Task, state: State) -> None:
    """Saves a checkpoint.

    Raises:
      TrainerError: a weight is not finite, or the checkpoint cannot be written.
    """
    arrays = checkpoints.capture(state.stepper.state)
    bad = checkpoints.first_not_finite(arrays)
    if bad is not None:
        raise diverged(
            f"{bad} is not finite", task.directory, state.global_step(task.steps) + 1, state.epoch
        )
    task.directory.store.save(checkpoint_of(task, state, arrays))


def checkpoint_of(task: Task, state: State, arrays: dict[str, np.ndarray]) -> Checkpoint:
    """Returns a checkpoint of `arrays` and of everything else that a resumed run needs."""
    meter = state.meter
    tally = {f"tally/{name}": np.asarray(x) for name, x in meter.tally._asdict().items()}
    return Checkpoint(
        epoch=state.epoch,
        step=state.step,
        global_step=state.global_step(task.steps),
        arrays=arrays | tally,
        history=state.history,
        fingerprint=task.directory.fingerprint,
        extra=meter.counters(),
    )


def restore(task: Task, state: State, checkpoint: Checkpoint) -> None:
    """Brings the state to where the checkpoint was taken.

    Raises:
      TrainerError: the checkpoint is of another configuration.
    """
    if checkpoint.fingerprint != task.directory.fingerprint:
        raise TrainerError(
            f"the checkpoints in {task.directory.path} are of another configuration than its "
            "config.json: --noresume starts anew"
        )
    checkpoints.assign(state.stepper.state, checkpoint.arrays)
    tally = Tally(*(checkpoint.arrays[f"tally/{name}"] for name in Tally._fields))
    state.meter = Meter(tally, **checkpoint.extra)
    state.epoch, state.step = checkpoint.epoch, checkpoint.step
    state.history = tuple(checkpoint.history)
