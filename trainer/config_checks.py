"""What a training run's flags must be: each within its range, and no two that contradict."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tfrecords.errors import UsageError
from trainer import remote
from trainer.choices import AUTO_AUGMENT, AUTO_BATCH, DEFAULT_EPOCHS
from trainer.recipes.flags import (
    AUTO,
    FINETUNE,
    HEAD,
    IMAGENET,
    MULTILEVEL,
    NO_WEIGHTS,
    OWN_MODEL,
    is_multilevel,
)

if TYPE_CHECKING:
    from trainer.config import TrainConfig

_RANGES: dict[str, tuple[float, float]] = {
    "per_class": (1, 10**9),
    "num_classes": (2, 10**6),
    "shuffle_buffer_mb": (1, 10**6),
    "read_parallelism": (1, 1024),
    "dropout": (0, 0.95),
    "freeze_epochs": (0, 10**6),
    "backbone_rate": (0, 1),
    "layer_decay": (0.01, 1),
    "feature_views": (1, 100),
    "unfreeze_epochs": (0, 10**6),
    "epochs": (1, 10**6),
    "grad_accum": (1, 10**4),
    "learning_rate": (0, 1e3),
    "warmup_epochs": (0, 10**6),
    "momentum": (0, 0.9999),
    "weight_decay": (0, 10),
    "clip_norm": (0, 1e6),
    "label_smoothing": (0, 0.9),
    "ema": (0, 0.99999),
    "early_stopping": (0, 10**6),
    "logit_adjustment": (0, 10),
    "focal_gamma": (0, 10),
    "effective_beta": (0, 0.9999999),
    "defer_weights": (0, 1),
    "crop_scale": (0.01, 1),
    "rotate_degrees": (0, 180),
    "randaugment_magnitude": (0, 10),
    "mixup_alpha": (1e-3, 100),
    "cutmix_alpha": (1e-3, 100),
    "gpu_memory_limit_mb": (0, 10**7),
    "steps_per_execution": (1, 10**4),
    "seed": (0, 2**31 - 1),
    "stop_after_epoch": (0, 10**6),
    "checkpoint_steps": (0, 10**9),
    "keep_checkpoints": (1, 10**4),
}


def check(config: TrainConfig) -> None:
    """Checks a configuration whose recipe is settled.

    Raises:
      UsageError: a value out of range, or two that contradict each other.
    """
    _check_ranges(config)
    _check_batch(config)
    _check_freeze(config)
    _check_fork(config)
    _check_classes(config)
    _check_augment(config)
    _check_weights(config)
    _check_features(config)
    _check_distribution(config)


def head_at_once(config: TrainConfig) -> str:
    """Returns what is said of epochs that are given for a head: by the recipe that was given."""
    out = "leave out --epochs"
    if config.recipe == HEAD:
        return (
            f"--recipe=head fits the head at once: {out}; --recipe=finetune --unfreeze_epochs=N "
            "trains the whole network afterwards"
        )
    out += " and --freeze_epochs" if config.freeze_epochs or config.recipe == AUTO else ""
    if config.recipe == FINETUNE:
        return (
            "--recipe=finetune fits the head at once, and then trains the whole network for "
            f"--unfreeze_epochs: {out}, and give --unfreeze_epochs=N"
        )
    return (
        f"--freeze=backbone fits the head at once: {out}; --unfreeze_epochs=N trains the whole "
        "network afterwards"
    )


def _check_ranges(config: TrainConfig) -> None:
    for name, (low, high) in _RANGES.items():
        value = getattr(config, name)
        if value is not None and not low <= value <= high:
            raise UsageError(f"--{name} must be {low:,} to {high:,}, not {value:,}")


def _check_batch(config: TrainConfig) -> None:
    if config.batch_size != AUTO_BATCH and config.fixed_batch_size % config.grad_accum:
        raise UsageError(
            f"--grad_accum={config.grad_accum} must divide --batch_size={config.batch_size}"
        )


def _check_freeze(config: TrainConfig) -> None:
    if not config.fits_head:
        if config.unfreeze_epochs or config.feature_views > 1:
            raise UsageError(
                "--unfreeze_epochs and --feature_views go with --freeze=backbone: give it too"
            )
        return
    if config.epochs not in (DEFAULT_EPOCHS, 1 + config.unfreeze_epochs) or config.freeze_epochs:
        raise UsageError(head_at_once(config))
    if config.feature_views > 1 and set(config.augmentations) & {"mixup", "cutmix"}:
        raise UsageError("--feature_views gives each picture one label: leave out mixup, cutmix")


def _check_fork(config: TrainConfig) -> None:
    remote.check_local("fork_from", config.fork_from)
    if config.fork_epoch != "last" and not config.fork_from:
        raise UsageError("--fork_epoch goes with --fork_from: give the run to begin with")
    if config.fork_from and os.path.realpath(config.fork_from) == os.path.realpath(config.run_dir):
        raise UsageError(
            "--fork_from and --run_dir are one directory: give the new run another --run_dir"
        )


def _check_classes(config: TrainConfig) -> None:
    if config.classes and config.num_classes:
        raise UsageError("--classes and --num_classes exclude each other: give one")


def _check_augment(config: TrainConfig) -> None:
    if AUTO_AUGMENT in config.augment and len(config.augment) > 1:
        raise UsageError("--augment=auto stands alone: give it, or name what to do")


def _check_weights(config: TrainConfig) -> None:
    if config.frozen_epochs and config.weights == NO_WEIGHTS and not config.fork_from:
        flag_name = "--freeze=backbone" if config.fits_head else "--freeze_epochs"
        raise UsageError(f"{flag_name} trains a head on given weights: give --weights too")
    if config.weights == IMAGENET and (config.model == OWN_MODEL or ":" in config.model):
        raise UsageError(
            f"--weights=imagenet: {config.model} has none; give a file, or --model="
            "efficientnet-lite0 or another that has them"
        )


def _check_features(config: TrainConfig) -> None:
    if config.head_features == MULTILEVEL and not is_multilevel(config.model):
        raise UsageError(
            f"--head_features=multilevel is there for efficientnet-lite, not for {config.model}: "
            "leave it out, or give --model=efficientnet-lite0"
        )


def _check_distribution(config: TrainConfig) -> None:
    compiles = config.jit_compile == "on"
    if config.distribute == "mirrored" and (config.steps_per_execution > 1 or compiles):
        raise UsageError(
            "--distribute=mirrored works with --steps_per_execution=1 and --jit_compile=off"
        )
