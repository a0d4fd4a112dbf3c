"""Training as one story: `run(config)` from the manifest to the report."""

from __future__ import annotations

import dataclasses
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import tensorflow as tf

from tfrecords.errors import OutOfMemoryError, TrainerError
from tfrecords.system import memory
from trainer import devices, remote
from trainer.config import AUTO_BATCH, TrainConfig
from trainer.data import augment
from trainer.data import selection as selections
from trainer.data import stream as data
from trainer.data.selection import Source
from trainer.data.stream import Batch
from trainer.devices import Devices
from trainer.metrics import inference, metrics
from trainer.models import build as models
from trainer.report import page
from trainer.runs import checkpoints
from trainer.runs import directory as rundir
from trainer.runs.directory import Row
from trainer.train import batch_size, epochs, losses, optim
from trainer.train import state as resume
from trainer.train import step as steps
from trainer.train.meter import Meter
from trainer.train.progress import EpochProgress
from trainer.train.state import State, Task
from trainer.train.step import Stepper, Tally

# How a run can end that is to be carried on.
UNFINISHED = ("interrupted", "paused")


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
      status: "completed", "stopped_early", "paused" (--stop_after_epoch) or "interrupted".
      epochs: finished.
      step: optimizer steps done.
      best_epoch: 1 for the first; None before the end of the first.
      best: the best epoch's row of metrics.csv; empty before the end of the first.
      run_dir: where everything is.
    """

    status: str
    epochs: int
    step: int
    best_epoch: int | None
    best: Row
    run_dir: Path


def run(config: TrainConfig) -> RunResult:
    """Trains, resuming where an earlier run of the same configuration was cut short.

    With --batch_size=auto a run that is out of memory before its first checkpoint starts anew
    with the next smaller batch: what fits a trial may not fit beside everything else.

    Raises:
      ManifestError, UsageError, TrainerError: with one readable line.
    """
    task = prepare(config)
    while True:
        try:
            return _run(task)
        except OutOfMemoryError:
            smaller = _backed_off(config, task)
            if smaller is None:
                raise
        task = prepare(smaller)


def _run(task: Task) -> RunResult:
    config = task.config
    with rundir.locked(task.directory.path):
        task.directory.store.tidy()
        state = build(task)
        progress = EpochProgress(config.progress, config.epochs, task.train.records)
        progress.say(describe(task, state))
        with _stop_on_signal(state):
            status = _train(task, state, progress)
        if status not in UNFINISHED:
            _finish(task, state)
        return _result(task, state, status)


def _backed_off(config: TrainConfig, task: Task) -> TrainConfig | None:
    """Returns what to try after running out of memory; None where that is not ours to choose."""
    smaller = batch_size.next_smaller(task.config)
    started = task.directory.store.latest() is not None
    if config.batch_size != AUTO_BATCH or smaller is None or started:
        return None
    return dataclasses.replace(config, batch_size=str(smaller), resume=False)


def prepare(config: TrainConfig) -> Task:
    """Checks everything that can be checked before a network is built."""
    manifest = remote.load(config.data_dir)
    selection = selections.select(
        manifest,
        config.train_split,
        config.classes,
        config.num_classes,
        config.per_class,
        config.originals_only,
    )
    train = selections.open_split(
        manifest, config.data_dir, config.train_split, selection, config.size,
        config.read_parallelism,
    )  # fmt: skip
    validation = selections.open_split(
        manifest, config.data_dir, config.validation_split, selection.natural(), config.size,
        config.read_parallelism,
    )  # fmt: skip
    _check_counts(train, validation)
    found = devices.set_up(config)
    config = config.with_batch_size(_batch_size(config, train, found))
    directory = rundir.claim(config, manifest, found, selection, train.size)
    per_epoch = data.steps_per_epoch(train, config.fixed_batch_size)
    return Task(config, train, validation, found, directory, per_epoch)


def build(task: Task) -> State:
    """Returns the run's state: fresh, or of its last good checkpoint."""
    config = task.config
    schedule = optim.build(config, task.steps)
    loss = losses.build(config, task.train.selection.counts(task.train.split), schedule.total_steps)
    with task.devices.strategy.scope():
        model = models.build(
            config, task.train.size, task.classes, synchronized=task.devices.replicas > 1
        )
        optimizer = optim.build_optimizer(config, schedule)
        stepper = Stepper(model, optimizer, loss, config, task.devices.strategy)
    state = State(stepper, Meter(steps.empty_tally(task.classes)))
    checkpoint = task.directory.store.latest()
    if checkpoint is not None:
        resume.restore(task, state, checkpoint)
    task.directory.write_history(state.history)
    return state


