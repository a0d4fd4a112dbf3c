"""What --recipe=auto chooses, why, and what each recipe costs.

Nobody is to get a worse result by default than a linear head on pretrained features.
docs/learning.md tells what the bounds rest on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainer.recipes.flags import (
    ENLARGED_TO,
    FINETUNE,
    FULL_UP_TO,
    HEAD,
    SCRATCH,
    UNFREEZE_EPOCHS,
    refused,
)

INSTALL = "pip install 'evenshard[pretrained]'"

# From this many pictures on, each smaller than this side in pixels, a network of our own learns
# more in minutes than a head finds in enlarged pictures. docs/learning.md has the numbers.
SCRATCH_BELOW, SCRATCH_FROM = 48, 4_000

# Pictures of `_RATED_SIDE` pixels a second and core: docs/learning.md, "What a recipe costs".
_RATED_SIDE = 160
_FEATURES, _FEATURES_BY_TENSORFLOW = 160.0, 80.0
_WHOLE_NETWORK = 40.0

# CPU milliseconds of fitting a head, a picture and class: the line search looks at all of them some
# 150 times.
_FIT = 0.05

# Milliseconds of a core for a picture in a step of springfield_cnn: so many whatever its size, and
# so many for each 1,000 pixels, behind the stem and at full resolution.
_SCRATCH_EACH, _SCRATCH_BEHIND_STEM, _SCRATCH_AT_FULL = 1.2, 0.38, 2.3

# Starting and the report.
ALWAYS_SECONDS = 20.0


@dataclass(frozen=True)
class Situation:
    """What a choice depends on.

    Attributes:
      train, validation: pictures of each split.
      classes: that the network tells apart.
      size: (height, width) that the network sees.
      epochs: that --recipe=scratch would take.
      gpu: whether it computes on a GPU.
      cores: to compute with.
      weights: whether ImageNet weights are installed.
      onnxruntime: whether features are computed by it.
    """

    train: int
    validation: int
    classes: int
    size: tuple[int, int]
    epochs: int
    gpu: bool
    cores: int
    weights: bool
    onnxruntime: bool


@dataclass(frozen=True)
class Choice:
    """A recipe, and why.

    Attributes:
      recipe: "scratch", "head" or "finetune".
      reason: for people.
    """

    recipe: str
    reason: str


def choose(situation: Situation) -> Choice:
    """Returns the recipe for a situation in which no flag has decided."""
    side = min(situation.size)
    if not situation.weights:
        return Choice(SCRATCH, "pretrained weights are not installed")
    if side < SCRATCH_BELOW and situation.train >= SCRATCH_FROM:
        return Choice(
            SCRATCH,
            f"{situation.train:,} pictures of {side} pixels are enough to train from scratch, "
            "which is better at this size",
        )
    if situation.gpu:
        return Choice(FINETUNE, "pretrained weights are installed, and there is a GPU")
    return Choice(HEAD, "pretrained weights are installed, and there is no GPU")


def describe(recipe: str, reason: str, situation: Situation) -> str:
    """Returns the line that says what was chosen and why, and what else there is.

    Args:
      recipe: chosen.
      reason: for people.
      situation: in which it was.
    """
    others = [other for other in (HEAD, FINETUNE, SCRATCH) if other != recipe]
    parts = ", ".join(f"--recipe={other}{_cost(other, situation)}" for other in others)
    line = f"recipe: {recipe}{_cost(recipe, situation)}, since {reason}; the others: {parts}"
    if situation.weights:
        return line
    return f"{line}; for photographs, {INSTALL} and give --recipe=head"


def describe_own(given: Sequence[str], situation: Situation) -> str:
    """Returns the line that says why flags have led to training from scratch.

    Where pretrained weights would have been taken without these, it says how to have them.

    Args:
      given: the flags that decided; none where they were given at their default.
      situation: of the run.
    """
    names = " and ".join(filter(None, (", ".join(_dashed(given[:-1])), *_dashed(given[-1:]))))
    reason = f"{names} {'is' if len(given) == 1 else 'are'} given" if given else "its flags say so"
    if choose(situation).recipe == SCRATCH or "fork_from" in given:
        return describe(SCRATCH, reason, situation)
    ways = ", or ".join(
        f"--recipe={recipe}{_cost(recipe, situation)}{_changed(recipe, given)}"
        for recipe in (HEAD, FINETUNE)
    )
    return (
        f"recipe: scratch{_cost(SCRATCH, situation)}, since {reason}; for the pretrained network "
        f"give {ways}"
    )


def _changed(recipe: str, given: Sequence[str]) -> str:
    """Returns what must change of the flags that were given, for a recipe to accept them."""
    if recipe == FINETUNE:
        return " with --unfreeze_epochs=N in place of --epochs" if "epochs" in given else ""
    out = [name for name in given if name == "epochs" or name in refused(recipe, given)]
    return f" without {', '.join(_dashed(out))}" if out else ""


def _dashed(names: Sequence[str]) -> list[str]:
    return [f"--{name}" for name in names]


def seconds(recipe: str, situation: Situation) -> float:
    """Returns an estimate of the wall time of a recipe on the cores, report included."""
    work = training_seconds(recipe, situation, UNFREEZE_EPOCHS)
    if recipe != SCRATCH:
        work += feature_seconds(situation.train + situation.validation, situation)
    return ALWAYS_SECONDS + work / situation.cores


def feature_seconds(pictures: int, situation: Situation) -> float:
    """Returns CPU seconds of the features of `pictures` by the frozen network."""
    rate = _FEATURES if situation.onnxruntime else _FEATURES_BY_TENSORFLOW
    return pictures * _rated_pictures(situation.size) / rate


def training_seconds(recipe: str, situation: Situation, unfreeze_epochs: int) -> float:
    """Returns CPU seconds of training, without those of features.

    Args:
      recipe: "scratch", "head" or "finetune".
      situation: of the run.
      unfreeze_epochs: of the whole network, of "finetune".
    """
    if recipe == SCRATCH:
        return situation.epochs * situation.train * _scratch_step(*situation.size)
    fit = situation.train * situation.classes * _FIT / 1000
    if recipe == HEAD:
        return fit
    seen = unfreeze_epochs * situation.train
    return fit + seen * _rated_pictures(situation.size) / _WHOLE_NETWORK


def rounded(value: float) -> str:
    """Returns a number of seconds for people: "40 s", "4 min" or "2 h"."""
    minutes = value / 60
    if minutes < 1.5:
        return f"{max(1, round(value / 10)) * 10} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.0f} h"


def _rated_pictures(size: tuple[int, int]) -> float:
    """Returns how many pictures of the rated size one is worth, as the network sees it."""
    height, width = size
    enlarged = max(1, ENLARGED_TO // max(height, width)) ** 2
    return enlarged * height * width / _RATED_SIDE**2


def _scratch_step(height: int, width: int) -> float:
    """Returns CPU seconds of springfield_cnn for a picture of one epoch."""
    full = max(height, width) <= FULL_UP_TO
    rate = _SCRATCH_AT_FULL if full else _SCRATCH_BEHIND_STEM
    return (_SCRATCH_EACH + rate * height * width / 1000) / 1000


def _cost(recipe: str, situation: Situation) -> str:
    """Returns ", about 4 min" in brackets; nothing on a GPU, whose speed is not known."""
    return "" if situation.gpu else f" (about {rounded(seconds(recipe, situation))})"
