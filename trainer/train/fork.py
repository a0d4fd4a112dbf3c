"""`--fork_from`: a run that begins with the state of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfrecords.errors import TrainerError, UsageError
from tfrecords.ledger import LedgerError
from trainer.config import TrainConfig
from trainer.models.weights import model_state
from trainer.recipes.flags import IMAGENET, NO_WEIGHTS
from trainer.runs import ancestry, checkpoints, compare, inherited, overlap
from trainer.runs.ancestry import Fork
from trainer.runs.checkpoints import Checkpoint, Store, Variable
from trainer.runs.config_file import CONFIG, RunConfig
from trainer.runs.directory import COLUMNS, MODEL
from trainer.runs.inherited import Inherited
from trainer.runs.overlap import Part
from trainer.train.step import Stepper

# The state of dropout, which is no weight: a fork has its own.
_RANDOM_STATE = "seed_generator_state"

_Layout = list[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True, eq=False)
class Parent:
    """A run to begin with.

    Attributes:
      stored: its config.json.
      checkpoint: the state to begin with.
      inherited: what is kept of it.
      leaks: validation pictures of the fork that it, or a run that it began with, was trained on.
    """

    stored: RunConfig
    checkpoint: Checkpoint
    inherited: Inherited
    leaks: int = 0


def open_parent(described: RunConfig, validation: Part) -> Parent:
    """Returns the run that --fork_from names; it is read only.

    Args:
      described: the configuration of the fork.
      validation: its pictures to validate on.

    Raises:
      UsageError: it is no run, one of another network or of other classes, or has no checkpoint.
      TrainerError: a file of it is damaged.
    """
    config = described.flags
    stored = RunConfig.read_if_present(config.fork_from)
    if stored is None:
        raise UsageError(
            f"--fork_from={config.fork_from}: no {CONFIG} there: give the directory of a run that "
            "`evenshard train` wrote"
        )
    _check_fits(stored, described)
    checkpoint = _checkpoint(config)
    if checkpoint.fingerprint not in stored.resumable:
        raise TrainerError(
            f"--fork_from={config.fork_from}: its checkpoint is of another run than its {CONFIG}: "
            "restore the files of one run"
        )
    path = Path(config.fork_from)
    kept = inherited.of_run(path, COLUMNS, checkpoint.history, is_fork=stored.fork is not None)
    return Parent(stored, checkpoint, kept, _leaks(kept, validation))


def of_weights(config: TrainConfig) -> Inherited | None:
    """Returns what is kept of the run whose weights --weights names; None if it is of no run.

    Raises:
      TrainerError: the list of what it was trained on is damaged.
    """
    run_dir = Path(config.weights).parent
    if config.weights in (NO_WEIGHTS, IMAGENET) or not (run_dir / CONFIG).is_file():
        return None
    return inherited.of_run(
        run_dir, COLUMNS, None, is_fork=RunConfig.read(run_dir).fork is not None
    )


def begin(parent: Parent, stepper: Stepper, described: RunConfig) -> Fork:
    """Brings a fresh run to the state that it begins with; returns what was taken of it.

    Args:
      parent: from `open_parent`.
      stepper: whose variables take the state.
      described: the configuration of the fork.

    Raises:
      UsageError: the other run's network differs in its variables.
    """
    config, arrays = described.flags, parent.checkpoint.arrays
    checkpoints.assign(*_weights(stepper, arrays, config))
    stepper.restart_average()
    fresh = _take_optimizer(parent, stepper, config)
    name, path = ancestry.path_of(config.fork_from)
    return Fork(
        run=name,
        path=path,
        which=config.fork_epoch,
        epoch=len(parent.checkpoint.history),
        step=parent.checkpoint.global_step,
        fingerprint=parent.stored.fingerprint,
        before=len(parent.inherited.rows),
        optimizer=fresh,
        optimizer_steps=0 if fresh else stepper.optimizer_steps,
        changes=(*_changes(parent, described),),
        parent=parent.stored.fork,
    )


def _changes(parent: Parent, described: RunConfig) -> Iterator[str]:
    """Yields what differs, and what that does to the results."""
    flags, digest = described.flags, described.dataset.digest
    for text in compare.differences(parent.stored, flags, digest):
        if not text.startswith("--fork_from "):
            yield text
    if parent.leaks:
        yield (
            f"{parent.leaks:,} pictures of split {flags.validation_split!r} are, or resemble, some "
            "that were trained on before: results on it are too good"
        )


def _leaks(kept: Inherited, validation: Part) -> int:
    """Returns how many validation pictures were trained on before, as far as that is known."""
    try:
        return len(overlap.find(kept.trained or (), validation))
    except LedgerError:
        return 0  # Training warns of a data set that does not say which pictures it holds.


def _check_fits(stored: RunConfig, described: RunConfig) -> None:
    """Refuses a run of another network, or of other classes.

    Raises:
      UsageError: with the difference.
    """
    config = described.flags
    if stored.flags.model != config.model:
        raise _unfit(config, f"its --model is {stored.flags.model}, not {config.model}")
    theirs, ours = stored.selection.classes, described.selection.classes
    if theirs != ours:
        raise _unfit(config, f"its {len(theirs)} classes are not these {len(ours)}"
                             f"{_shown(set(theirs) - set(ours), 'only there')}"
                             f"{_shown(set(ours) - set(theirs), 'only here')}")  # fmt: skip


def _shown(names: set[str], where: str) -> str:
    if not names:
        return ""
    first, more = min(names), len(names) - 1
    return f", {where}: {first!r}" + (f" and {more} more" if more else "")


def _unfit(config: TrainConfig, difference: str) -> UsageError:
    weights = Path(config.fork_from, MODEL)
    return UsageError(
        f"--fork_from={config.fork_from}: {difference}; to begin with as much of its network as "
        f"fits, give --weights={weights} in its place"
    )


def _checkpoint(config: TrainConfig) -> Checkpoint:
    """Returns the checkpoint that --fork_epoch asks for; warns of those that are skipped."""
    store = Store(Path(config.fork_from, "checkpoints"))
    if config.fork_epoch == "best":
        best = store.best()
        if best is None:
            raise UsageError(
                f"--fork_from={config.fork_from}: it has no checkpoint of its best epoch: give "
                "--fork_epoch=last"
            )
        return best
    for path, checkpoint in store.readable():
        bad = checkpoints.first_not_finite(checkpoint.arrays)
        if bad is None:
            return checkpoint
        checkpoints.warn_of_damage(path, f"{bad} is not finite")
    raise UsageError(
        f"--fork_from={config.fork_from}: it has no checkpoint that can be used: train it first"
    )


def _weights(
    stepper: Stepper, arrays: Mapping[str, np.ndarray], config: TrainConfig
) -> tuple[dict[str, Variable], dict[str, np.ndarray]]:
    """Returns the network's weights and their values in the other run, by the names here."""
    ours = {name: v for name, v in model_state(stepper.model).items() if not _is_random(name)}
    theirs = {
        name: values
        for name, values in arrays.items()
        if name.startswith("model/") and not _is_random(name)
    }
    layouts: tuple[_Layout, _Layout] = (
        [(_kind(name), values.shape) for name, values in theirs.items()],
        [(_kind(name), tuple(variable.shape)) for name, variable in ours.items()],
    )
    if layouts[0] != layouts[1]:
        raise _unfit(config, _difference(*layouts))
    values = dict(zip(ours, theirs.values(), strict=True))
    return dict(ours), values


