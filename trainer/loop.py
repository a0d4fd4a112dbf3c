"""Training as one story: `run(config)` from the manifest to the report."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecords import manifest as manifests
from trainer import (
    augment,
    autobatch,
    checkpoints,
    data,
    devices,
    inference,
    losses,
    metrics,
    models,
    report,
    rundir,
    schedules,
)
from trainer import selection as selections
from trainer import step as steps
from trainer.checkpoints import Checkpoint
from trainer.data import Batch
from trainer.devices import Devices
from trainer.errors import TrainerError
from trainer.flags import AUTO_BATCH, TrainConfig
from trainer.history import less_is_better
from trainer.meter import Meter
from trainer.progress import Progress
from trainer.rundir import Row, RunDir
from trainer.selection import Source
from trainer.step import Stepper, Tally

# A run whose input takes more of its time than this is told so.
INPUT_BOUND = 0.1

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


def run(config: TrainConfig) -> RunResult:
    """Trains, resuming where an earlier run of the same configuration was cut short.

    Raises:
      ManifestError, UsageError, TrainerError: with one readable line.
    """
    task = prepare(config)
    with rundir.locked(task.directory.path):
        task.directory.store.tidy()
        state = build(task)
        progress = Progress(config.progress, config.epochs, task.train.records)
        progress.say(describe(task, state))
        with _stop_on_signal(state):
            status = _train(task, state, progress)
        if status not in UNFINISHED:
            _finish(task, state)
        return _result(task, state, status)


def prepare(config: TrainConfig) -> Task:
    """Checks everything that can be checked before a network is built."""
    manifest = manifests.load(config.data_dir)
    selection = selections.select(
        manifest,
        config.train_split,
        config.classes,
        config.num_classes,
        config.per_class,
        config.originals_only,
    )
    train = selections.open_split(
        manifest, config.data_dir, config.train_split, selection, config.size
    )
    validation = selections.open_split(
        manifest, config.data_dir, config.validation_split, selection.natural(), config.size
    )
    _check_counts(train, validation)
    found = devices.set_up(config)
    config = config.with_batch_size(_batch_size(config, train, found))
    directory = rundir.claim(config, manifest, found, selection, train.size)
    per_epoch = data.steps_per_epoch(train, config.fixed_batch_size)
    return Task(config, train, validation, found, directory, per_epoch)


def build(task: Task) -> State:
    """Returns the run's state: fresh, or of its last good checkpoint."""
    config = task.config
    schedule = schedules.build(config, task.steps)
    loss = losses.build(config, task.train.selection.counts(task.train.split), schedule.total_steps)
    with task.devices.strategy.scope():
        model = models.build(
            config, task.train.size, task.classes, synchronized=task.devices.replicas > 1
        )
        optimizer = schedules.build_optimizer(config, schedule)
        stepper = Stepper(model, optimizer, loss, config, task.devices.strategy)
    state = State(stepper, Meter(steps.empty_tally(task.classes)))
    checkpoint = task.directory.store.latest()
    if checkpoint is not None:
        _restore(task, state, checkpoint)
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
        f"steps of {config.batch_size}",
    ]
    if config.cache != "none":
        cost = train.encoded_bytes if config.cache == "encoded" else train.decoded_bytes
        lines.append(f"--cache={config.cache} holds about {cost / 1e6:,.0f} MB in memory")
    if state.epoch == config.epochs:
        lines.append("already trained: only the results are written again")
    elif state.epoch or state.step:
        lines.append(f"resuming at epoch {state.epoch + 1}, step {state.step} of {task.steps}")
    return "\n".join(lines)


def _train(task: Task, state: State, progress: Progress) -> str:
    """Trains epoch by epoch; returns the status."""
    config = task.config
    predictor = inference.predictor(state.stepper.model)
    batches = iter(_stream(task, state)) if state.epoch < config.epochs else iter(())
    while state.epoch < config.epochs:
        if _stopped_early(state.history, config):
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
            _save(task, state)
            return "interrupted"
        row = _close_epoch(task, state, predictor)
        progress.end_epoch(_summary(row, config.monitor))
    return "stopped_early" if _stopped_early(state.history, config) else "completed"


def _train_epoch(task: Task, state: State, batches: Iterator[Batch], progress: Progress) -> None:
    """Trains from the state's step to the end of its epoch, or until told to stop."""
    every = task.config.checkpoint_steps
    while state.step < task.steps and not state.stop:
        started = time.monotonic()
        batch = _next(task, batches)
        waited = time.monotonic() - started
        tallies = _execute(task, state, batch)
        seconds = time.monotonic() - started
        pictures = state.meter.add(tallies, waited, seconds, timed=state.compiled)
        state.compiled = True
        before = state.step
        state.step += len(tallies)
        progress.update(pictures, sum(float(tally.loss) for tally in tallies) / max(1, pictures))
        if every and state.step // every > before // every and state.step < task.steps:
            _save(task, state)


def _close_epoch(task: Task, state: State, predict: Any) -> Row:
    """Validates, records and saves a finished epoch."""
    stepper = state.stepper
    replaced = stepper.use_average()
    evaluation = metrics.evaluate(
        inference.predict(predict, _validation_stream(task)),
        task.train.selection.originals(task.train.split),
    )
    row = _row(task, state, evaluation)
    state.history = (*state.history, row)
    if best_epoch(state.history, task.config.monitor) == len(state.history):
        arrays = checkpoints.capture(models.model_state(stepper.model))
        task.directory.store.save_best(_checkpoint(task, state, arrays))
    stepper.put_back(replaced)
    state.epoch, state.step = state.epoch + 1, 0
    state.meter = Meter(steps.empty_tally(task.classes))
    _save(task, state)
    task.directory.add_epoch(state.history)
    return row


