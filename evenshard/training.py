"""Training from Python: `train`, which the command of this name does too."""

from __future__ import annotations

from collections.abc import Sequence

from evenshard.arguments import (
    PathLike,
    configuration,
    documented,
    naming_arguments,
    speaking_python,
)
from evenshard.frameworks.tensorflow_state import trainer_session
from evenshard.running import Run
from tfrecords.errors import UsageError
from trainer.config import TrainConfig

ImageSize = int | str | tuple[int, int]


@documented(TrainConfig)
@naming_arguments()
@speaking_python()
def train(
    data_dir: PathLike | TrainConfig,
    run_dir: PathLike = "",
    *,
    train_split: str = "train",
    validation_split: str = "validation",
    fold: int | None = None,
    per_class: int | None = None,
    classes: str | Sequence[str] = (),
    num_classes: int | None = None,
    originals_only: bool = False,
    image_size: ImageSize | None = None,
    cache: str = "none",
    shuffle_buffer_mb: int = 256,
    read_parallelism: int = 8,
    recipe: str = "auto",
    model: str = "auto",
    wide: bool = False,
    dropout: float = 0.1,
    weights: PathLike = "none",
    partial_weights: bool = False,
    freeze_epochs: int = 0,
    freeze: str = "none",
    head_features: str = "auto",
    feature_views: int = 1,
    unfreeze_epochs: int = 0,
    backbone_rate: float = 0.1,
    layer_decay: float = 1.0,
    train_batch_norm: bool = False,
    epochs: int = 30,
    batch_size: int | str = 64,
    grad_accum: int = 1,
    optimizer: str = "adamw",
    learning_rate: float | None = None,
    schedule: str = "cosine",
    warmup_epochs: float = 2.0,
    momentum: float = 0.9,
    weight_decay: float | None = None,
    clip_norm: float = 0.0,
    label_smoothing: float = 0.1,
    ema: float = 0.0,
    early_stopping: int = 0,
    monitor: str = "val_macro_f1",
    loss: str = "logit_adjusted",
    logit_adjustment: float = 0.5,
    focal_gamma: float = 2.0,
    class_weights: str = "none",
    effective_beta: float = 0.999,
    defer_weights: float = 0.0,
    augment: str | Sequence[str] = "auto",
    crop_scale: float | None = None,
    rotate_degrees: float = 15.0,
    randaugment_magnitude: float = 9.0,
    mixup_alpha: float = 0.2,
    cutmix_alpha: float = 1.0,
    augment_on: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    memory_growth: bool = True,
    gpu_memory_limit_mb: int = 0,
    jit_compile: str | bool = "auto",
    steps_per_execution: int = 1,
    distribute: str = "none",
    deterministic: str = "auto",
    seed: int = 0,
    resume: bool = True,
    fork_from: PathLike = "",
    fork_epoch: str = "last",
    stop_after_epoch: int = 0,
    checkpoint_steps: int = 1000,
    keep_checkpoints: int = 2,
    progress: str = "auto",
    verbose: bool = False,
) -> Run:
    """Trains a network on a baked data set, and resumes a run that was cut short.

    The arguments are the flags of `evenshard train`. A `TrainConfig` may stand for all of them.
    TensorFlow's global settings are afterwards as they were before; docs/api.md lists the few that
    cannot be put back.

    >>> import evenshard
    >>> run = evenshard.train("shards", "runs/a", epochs=2, batch_size=16, progress="none")
    >>> run.history["epoch"].to_pylist()
    [1, 2]

    Returns:
      The run in `run_dir`: finished, stopped early, or paused by `stop_after_epoch`.

    Raises:
      UsageError: an argument is wrong, or `run_dir` holds a run of another configuration.
      TrainerError: the training cannot go on.
      KeyboardInterrupt: it was interrupted, and has saved its state: the same call carries on.
      MissingExtraError: TensorFlow is not installed.
    """
    given = locals()
    if not isinstance(model, str):
        raise UsageError(
            f'model is of type {type(model).__name__}: a name is expected, or "module:function" '
            "of a function that returns the network, which the run can import again"
        )
    config = configuration(TrainConfig, train, given)
    with trainer_session(config.verbose):
        from trainer.train import run

        result = run.run(config)
    if result.status == "interrupted":
        raise KeyboardInterrupt(
            f"stopped after step {result.step}; the same call carries on from there"
        )
    # The call itself named the code of a network of its own.
    return Run(config.run_dir, trust_run_code=True)
