"""The choices of a training run: what each may be, measured defaults, and what auto comes to.

And which flags do not change a run's result.
"""

from __future__ import annotations

AUGMENTATIONS = (
    "flip",
    "crop",
    "color",
    "rotate",
    "affine",
    "cutout",
    "randaugment",
    "mixup",
    "cutmix",
)
AUTO_AUGMENT = "auto"
# What auto comes to. Strong augmentation pays where a run sees each picture often, and costs
# where it does not: docs/ablation.md.
LIGHT, LIGHT_CROP = ("flip", "crop"), 0.5
STRONG, STRONG_CROP = ("flip", "crop", "color"), 0.35
STRONG_FROM = 40
# Where a flip makes one class of another: see `trainer.data.mirror`.
WITHOUT_FLIPS = ("crop", "color", "affine")
OPTIMIZERS = ("adamw", "sgd", "lamb", "lion")
LOSSES = ("cross_entropy", "balanced_softmax", "logit_adjusted", "focal")
MONITORS = ("val_macro_f1", "val_top1", "val_balanced_accuracy", "val_loss")

# Where --learning_rate is not given. Per 128 pictures a step for AdamW and Lion, per 256 for
# SGD (Goyal et al. 2017) and LAMB; see `default_learning_rate`.
DEFAULT_LEARNING_RATES = {"adamw": 3e-3, "sgd": 0.1, "lamb": 5e-3, "lion": 2e-4}
DEFAULT_WEIGHT_DECAYS = {"adamw": 0.05, "sgd": 5e-4, "lamb": 0.02, "lion": 0.5}

AUTO_BATCH = "auto"
DEFAULT_DROPOUT = 0.1
DEFAULT_EPOCHS = 30

# Shards read at a time: a batch is mixed from as many, and a disk or a bucket reads them together.
READ_PARALLELISM = 8

# Flags that change neither weights nor results: a run resumes whatever their values.
NOT_PART_OF_THE_RESULT = frozenset(
    {"data_dir", "run_dir", "resume", "verbose", "progress", "checkpoint_steps"}
    | {"stop_after_epoch", "fork_from", "fork_epoch"}  # A fork is known by what it began with.
    | {"recipe"}  # The flags that it sets are.
    | {"keep_checkpoints", "memory_growth", "gpu_memory_limit_mb", "device"}
)


def default_learning_rate(optimizer: str, batch_size: int) -> float:
    """Returns the peak learning rate where none is given, scaled to the batch.

    Linear in the batch for SGD (Goyal et al. 2017), by the square root for the adaptive
    ones (Malladi et al. 2022).
    """
    base = DEFAULT_LEARNING_RATES[optimizer]
    if optimizer == "sgd":
        return base * batch_size / 256
    reference = 256 if optimizer == "lamb" else 128
    return base * (batch_size / reference) ** 0.5


def auto_augmentations(epochs: int) -> tuple[str, ...]:
    """Returns what --augment=auto does to training pictures in a run of `epochs`."""
    return STRONG if epochs >= STRONG_FROM else LIGHT


def auto_crop(epochs: int) -> float:
    """Returns the smallest area of a crop, as a fraction, with --augment=auto."""
    return STRONG_CROP if epochs >= STRONG_FROM else LIGHT_CROP
