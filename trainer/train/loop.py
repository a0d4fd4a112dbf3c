"""The training loop: epochs of steps, validation and checkpoints, until the run ends."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from trainer.data import augment, on_device
from trainer.data.epochs import Epochs, epoch_streams
from trainer.data.stream import (
    Batch,
    buffered_records,
    explain,
    stream_source,
    training_stream,
)
from trainer.metrics import inference, metrics
from trainer.metrics.metrics import Predictions
from trainer.models.build import build_network
from trainer.models.weights import model_state
from trainer.runs import checkpoints, history
from trainer.runs.background import Writer
from trainer.runs.directory import Row
from trainer.train import epoch, failures, losses, optim
from trainer.train.describe import describe, notes
from trainer.train.epoch import Meter
from trainer.train.head import train_head
from trainer.train.progress import EpochProgress
from trainer.train.signals import stopping_on_signal
from trainer.train.state import (
    Execution,
    State,
    Task,
    checkpoint_of,
    resume,
    save,
    save_epoch,
    settle,
)
from trainer.train.step import Stepper, empty_tally, steps_in

# Ends after which the same command continues the run.
UNFINISHED = ("interrupted", "paused")

# A GPU computes this many executions while the host prepares the next: it never waits for the host
# to read a tally, and the host sees a loss that is not finite so much later.
LATE = 2

# Seconds that a checkpoint under way has left after an error, or when a person does not wait.
_PATIENCE = 10.0


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
      planned: epochs of the whole run.
      weights: of model.keras: "best", or "last" where the checkpoint of the best epoch is gone.
      stopped_by: number of the signal that interrupted it; 0 for none.
    """

    status: str
    epochs: int
    step: int
    best_epoch: int | None
    best: Row
    run_dir: Path
    planned: int
    weights: str = "best"
    stopped_by: int = 0

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.status not in UNFINISHED


@dataclass(frozen=True, eq=False)
class Trained:
    """The end of a training loop.

    Attributes:
      result: how the run ended.
      model: with the weights of the best epoch, if the run is finished; else of the last step.
      predictions: of the best epoch on validation, if this process made them.
    """

    result: RunResult
    model: keras.Model
    predictions: Predictions | None


def train(task: Task, state: State) -> Trained:
    """Trains from the last checkpoint, if any, to the end, and writes model.keras there.

    Args:
      task: whose run directory is held.
      state: from `build_state`.

    Raises:
      OutOfMemoryError: a step does not fit the device.
      TrainerError: damaged input, a full disk, or numbers that are no longer finite.
    """
    task.directory.store.tidy()
    if not resume(task, state) and task.parent is not None:
        save(task, state)
        state.writer.flush()  # From here on, the run that it begins with is not needed.
    if task.directory.config.fork is not None:
        state.stepper.count_from(task.directory.config.fork.optimizer_steps)
    task.directory.write_history(state.history)
    progress = EpochProgress(task.config.progress, task.config.epochs, task.train.records)
    progress.say(describe(task, state))
    for text in notes(task):
        progress.note(text)

    def stop(number: int) -> None:
        state.stop = number
        progress.say("stopping after this step; a second one stops at once, at the last checkpoint")

    with task.version.reading(), stopping_on_signal(stop), _writing(state.writer):
        status = _train_epochs(task, state, progress)
    result = _result(task, state, status)
    if result.finished:
        result = _with_kept_epoch(state, result, _write_best_model(task, state), progress)
    return Trained(result, state.stepper.model, state.predictions)


def build_state(task: Task) -> State:
    """Returns the state of a fresh run: its network is built, and nothing is read or written.

    Raises:
      UsageError, TrainerError: no such network, or its weights cannot be loaded.
    """
    config = task.config
    plan = optim.build(config, task.steps)
    loss = losses.build(config, task.train.selection.counts(task.train.split), plan.total_steps)
    with task.devices.strategy.scope():
        network = build_network(
            config, task.train.size, task.classes, synchronized=task.devices.replicas > 1
        )
        factors = optim.rate_factors(network, config)
        optimizer = optim.build_optimizer(config, plan, factors)
        stepper = Stepper(network, optimizer, loss, config, task.devices)
    return State(stepper, Meter(empty_tally(task.classes)))


def validation_stream(task: Task) -> tf.data.Dataset:
    """Returns the validation records in the order of their shards, unaugmented."""
    return stream_source(task.validation, task.config.fixed_batch_size)