def describe(task: Task, state: State) -> str:
    """Returns the lines that open a run's output."""
    config, train = task.config, task.train
    height, width = train.size
    lines = [
        f"{config.model}: {state.stepper.model.count_params():,} parameters, "
        f"{task.devices.precision} on {', '.join(task.devices.names)}",
        f"{train.records:,} pictures of {task.classes} classes at {height}x{width}, "
        f"{task.validation.records:,} to validate; {config.epochs} epochs of {task.steps:,} "
        f"steps of {config.batch_size}, {_augmented(config)}",
    ]
    if config.cache != "none":
        cost = train.encoded_bytes if config.cache == "encoded" else train.decoded_bytes
        lines.append(memory.cache_cost(config.cache, cost, memory.available_bytes()))
    if state.epoch == config.epochs:
        lines.append("already trained: only the results are written again")
    elif state.epoch or state.step:
        lines.append(f"resuming at epoch {state.epoch + 1}, step {state.step} of {task.steps}")
    return "\n".join(lines)


def _augmented(config: TrainConfig) -> str:
    names = config.augmentations
    return f"augmented by {', '.join(names)}" if names else "not augmented"


def _train(task: Task, state: State, progress: EpochProgress) -> str:
    """Trains epoch by epoch; returns the status."""
    config = task.config
    predictor = inference.predictor(state.stepper.model)
    with _reading(task, task.train):  # A cache is filled here.
        batches = iter(_stream(task, state)) if state.epoch < config.epochs else iter(())
    while state.epoch < config.epochs:
        if epochs.stopped_early(state.history, config):
            return "stopped_early"
        if 0 < config.stop_after_epoch <= state.epoch:
            return "paused"
        state.stepper.freeze(state.epoch < config.freeze_epochs)
        progress.start_epoch(state.epoch, state.meter.pictures)
        try:
            _train_epoch(task, state, batches, progress)
        finally:
            progress.close()
        if state.stop:
            resume.save(task, state)
            return "interrupted"
        row = _close_epoch(task, state, predictor)
        progress.end_epoch(epochs.summary(row, config))
    return "stopped_early" if epochs.stopped_early(state.history, config) else "completed"


def _train_epoch(
    task: Task, state: State, batches: Iterator[Batch], progress: EpochProgress
) -> None:
    """Trains from the state's step to the end of its epoch, or until told to stop."""
    every = task.config.checkpoint_steps
    while state.step < task.steps and not state.stop:
        started = time.monotonic()
        batch = _next(task, state, batches)
        waited = time.monotonic() - started
        tallies = _execute(task, state, batch)
        seconds = time.monotonic() - started
        pictures = state.meter.add(tallies, waited, seconds, timed=state.compiled)
        state.compiled = True
        before = state.step
        state.step += len(tallies)
        progress.update(pictures, sum(float(tally.loss) for tally in tallies) / max(1, pictures))
        if every and state.step // every > before // every and state.step < task.steps:
            resume.save(task, state)


def _close_epoch(task: Task, state: State, predict: Any) -> Row:
    """Validates, records and saves a finished epoch."""
    stepper = state.stepper
    replaced = stepper.use_average()
    evaluation = _evaluate(task, state, predict)
    row = epochs.row(
        state.epoch + 1,
        state.global_step(task.steps),
        state.meter,
        evaluation,
        stepper.learning_rate,
    )
    state.history = (*state.history, row)
    if epochs.best_epoch(state.history, task.config.monitor) == len(state.history):
        arrays = checkpoints.capture(models.model_state(stepper.model))
        task.directory.store.save_best(resume.checkpoint_of(task, state, arrays))
    stepper.put_back(replaced)
    state.epoch, state.step = state.epoch + 1, 0
    state.meter = Meter(steps.empty_tally(task.classes))
    resume.save(task, state)
    task.directory.add_epoch(state.history)
    return row


def _evaluate(task: Task, state: State, predict: Any) -> metrics.Evaluation:
    """Returns what the network is worth on validation."""
    with _reading(task, task.validation):
        predictions = inference.predict(predict, _validation_stream(task))
    try:
        return metrics.evaluate(predictions, task.train.selection.originals(task.train.split))
    except metrics.DivergedError as error:
        raise resume.diverged(
            task, state, "validation gives logits that are not finite", -1
        ) from error


def _finish(task: Task, state: State) -> None:
    """Exports the best network and writes the report on it."""
    best = task.directory.store.best()
    if best is None:
        raise TrainerError(f"{task.directory.path} has no best checkpoint; --noresume starts anew")
    model = state.stepper.model
    checkpoints.assign(models.model_state(model), best.arrays)
    models.freeze_backbone(model, frozen=False)
    task.directory.write_model(model)
    page.write(
        page.RunFiles(
            run_dir=task.directory.path,
            data_dir=task.train.data_dir,
            classes=task.train.selection.classes,
            train_counts=task.train.selection.originals(task.train.split),
            history=task.directory.path / rundir.METRICS,
            predictions=inference.predict(model, _validation_stream(task)),
            config=rundir.stored_config(task.directory.path) or {},
            split=task.config.validation_split,
        )
    )