def _finish(task: Task, state: State) -> None:
    """Exports the best network and writes the report on it."""
    best = task.directory.store.best()
    if best is None:
        raise TrainerError(f"{task.directory.path} has no best checkpoint; --noresume starts anew")
    model = state.stepper.model
    checkpoints.assign(models.model_state(model), best.arrays)
    models.freeze_backbone(model, frozen=False)
    task.directory.write_model(model)
    report.write(
        report.RunFiles(
            run_dir=task.directory.path,
            data_dir=Path(task.config.data_dir),
            classes=task.train.selection.classes,
            train_counts=task.train.selection.originals(task.train.split),
            history=task.directory.path / rundir.METRICS,
            predictions=inference.predict(model, _validation_stream(task)),
            config=rundir.stored_config(task.directory.path) or {},
            split=task.config.validation_split,
        )
    )


def best_epoch(history: Sequence[Row], monitor: str) -> int | None:
    """Returns the number, from 1, of the epoch with the best `monitor`, the first of equals."""
    values = [row[monitor] for row in history]
    if not values:
        return None
    return values.index(min(values) if less_is_better(monitor) else max(values)) + 1


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


def _next(task: Task, batches: Iterator[Batch]) -> Batch:
    try:
        return next(batches)
    except tf.errors.OpError as error:
        raise data.explain(error, task.train) from error


def _execute(task: Task, state: State, batch: Batch) -> list[Tally]:
    """Runs an execution and brings its steps' tallies to the host, which waits for the device."""
    try:
        tallies = steps.to_host(state.stepper.run(batch))
    except tf.errors.ResourceExhaustedError as error:
        raise TrainerError(
            f"out of memory at --batch_size={task.config.batch_size}: use a smaller one, "
            "--batch_size=auto, or --grad_accum to compute the same batch in parts"
        ) from error
    for number, tally in enumerate(tallies):
        if not math.isfinite(tally.loss):
            raise _diverged(task, state, f"the loss became {float(tally.loss)}", number)
    return tallies


def _diverged(task: Task, state: State, what: str, ahead: int = 0) -> TrainerError:
    last = task.directory.store.latest()
    kept = f"the checkpoint of step {last.global_step} is kept" if last else "no checkpoint yet"
    step = _global_step(task, state) + ahead + 1
    return TrainerError(
        f"{what} at step {step} (epoch {state.epoch + 1}); {kept}. Start anew with a lower "
        "--learning_rate, a longer --warmup_epochs or --clip_norm=1"
    )


def _row(task: Task, state: State, evaluation: metrics.Evaluation) -> Row:
    meter = state.meter
    trained = steps.train_metrics(meter.tally)
    return {
        "epoch": state.epoch + 1,
        "step": _global_step(task, state),
        **trained,
        "val_loss": evaluation.loss,
        "val_top1": evaluation.top1,
        "val_macro_f1": evaluation.macro_f1,
        "val_balanced_accuracy": evaluation.balanced_accuracy,
        "learning_rate": state.stepper.learning_rate,
        "images_per_second": round(meter.rate, 1),
        "input_wait": round(meter.input_wait, 4),
        "val_head": evaluation.head,
        "val_medium": evaluation.medium,
        "val_tail": evaluation.tail,
        "val_ece": evaluation.ece,
        "val_ece_calibrated": evaluation.ece_calibrated,
        "val_temperature": evaluation.temperature,
        "seconds": round(meter.seconds, 2),
    }


def _summary(row: Row, monitor: str) -> str:
    text = (
        f"loss {row['loss']:.3f}  top-1 {row['top1']:.1%}  |  validation: loss "
        f"{row['val_loss']:.3f}  top-1 {row['val_top1']:.1%}  macro-F1 {row['val_macro_f1']:.3f}"
        f"  |  {row['images_per_second']:,.0f} img/s  input-bound {row['input_wait']:.0%}"
    )
    if row["input_wait"] > INPUT_BOUND:
        text += " (the input holds the device up: --cache=decoded, or a smaller bake, helps)"
    return text


def _save(task: Task, state: State) -> None:
    """Saves a checkpoint, unless the weights are past saving."""
    arrays = checkpoints.capture(state.stepper.state)
    bad = checkpoints.first_not_finite(arrays)
    if bad is not None:
        raise _diverged(task, state, f"{bad} is not finite")
    task.directory.store.save(_checkpoint(task, state, arrays))


def _checkpoint(task: Task, state: State, arrays: dict[str, np.ndarray]) -> Checkpoint:
    meter = state.meter
    tally = {f"tally/{name}": np.asarray(x) for name, x in meter.tally._asdict().items()}
    return Checkpoint(
        epoch=state.epoch,
        step=state.step,
        global_step=_global_step(task, state),
        arrays=arrays | tally,
        history=state.history,
        fingerprint=task.directory.fingerprint,
        extra=meter.counters(),
    )


def _restore(task: Task, state: State, checkpoint: Checkpoint) -> None:
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


def _global_step(task: Task, state: State) -> int:
    return state.epoch * task.steps + state.step


def _stopped_early(history: Sequence[Row], config: TrainConfig) -> bool:
    best = best_epoch(history, config.monitor)
    patience = config.early_stopping
    return bool(patience and best is not None and len(history) - best >= patience)


def _result(task: Task, state: State, status: str) -> RunResult:
    best = best_epoch(state.history, task.config.monitor)
    return RunResult(
        status=status,
        epochs=len(state.history),
        step=_global_step(task, state),
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
    return autobatch.find(config, train.size, classes, train.records, found.kind == "gpu")


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
