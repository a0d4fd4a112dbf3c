"""Where a run stands, how that is saved, and how it is taken up again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfrecords.errors import TrainerError
from trainer.config import TrainConfig
from trainer.data.selection import Source
from trainer.devices import Devices
from trainer.runs import checkpoints
from trainer.runs.checkpoints import Checkpoint
from trainer.runs.directory import Row, RunDir
from trainer.train.meter import Meter
from trainer.train.step import Stepper, Tally


@dataclass
class State:
    """Where a run stands: everything that changes while it goes on."""

    stepper: Stepper
    meter: Meter
    epoch: int = 0
    step: int = 0
    history: tuple[Row, ...] = ()
    stop: bool = False
    compiled: bool = False

    def global_step(self, per_epoch: int) -> int:
        """Returns the optimizer steps done, of `per_epoch` each."""
        return self.epoch * per_epoch + self.step


@dataclass(frozen=True, eq=False)
class Task:
    """What a run is given: everything that does not change while it goes on.

    Attributes:
      config: with --batch_size resolved.
      train, validation: what to read.
      devices: what to compute on.
      directory: where to write.
      steps: of an epoch.
      classes: number of them.
    """

    config: TrainConfig
    train: Source
    validation: Source
    devices: Devices
    directory: RunDir
    steps: int

    @property
    def classes(self) -> int:
        return len(self.train.selection.classes)


def diverged(task: Task, state: State, what: str, ahead: int = 0) -> TrainerError:
    """Returns what to tell of a run whose numbers are no longer finite, `ahead` steps on."""
    last = task.directory.store.latest()
    kept = f"the checkpoint of step {last.global_step} is kept" if last else "no checkpoint yet"
    step = state.global_step(task.steps) + ahead + 1
    return TrainerError(
        f"{what} at step {step} (epoch {state.epoch + 1}); {kept}. Start anew with a lower "
        "--learning_rate, a longer --warmup_epochs or --clip_norm=1"
    )


def save(task: Task, state: State) -> None:
    """Saves a checkpoint, unless the weights are past saving."""
    arrays = checkpoints.capture(state.stepper.state)
    bad = checkpoints.first_not_finite(arrays)
    if bad is not None:
        raise diverged(task, state, f"{bad} is not finite")
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
    """Puts the state where the checkpoint was taken.

    Raises:
      TrainerError: it is of another configuration.
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
