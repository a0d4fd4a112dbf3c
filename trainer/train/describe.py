"""The lines that open the output of a training run."""

from __future__ import annotations

from collections.abc import Iterator

from tfrecords.cli import flags
from tfrecords.inputs.say import counted
from tfrecords.system import memory
from trainer.config import TrainConfig
from trainer.data.shortfall import shortfalls
from trainer.train import optim
from trainer.train.state import State, Task


def describe(task: Task, state: State) -> str:
    """Returns what is trained, on what, for how long, and where a resumed run continues."""
    return "\n".join((*_of_training(task, state), *_of_directory(task, state)))


def _of_training(task: Task, state: State) -> Iterator[str]:
    """Yields what is trained, on what and for how long."""
    config, train = task.config, task.train
    height, width = train.size
    frozen = state.stepper.frozen
    kept = f" ({frozen:,} in layers that it freezes)" if frozen else ""
    if task.recipe:
        yield task.recipe
    yield (
        f"{config.model}: {state.stepper.model.count_params():,} parameters{kept}, "
        f"{task.devices.precision} on {', '.join(task.devices.names)}"
    )
    if state.stepper.loaded is not None:
        yield state.stepper.loaded.describe()
    yield (
        f"{train.records:,} pictures of {task.classes} classes at {height}x{width}, "
        f"{task.validation.records:,} to validate; {_epochs(task)}"
    )
    if config.cache != "none":
        cost = train.encoded_bytes if config.cache == "encoded" else train.decoded_bytes
        yield memory.cache_cost(config.cache, cost, memory.available_bytes())


def _of_directory(task: Task, state: State) -> Iterator[str]:
    """Yields what the run directory brings along, and where a resumed run continues."""
    stored = task.directory.config
    if stored.fork:
        yield stored.fork.describe()
    if stored.growth:
        yield stored.growth
    if task.directory.replaces is not None:
        yield f"the run before is kept in {task.directory.replaces} until the first checkpoint"
    if state.epoch == task.config.epochs:
        yield "already trained: only the results are written again"
    elif state.epoch or state.step:
        yield f"resuming at epoch {state.epoch + 1}, step {state.step} of {task.steps}"


def notes(task: Task) -> list[str]:
    """Returns what a run will do otherwise than its flags say, a line for each."""
    lines = [task.flips, _frozen(task.config), _warm_up(task.config)]
    return [*filter(None, lines), *shortfalls(task.config, task.train, task.validation)]


def _frozen(config: TrainConfig) -> str:
    """Returns that --freeze_epochs leaves no epoch for the rest of the network."""
    if config.fits_head or config.freeze_epochs < config.epochs:
        return ""
    return (
        f"--freeze_epochs={config.freeze_epochs} takes all of the run's "
        f"{counted(config.epochs, 'epoch')}: only the head is trained"
    )


def _warm_up(config: TrainConfig) -> str:
    """Returns that --warmup_epochs, where it is given, is longer than a run allows."""
    most = optim.MAX_WARMUP * config.epochs
    if "warmup_epochs" not in flags.given(config) or config.warmup_epochs <= most:
        return ""
    return (
        f"--warmup_epochs={config.warmup_epochs:g} is above a fifth of the run's "
        f"{counted(config.epochs, 'epoch')}: the warm-up is {most:g}"
    )


def _epochs(task: Task) -> str:
    config = task.config
    steps = f"of {counted(task.steps, 'step')} of {config.batch_size}, {_augmentation(config)}"
    if not config.fits_head:
        return f"{counted(config.epochs, 'epoch')} {steps}"
    views = f" in {config.feature_views} views" if config.feature_views > 1 else ""
    more = (
        f", then {counted(config.unfreeze_epochs, 'epoch')} {steps}"
        if config.unfreeze_epochs
        else ""
    )
    return f"a head on their features{views}{more}"


def _augmentation(config: TrainConfig) -> str:
    names = config.augmentations
    return f"augmented by {', '.join(names)}" if names else "not augmented"