def _is_random(name: str) -> bool:
    return name.endswith(_RANDOM_STATE)


def _kind(name: str) -> str:
    """Returns "kernel" of "model/0003/kernel"."""
    return name.split("/", 2)[2]


def _difference(theirs: _Layout, ours: _Layout) -> str:
    """Returns the first difference between the variables of two networks."""
    for number, (there, here) in enumerate(zip(theirs, ours, strict=False), start=1):
        if there != here:
            return (
                f"its network is another: variable {number} is {there[0]} {list(there[1])} there, "
                f"{here[0]} {list(here[1])} here"
            )
    return f"its network is another: {len(theirs)} variables there, {len(ours)} here"


def _take_optimizer(parent: Parent, stepper: Stepper, config: TrainConfig) -> str:
    """Takes the optimizer's state where it fits; else returns why it starts anew."""
    before, now = parent.stored.flags.optimizer, config.optimizer
    if config.fork_epoch == "best":
        return "the checkpoint of the best epoch has none"
    if before != now:
        return f"--optimizer was {before}, is now {now}"
    ours = stepper.optimizer_state
    theirs = {
        name: values
        for name, values in parent.checkpoint.arrays.items()
        if name.startswith("optimizer/")
    }
    if {name: values.shape for name, values in theirs.items()} != {
        name: tuple(variable.shape) for name, variable in ours.items()
    }:
        return "its variables differ, as by --precision or --momentum"
    start = checkpoints.capture(ours)
    checkpoints.assign(ours, theirs)
    if stepper.optimizer_steps:
        return ""
    checkpoints.assign(ours, start)
    return f"{parent.stored.flags.run_dir} has taken no step with it"
