"""The first epoch of `--freeze=backbone`: features once, and a head fitted on them."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import tensorflow as tf

from trainer.data import augment as augments
from trainer.data.selection import Source
from trainer.features import backbone as backbones
from trainer.features import head as heads
from trainer.features.extract import Extractor, Features, index_of
from trainer.features.head import Head, Objective
from trainer.features.store import FOLDER
from trainer.metrics import metrics
from trainer.metrics.metrics import Predictions
from trainer.models.head import head_of
from trainer.runs.history import LOSS, best_epoch
from trainer.train import losses
from trainer.train.progress import EpochProgress
from trainer.train.state import State, Task
from trainer.train.step import Tally


def train_head(task: Task, state: State, progress: EpochProgress) -> Predictions | None:
    """Puts the best head into the network; does nothing more once it is asked to stop.

    The metrics of the epoch are those of the head on the training features.

    Returns:
      The network's predictions on validation, which need no second pass over its pictures: they
      differ by the 16 bits of the features. None if it was stopped.

    Raises:
      UsageError: the network's head is not a linear one.
      TrainerError: the features cannot be stored.
    """
    started = time.monotonic()
    extractor = _extractor(task, state, progress)
    train = _training_features(task, extractor)
    validation = _features(task.validation, extractor)
    if train is None or validation is None:
        return None
    head, predictions = _best(task, train, validation, progress)
    layer = head_of(state.stepper.model, "--freeze=backbone")
    layer.set_weights([head.kernel, head.bias])
    state.stepper.restart_average()
    seconds = time.monotonic() - started
    state.meter.add([_tally(task, train, head)], timed=True)
    state.meter.spend(0.0, seconds, timed=True)
    state.step = task.steps
    return predictions


def _extractor(task: Task, state: State, progress: EpochProgress) -> Extractor:
    backbone = backbones.backbone_of(state.stepper.model)
    return Extractor(
        backbone=backbone,
        network=backbones.digest(backbone, task.config.model),
        model_name=task.config.model,
        dataset=task.directory.config.dataset.digest,
        runtimes=backbones.Runtimes(backbone, on_cpu=task.devices.kind == "cpu"),
        fallback=task.directory.path / FOLDER,
        say=progress.say,
        progress=task.config.progress,
        stopped=lambda: bool(state.stop),
    )


def _features(source: Source, extractor: Extractor) -> Features | None:
    return extractor.features(source, index_of(source))


def _training_features(task: Task, extractor: Extractor) -> Features | None:
    """Returns the features of --feature_views views: the pictures as they are, then augmented."""
    index = index_of(task.train)
    views = [extractor.features(task.train, index)]
    augment = augments.build(task.config)
    for view in range(1, task.config.feature_views if augment else 1):
        if views[-1] is None:
            return None
        views.append(extractor.features(task.train, index, augment, (task.config.seed, view)))
    whole = [view for view in views if view is not None]
    if len(whole) < len(views):
        return None
    return Features(
        np.concatenate([view.values for view in whole]),
        np.concatenate([view.labels for view in whole]),
        tuple(id_ for view in whole for id_ in view.ids),
    )


def _best(
    task: Task, train: Features, validation: Features, progress: EpochProgress
) -> tuple[Head, Predictions]:
    """Returns the head with the best --monitor on validation, and its predictions there.

    Of equals it is the one with the lowest validation loss, then the most regularised.
    """
    monitor = task.config.monitor
    rows: list[dict[str, float]] = []
    tried: list[tuple[Head, Predictions]] = []
    for head in heads.fits(Objective(train, task.classes, _loss(task))):
        predictions = Predictions(
            validation.ids, validation.labels.astype(np.int64), head.logits(validation.values)
        )
        evaluation = metrics.evaluate(predictions, task.directory.config.train_counts)
        score = getattr(evaluation, monitor.removeprefix("val_"))
        rows.append({LOSS: evaluation.loss_uncalibrated, monitor: score})
        tried.append((head, predictions))
    chosen = (best_epoch(rows, monitor) or 1) - 1
    penalty, values = tried[chosen][0].penalty, rows[chosen]
    loss = "" if monitor == LOSS else f", loss {values[LOSS]:.4f}"
    others = ", ".join(
        f"{head.penalty:g}: {row[monitor]:.4f}" for (head, _), row in zip(tried, rows, strict=True)
    )
    progress.say(
        f"head: regularisation {penalty:g} with {monitor} {values[monitor]:.4f}{loss} ({others})"
    )
    return tried[chosen]


def _loss(task: Task) -> heads.LossFunction:
    """Returns the loss of the flags; what --defer_weights would delay takes effect at once."""
    counts = task.train.selection.counts(task.train.split)
    loss = dataclasses.replace(losses.build(task.config, counts, total_steps=1), start_step=0)
    return lambda logits, targets: loss(logits, targets, tf.constant(0, tf.int64))


def _tally(task: Task, train: Features, head: Head) -> Tally:
    """Returns the head's results on the training features, as those of one step."""
    logits = head.logits(train.values)
    targets = tf.one_hot(train.labels, task.classes)
    predicted = logits.argmax(axis=1)
    right = np.bincount(train.labels[predicted == train.labels], minlength=task.classes)
    return Tally(
        np.asarray(np.sum(_loss(task)(tf.constant(logits), targets)), np.float64),
        right.astype(np.float64),
        np.bincount(predicted, minlength=task.classes).astype(np.float64),
        np.bincount(train.labels, minlength=task.classes).astype(np.float64),
    )
