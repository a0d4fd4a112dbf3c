"""Flags that are given and change nothing in a run: said before it, so that nobody trusts one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from tfrecords.cli import flags
from trainer.choices import NOT_PART_OF_THE_RESULT
from trainer.config import TrainConfig
from trainer.recipes.flags import IMAGENET, NO_WEIGHTS, OF_AUGMENTATION, OF_STEPS, OWN_MODEL

# Flags that have their say in a run's length, whatever trains it.
_OF_LENGTH = ("epochs",)

# What an augmentation's strength goes with, of --augment.
_STRENGTHS = {
    "crop_scale": "crop",
    "rotate_degrees": "rotate",
    "randaugment_magnitude": "randaugment",
    "mixup_alpha": "mixup",
    "cutmix_alpha": "cutmix",
}


@dataclass(frozen=True)
class _Rule:
    """When flags count.

    Attributes:
      names: of the flags.
      counts: whether they do in a run of a configuration.
      needs: what they go with.
    """

    names: tuple[str, ...]
    counts: Callable[[TrainConfig], bool]
    needs: str


def _has_steps(config: TrainConfig) -> bool:
    return not config.fits_head or config.unfreeze_epochs > 0


def _augments_by(name: str) -> Callable[[TrainConfig], bool]:
    return lambda config: name in config.augmentations


def _adjusts(config: TrainConfig) -> bool:
    adjusts = config.loss == "logit_adjusted" and config.logit_adjustment > 0
    return adjusts or config.loss == "balanced_softmax" or config.class_weights != "none"


# The first rule that finds a flag idle is told.
_RULES = (
    _Rule(
        tuple(name for name in OF_STEPS if name not in _OF_LENGTH),
        _has_steps,
        "--unfreeze_epochs=N, since --freeze=backbone alone takes no steps",
    ),
    _Rule(
        OF_AUGMENTATION,
        lambda config: config.augments,
        "--feature_views=K or --unfreeze_epochs=N, since a head on features sees no augmentation",
    ),
    *(_Rule((name,), _augments_by(of), f"--augment={of}") for name, of in _STRENGTHS.items()),
    _Rule(("focal_gamma",), lambda config: config.loss == "focal", "--loss=focal"),
    _Rule(
        ("logit_adjustment",),
        lambda config: config.loss == "logit_adjusted",
        "--loss=logit_adjusted",
    ),
    _Rule(
        ("effective_beta",),
        lambda config: config.class_weights == "effective",
        "--class_weights=effective",
    ),
    _Rule(("defer_weights",), _adjusts, "--class_weights, or a --loss that adjusts the logits"),
    _Rule(("momentum",), lambda config: config.optimizer == "sgd", "--optimizer=sgd"),
    _Rule(("wide",), lambda config: config.model == OWN_MODEL, f"--model={OWN_MODEL}"),
    _Rule(
        ("partial_weights",),
        lambda config: config.weights not in (NO_WEIGHTS, IMAGENET),
        "--weights=FILE",
    ),
    _Rule(
        ("backbone_rate", "layer_decay", "train_batch_norm"),
        lambda config: config.weights != NO_WEIGHTS,
        "--weights",
    ),
    _Rule(
        ("backbone_rate", "layer_decay", "train_batch_norm"),
        lambda config: config.frozen_epochs < config.epochs,
        "epochs in which the backbone is not frozen",
    ),
)


def idle(config: TrainConfig) -> dict[str, str]:
    """Returns flag → what it goes with, of those that are given and change nothing in a run."""
    given = flags.given(config)
    found: dict[str, str] = {}
    for rule in _RULES:
        if config.is_open or rule.counts(config):
            continue
        for name in rule.names:
            if name in given:
                found.setdefault(name, rule.needs)
    return found


def notes(config: TrainConfig) -> list[str]:
    """Returns a line for each flag that is given and changes nothing in a run."""
    lines = [
        f"--{name}={flags.to_text(config, name)} changes nothing here: it goes with {needs}"
        for name, needs in idle(config).items()
    ]
    if config.learning_rate == 0 and _has_steps(config):
        lines.append("--learning_rate=0 changes no weight: nothing is learnt")
    return lines


def effective(config: TrainConfig) -> str:
    """Returns what a run is, as text: that of two configurations is equal if their results are."""
    left_out = NOT_PART_OF_THE_RESULT | idle(config).keys()
    values = {
        name: flags.to_text(config, name) for name in flags.given(config) if name not in left_out
    }
    forked = [config.fork_from, config.fork_epoch if config.fork_from else ""]
    return json.dumps([values, forked], sort_keys=True)