def _stream(task: Task, state: State) -> tf.data.Dataset:
    config = task.config
    stream = data.training_stream(
        task.train,
        config.fixed_batch_size,
        config.epochs,
        config.seed,
        augment=augment.build(config),
        start=(state.epoch, state.step),
        cache=config.cache,
        shuffle_buffer_mb=config.shuffle_buffer_mb,
        stack=config.steps_per_execution,
    )
    if task.devices.replicas > 1:
        return task.devices.strategy.experimental_distribute_dataset(stream)
    device = task.devices.memory_device
    if device is not None:
        return stream.apply(tf.data.experimental.prefetch_to_device(device))
    return stream


def _validation_stream(task: Task) -> tf.data.Dataset:
    return data.stream_source(task.validation, task.config.fixed_batch_size)


def _next(task: Task, state: State, batches: Iterator[Batch]) -> Batch:
    """Returns the next batch; where it cannot be read, keeps what was learnt before it."""
    try:
        return next(batches)
    except tf.errors.OpError as error:
        resume.save(task, state)
        raise data.explain(error, task.train) from error


@contextmanager
def _reading(task: Task, source: Source) -> Iterator[None]:
    """Says what is wrong where a split cannot be read."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise _out_of_memory(task) from error
    except tf.errors.OpError as error:
        raise data.explain(error, source) from error


def _out_of_memory(task: Task) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"out of memory at --batch_size={task.config.batch_size}: use a smaller one, "
        "--batch_size=auto, or --grad_accum to compute the same batch in parts"
    )


def _not_compiled(task: Task, error: tf.errors.OpError) -> TrainerError:
    deterministic = " or --deterministic=off" if task.devices.deterministic else ""
    return TrainerError(
        f"--jit_compile: XLA cannot compile this step: {error.message.splitlines()[0]} "
        f"Use --nojit_compile{deterministic}"
    )


def _execute(task: Task, state: State, batch: Batch) -> list[Tally]:
    """Runs an execution and brings its steps' tallies to the host, which waits for the device."""
    try:
        tallies = steps.to_host(state.stepper.run(batch))
    except tf.errors.ResourceExhaustedError as error:
        raise _out_of_memory(task) from error
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError) as error:
        if not task.config.jit_compile:
            raise
        raise _not_compiled(task, error) from error
    for number, tally in enumerate(tallies):
        if not math.isfinite(tally.loss):
            raise resume.diverged(task, state, f"the loss became {float(tally.loss)}", number)
    return tallies


def _result(task: Task, state: State, status: str) -> RunResult:
    best = epochs.best_epoch(state.history, task.config.monitor)
    return RunResult(
        status=status,
        epochs=len(state.history),
        step=state.global_step(task.steps),
        best_epoch=best,
        best=state.history[best - 1] if best else {},
        run_dir=task.directory.path,
    )


def _batch_size(config: TrainConfig, train: Source, found: Devices) -> int:
    """Returns --batch_size, for auto the one found when the run began."""
    if config.batch_size != AUTO_BATCH:
        return config.fixed_batch_size
    stored = rundir.stored_config(config.run_dir) if config.resume else None
    if stored is not None:
        return int(stored["flags"]["batch_size"])
    classes = len(train.selection.classes)
    return batch_size.find(config, train.size, classes, train.records, found.kind == "gpu")


def _check_counts(train: Source, validation: Source) -> None:
    """Refuses what cannot be learnt or judged: classes without a picture, no validation."""
    empty = [
        name
        for name, count in zip(
            train.selection.classes, train.selection.counts(train.split), strict=True
        )
        if not count
    ]
    if empty:
        raise TrainerError(
            f"{len(empty)} selected classes have no record in split {train.split.name!r}, e.g. "
            f"{empty[0]!r}: leave them out with --classes or --num_classes"
        )
    if not validation.records:
        raise TrainerError(
            f"split {validation.split.name!r} has no picture of the selected classes: bake with "
            "--splits=train:0.8,validation:0.2, or name another --validation_split"
        )


@contextmanager
def _stop_on_signal(state: State) -> Iterator[None]:
    """Turns SIGTERM (preemption) and Ctrl-C into a stop after the step; a second one kills."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        if state.stop:
            raise KeyboardInterrupt
        state.stop = True
        del number

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