def _train_epochs(task: Task, state: State, progress: EpochProgress) -> str:
    """Trains epoch by epoch; returns the status."""
    config = task.config
    predictor = inference.predictor(state.stepper.model)
    batches: Iterator[Batch] | None = None
    with ExitStack() as open_streams:
        while state.epoch < config.epochs:
            if _stopped_early(task, state):
                return "stopped_early"
            if 0 < config.stop_after_epoch <= state.epoch:
                return "paused"
            _enter_phase(task, state)
            predictions: Predictions | None = None
            if config.fits_head and state.epoch == 0:
                with failures.reading(task.train, config):
                    predictions = train_head(task, state, progress)
            else:
                if batches is None:
                    batches = _batches(task, state, open_streams)
                progress.start_epoch(state.epoch, state.meter.pictures)
                try:
                    _train_epoch(task, state, batches, progress)
                finally:
                    progress.close()
            if state.stop:
                save(task, state)
                return "interrupted"
            row = _close_epoch(task, state, predictor, predictions)
            progress.end_epoch(state.epoch - 1, epoch.summary(row, config))
    return "stopped_early" if _stopped_early(task, state) else "completed"


@contextmanager
def _writing(writer: Writer) -> Iterator[None]:
    """Waits for the last checkpoint at the end; not for long after an error, which it leaves."""
    try:
        yield
    except BaseException:
        with suppress(Exception):
            writer.flush(_PATIENCE)
        raise
    writer.flush()


def _stopped_early(task: Task, state: State) -> bool:
    config, since = task.config, task.directory.config.patient_from
    return history.stopped_early(state.history, config.monitor, config.early_stopping, since)


def _enter_phase(task: Task, state: State) -> None:
    """Makes the step that of the state's epoch: its rates, and the layers that it trains."""
    config = task.config
    state.stepper.enter(
        optim.phase_of(config, state.epoch),
        frozen=state.epoch < config.frozen_epochs,
        begins=state.epoch == config.frozen_epochs and state.step == 0,
    )


def _batches(task: Task, state: State, open_streams: ExitStack) -> Iterator[Batch]:
    """Returns the batches from the state's epoch and step on; fills a cache first.

    Args:
      task: of the run.
      state: where it is.
      open_streams: closes them.
    """
    with failures.reading(task.train, task.config):
        if task.devices.replicas > 1:
            return iter(_distributed_stream(task, state))
        epochs = _epochs(task, state)
        open_streams.callback(epochs.close)
        return epochs


def _train_epoch(
    task: Task, state: State, batches: Iterator[Batch], progress: EpochProgress
) -> None:
    """Trains from the state's step to the end of its epoch, or until asked to stop."""
    every = task.config.checkpoint_steps
    while state.step < task.steps and not state.stop:
        started = time.monotonic()
        state.writer.check()
        batch = _next(task, state, batches)
        waited = time.monotonic() - started
        packed = _execute(task, state, batch)
        timed, before = state.compiled, state.step
        state.in_flight.append(Execution(packed, state.global_step(task.steps) + 1, timed))
        state.step += steps_in(packed)
        saves = every and state.step // every > before // every and state.step < task.steps
        ends = saves or state.step >= task.steps or state.stop
        for pictures, loss in settle(task, state, keep=LATE if timed and not ends else 0):
            progress.update(pictures, loss)
        state.meter.spend(waited, time.monotonic() - started, timed=timed)
        state.compiled = True
        if not before and state.epoch == int(task.config.fits_head):
            task.directory.show_samples(_samples(batch), state.epoch)
        if saves:
            save(task, state)
    settle(task, state)


def _samples(batch: Batch) -> tf.Tensor:
    """Returns pictures as the step trained on them; of stacked batches those of the first."""
    if not batch.choices:
        return batch.images
    stacked = batch.labels.ndim == 2
    first = tf.nest.map_structure(lambda part: part[0], batch) if stacked else batch
    return on_device.augmented(first.images, first.choices)


def _close_epoch(
    task: Task,
    state: State,
    predictor: tf.types.experimental.PolymorphicFunction,
    predictions: Predictions | None,
) -> Row:
    """Validates, unless there are predictions already; records and saves a finished epoch."""
    stepper = state.stepper
    replaced = stepper.use_average()
    predictions = predictions or _predict(task, predictor)
    evaluation = _evaluate(task, state, predictions)
    row = epoch.metrics_row(
        state.epoch + 1,
        state.global_step(task.steps),
        state.meter,
        evaluation,
        stepper.learning_rate,
    )
    state.history = (*state.history, row)
    task.version.check()
    best = None
    if history.best_epoch(state.history, task.config.monitor) == len(state.history):
        arrays = checkpoints.capture(model_state(stepper.model))
        best = checkpoint_of(task, state, arrays)
        state.predictions = predictions
    stepper.put_back(replaced)
    state.epoch, state.step = state.epoch + 1, 0
    state.meter = Meter(empty_tally(task.classes))
    task.version.check()
    save_epoch(task, state, best)
    task.directory.add_epoch(state.history)
    return row


