"""What --recipe sets, and which flags a person may give beside it.

A recipe is a short name for flags: once they are filled in, the flags are all that counts, and
the same flags without the name are the same run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tfrecords.errors import UsageError

AUTO, SCRATCH, HEAD, FINETUNE = "auto", "scratch", "head", "finetune"
RECIPES = (AUTO, SCRATCH, HEAD, FINETUNE)

# --model where none is given, until the recipe is settled.
AUTO_MODEL = "auto"
OWN_MODEL, PRETRAINED_MODEL = "springfield_cnn", "efficientnet-lite0"
NO_WEIGHTS, IMAGENET = "none", "imagenet"
FREEZE_BACKBONE = "backbone"

# --head_features: what the head sees. auto is settled with the recipe.
AUTO_FEATURES, LAST, MULTILEVEL = "auto", "last", "multilevel"
HEAD_FEATURES = (AUTO_FEATURES, LAST, MULTILEVEL)

# Small pictures are enlarged by a whole factor to at most this side, pixels: the network was
# trained on 224, and its last maps of a picture of 32 are one pixel wide. On 20 classes of plankton
# at 32 pixels a head has macro-F1 0.480 without, 0.670 at 64, 0.702 at 128 and 0.728 at 160.
ENLARGED_TO = 160

# springfield_cnn sees pictures whose longer side is at most this at full resolution; its stem
# quarters others.
FULL_UP_TO = 48

# Epochs of the whole network after the head. On grocery81 top-1 is 0.697 after 3, 0.716 after 5 and
# 0.748 after 8 (docs/learning.md).
UNFREEZE_EPOCHS = 8

_OF_LOADED = (
    "weights", "partial_weights", "freeze", "freeze_epochs", "feature_views", "unfreeze_epochs",
    "backbone_rate", "layer_decay", "train_batch_norm",
)  # fmt: skip
OF_STEPS = (
    "wide", "dropout", "epochs", "grad_accum", "optimizer", "learning_rate", "schedule",
    "warmup_epochs", "momentum", "weight_decay", "clip_norm", "ema", "early_stopping",
    "defer_weights",
)  # fmt: skip
OF_AUGMENTATION = (
    "augment", "crop_scale", "rotate_degrees", "randaugment_magnitude", "mixup_alpha",
    "cutmix_alpha",
)  # fmt: skip

# Whoever gives one of these has a training of their own in mind: --recipe=auto changes nothing.
DECIDING = (
    "model",
    "head_features",
    *_OF_LOADED,
    *OF_STEPS,
    *OF_AUGMENTATION,
    "batch_size",
    "distribute",
    "fork_from",
)

# What a recipe has no use for. `epochs` of a head is judged with --freeze=backbone.
_NOT_OF_SCRATCH = _OF_LOADED
_NOT_OF_HEAD = (
    *(name for name in OF_STEPS if name != "epochs"),
    "freeze_epochs", "unfreeze_epochs", "backbone_rate", "layer_decay", "train_batch_norm",
)  # fmt: skip

_NO_USE = {
    SCRATCH: "--recipe=scratch starts from random weights and does not use --{name}: leave it out, "
    "or give --recipe=head or --recipe=finetune",
    HEAD: "--recipe=head fits the head at once and does not use --{name}: leave it out, or give "
    "--recipe=finetune",
}


def is_open(recipe: str, given: Collection[str]) -> bool:
    """Returns whether --recipe=auto may choose: no flag that was given decides it.

    Args:
      recipe: --recipe.
      given: names of the flags with another value than their default.
    """
    return recipe == AUTO and not set(given) & set(DECIDING)


def refused(recipe: str, given: Collection[str]) -> tuple[str, ...]:
    """Returns those of the given flags that a recipe has no use for."""
    if recipe == SCRATCH:
        return tuple(name for name in _NOT_OF_SCRATCH if name in given)
    if recipe != HEAD:
        return ()
    augments = () if "feature_views" in given else OF_AUGMENTATION
    return tuple(name for name in (*_NOT_OF_HEAD, *augments) if name in given)


def settle(recipe: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the flags that a recipe sets beside those that were given.

    Settling again, with the result among the given, changes nothing. Of --recipe=auto that is
    still open nothing is set, and --model stays "auto".

    Args:
      recipe: --recipe.
      given: flag → value, of those with another value than their default.

    Raises:
      UsageError: a flag contradicts the recipe.
    """
    for name in refused(recipe, given):
        raise UsageError(_NO_USE[recipe].format(name=name))
    if is_open(recipe, given):
        return {}
    filled = _network(recipe, given)
    if "head_features" not in given:
        filled["head_features"] = _features({**given, **filled})
    return filled


def set_by(recipe: str, given: Mapping[str, Any]) -> frozenset[str]:
    """Returns those of the given flags that a recipe would set to the same value by itself.

    Args:
      recipe: --recipe; of auto nothing is, for the flags are all that counts.
      given: flag → value, of a configuration that is settled.
    """
    if recipe == AUTO:
        return frozenset()
    rest = dict(given)
    for name in ("unfreeze_epochs", "head_features", "freeze", "model", "weights"):
        fewer = {flag: value for flag, value in rest.items() if flag != name}
        if not refused(recipe, fewer) and fewer | settle(recipe, fewer) == dict(given):
            rest = fewer
    return frozenset(given.keys() - rest.keys())


def changed(settled: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Returns flag → value of what was replaced since a recipe had set it; auto is no value.

    Args:
      settled: flag → value, as the recipe set them.
      now: flag → value, of these at least.
    """
    return {name: now[name] for name in settled if now[name] not in (settled[name], AUTO)}


def left(recipe: str, settled: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Returns the flags that a recipe had set and that it may set anew: they were not replaced.

    Without a recipe's name the flags are all that counts; only the epochs of a head follow others.
    """
    names = [name for name in settled if name not in changed(settled, now)]
    return names if recipe != AUTO else [name for name in names if name == "epochs"]


def is_multilevel(model: str) -> bool:
    """Returns whether --head_features=multilevel is there for a network of --model."""
    plain = "".join(character for character in model.lower() if character.isalnum())
    return plain.startswith("efficientnetlite")


def _network(recipe: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the network, and how it is trained, where a flag does not say."""
    if recipe in (HEAD, FINETUNE):
        return _with_weights(recipe, given)
    if recipe == AUTO and given.get("freeze") == FREEZE_BACKBONE and "model" not in given:
        return _with_weights(HEAD, given)
    return {} if "model" in given else {"model": OWN_MODEL}


def _features(flags: Mapping[str, Any]) -> str:
    """Returns what --head_features=auto comes to.

    Epochs of the whole network bring the last maps what the earlier ones have, and a head that sees
    all of them is thrown off farther when they begin.
    """
    known = flags.get("weights") == IMAGENET and is_multilevel(flags["model"])
    alone = flags.get("freeze") == FREEZE_BACKBONE and not flags.get("unfreeze_epochs")
    return MULTILEVEL if known and alone else LAST


def _with_weights(recipe: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what head and finetune set; a file of weights is by default of our own network."""
    weights = given.get("weights", IMAGENET)
    own = weights != IMAGENET
    filled = {"weights": weights, "model": OWN_MODEL if own else PRETRAINED_MODEL}
    if recipe == HEAD or "freeze_epochs" not in given:
        filled["freeze"] = FREEZE_BACKBONE
    if recipe == FINETUNE and "freeze_epochs" not in given:
        filled["unfreeze_epochs"] = UNFREEZE_EPOCHS
    return {name: value for name, value in filled.items() if name not in given}
