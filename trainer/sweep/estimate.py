"""How long a sweep will take: the sum over its trials, with shared features counted once.

The rates are those of the line that says which recipe was chosen (`trainer.recipes.choice`).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

from tfrecords.system import cores
from trainer.config import TrainConfig
from trainer.recipes import choice
from trainer.recipes.choice import Situation
from trainer.recipes.flags import (
    FINETUNE,
    HEAD,
    IMAGENET,
    NO_WEIGHTS,
    OWN_MODEL,
    PRETRAINED_MODEL,
    SCRATCH,
)
from trainer.sweep import halving, trials
from trainer.sweep.config import SweepConfig
from trainer.sweep.trials import Entry
from trainer.train import recipe


def line(config: SweepConfig, entries: Sequence[Entry], *, gpu: bool) -> str:
    """Returns the line that says how long the trials that are left will take.

    "" where nothing is left, or where a GPU computes, whose speed is not known.

    Args:
      config: of the sweep.
      entries: its trials, with recipes settled.
      gpu: whether there is a GPU.
    """
    left = [entry for entry in entries if entry.status not in (trials.DONE, trials.REFUSED)]
    counted = [entry for entry in left if recipe_of(entry.trial.config) is not None]
    on_gpu = gpu and any(entry.trial.config.device != "cpu" for entry in left)
    if not counted or on_gpu:
        return ""
    total = choice.rounded(seconds(config, counted))
    text = (
        f"estimate: about {total} for {_count(len(counted), 'trial')}, starts and reports included"
    )
    if sum(entry.trial.config.fits_head for entry in counted) > 1:
        text += "; features that trials share are counted once"
    others = len(left) - len(counted)
    return f"{text}; {_count(others, 'trial')} of other networks not counted" if others else text


def seconds(config: SweepConfig, entries: Iterable[Entry]) -> float:
    """Returns an estimate of the wall time of trials on the cores, in seconds.

    Args:
      config: of the sweep.
      entries: the trials, each of a recipe that `recipe_of` knows.
    """
    features: dict[Hashable, float] = {}
    work = starts = 0.0
    entries = list(entries)
    for entry in entries:
        trial, situation = entry.trial.config, _situation(entry)
        known = recipe_of(trial) or SCRATCH
        share, begun = _of_halving(config, len(entries), trial.epochs)
        share *= 1 - min(entry.progress.epochs, trial.epochs) / trial.epochs
        work += share * choice.training_seconds(known, situation, trial.unfreeze_epochs)
        starts += begun
        if known != SCRATCH:
            pictures = situation.train * trial.feature_views + situation.validation
            key = _features_of(entry)
            found = choice.feature_seconds(pictures, situation)
            features[key] = max(features.get(key, 0.0), found)
    work += sum(features.values())
    at_once = min(config.parallel, len(entries))
    return choice.ALWAYS_SECONDS * starts / at_once + work / cores.usable()


def recipe_of(config: TrainConfig) -> str | None:
    """Returns the recipe whose rates a trial has; None where they are not known."""
    pretrained = (config.model, config.weights) == (PRETRAINED_MODEL, IMAGENET)
    if pretrained and config.fits_head:
        return FINETUNE if config.unfreeze_epochs else HEAD
    own = (config.model, config.weights) == (OWN_MODEL, NO_WEIGHTS)
    return SCRATCH if own and not config.wide else None


def _situation(entry: Entry) -> Situation:
    found = entry.training_set
    if found is None:
        raise ValueError(f"{entry.name} is refused, and takes no time")
    return Situation(
        train=found.pictures,
        validation=found.validation,
        classes=found.classes,
        size=found.size,
        epochs=entry.trial.config.epochs,
        gpu=False,
        cores=cores.usable(),
        weights=True,
        onnxruntime=recipe.has_onnxruntime(),
    )


def _features_of(entry: Entry) -> Hashable:
    """Returns what trials that share their features have in common.

    Their selections are nested, and folds share the shards: the largest trial's hold the others'.
    """
    trial, size = entry.trial.config, entry.training_set and entry.training_set.size
    views = trial.feature_views
    return (size, views, trial.seed, trial.augmentations) if views > 1 else (size, views)


def _of_halving(config: SweepConfig, count: int, epochs: int) -> tuple[float, float]:
    """Returns of a trial, on average, the share of its epochs that is trained, and its starts."""
    if not config.halving:
        return 1.0, 1.0
    alive, before, trained, starts = count, 0, 0.0, 0.0
    for pause in (*halving.rung_epochs(epochs, config.halving, config.rungs), epochs):
        trained += alive * (pause - before)
        starts += alive if pause > before else 0
        alive, before = math.ceil(alive / config.halving), pause
    return trained / (count * epochs), starts / count


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