def _predict(task: Task, predictor: tf.types.experimental.PolymorphicFunction) -> Predictions:
    """Returns the predictions of the network on the validation split."""
    with failures.reading(task.validation, task.config):
        return inference.predict(predictor, validation_stream(task), task.devices.memory_device)


def _evaluate(task: Task, state: State, predictions: Predictions) -> metrics.Evaluation:
    """Returns the metrics of predictions on the validation split."""
    try:
        return metrics.evaluate(predictions, task.directory.config.train_counts)
    except metrics.DivergedError as error:
        raise failures.diverged(
            "validation gives logits that are not finite",
            task.directory,
            state.global_step(task.steps),
            state.epoch,
        ) from error


def _with_kept_epoch(
    state: State, result: RunResult, kept: int | None, progress: EpochProgress
) -> RunResult:
    """Returns the result with the epoch whose weights there are, and says where it is another."""
    if kept is None:
        progress.say("no best checkpoint: the weights of the last epoch are used in its place")
        return dataclasses.replace(result, weights="last")
    if kept == result.best_epoch or not 0 < kept <= len(state.history):
        return result
    progress.say(
        f"the weights are those of epoch {kept}, which an earlier version kept as the first of "
        f"equal ones. The present rule, the lowest loss of them, gives epoch {result.best_epoch}"
    )
    return dataclasses.replace(result, best_epoch=kept, best=state.history[kept - 1])


def _write_best_model(task: Task, state: State) -> int | None:
    """Puts the weights of the best epoch into the model and writes model.keras.

    Returns:
      That epoch, 1 for the first; None if its checkpoint is gone: the last weights, or their
      average with --ema, are written.
    """
    model = state.stepper.model
    best = task.directory.store.best()
    if best is not None and best.fingerprint not in task.directory.config.resumable:
        best = None  # Of another run, copied here.
    if best is None:
        state.stepper.use_average()
    else:
        checkpoints.assign(model_state(model), best.arrays)
    state.stepper.unfreeze()
    task.directory.write_model(model)
    return None if best is None else len(best.history)


def _epochs(task: Task, state: State) -> Epochs:
    """Returns the batches from the state's epoch and step to the end of the run."""
    config, device = task.config, task.devices.memory_device
    stream_of = epoch_streams(
        task.train,
        config.fixed_batch_size,
        config.seed,
        augment=on_device.chooser(config, task.devices) or augment.build(config),
        cache=config.cache,
        shuffle_buffer_mb=config.shuffle_buffer_mb,
        stack=config.steps_per_execution,
    )

    def open_epoch(number: int, step: int) -> Iterator[Batch]:
        stream = stream_of(number, step)
        if device is not None:
            stream = stream.apply(tf.data.experimental.prefetch_to_device(device))
        return iter(stream)

    emptying = buffered_records(task.train, config.shuffle_buffer_mb) // config.fixed_batch_size
    return Epochs(
        open_epoch,
        (state.epoch, state.step),
        config.epochs,
        task.steps,
        config.steps_per_execution,
        lead=emptying if config.cache == "none" else 1,
    )


def _distributed_stream(task: Task, state: State) -> tf.distribute.DistributedDataset:
    """Returns the batches from the state's epoch and step on, each shared among the replicas."""
    config = task.config
    stream = training_stream(
        task.train,
        config.fixed_batch_size,
        config.epochs,
        config.seed,
        augment=augment.build(config),
        start=(state.epoch, state.step),
        cache=config.cache,
        shuffle_buffer_mb=config.shuffle_buffer_mb,
    )
    return task.devices.strategy.experimental_distribute_dataset(stream)


def _next(task: Task, state: State, batches: Iterator[Batch]) -> Batch:
    """Returns the next batch; saves a checkpoint first where it cannot be read."""
    try:
        return next(batches)
    except tf.errors.OpError as error:
        save(task, state)
        if failures.is_out_of_memory(error):
            raise failures.exhausted(error, task.config) from error
        raise explain(error, task.train) from error


def _execute(task: Task, state: State, batch: Batch) -> tf.Tensor:
    """Gives an execution to the device; returns its tallies, which `settle` waits for."""
    with failures.stepping(task.config, deterministic=task.devices.deterministic):
        return state.stepper.run(batch)


def _result(task: Task, state: State, status: str) -> RunResult:
    best = history.best_epoch(state.history, task.config.monitor)
    return RunResult(
        status=status,
        epochs=len(state.history),
        step=state.global_step(task.steps),
        best_epoch=best,
        best=state.history[best - 1] if best else {},
        run_dir=task.directory.path,
        planned=task.config.epochs,
        stopped_by=state.stop,
    )
