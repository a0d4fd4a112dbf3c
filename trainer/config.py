"""Every choice of a training run: `TrainConfig`, which is also the flags of trainer.train."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfrecords.cli import flags, values
from tfrecords.cli.flags import flag
from tfrecords.errors import UsageError
from trainer import choices, config_checks, remote, run_flags
from trainer.choices import (
    AUGMENTATIONS,
    AUTO_AUGMENT,
    AUTO_BATCH,
    DEFAULT_EPOCHS,
    DEFAULT_WEIGHT_DECAYS,
    LIGHT,
    LIGHT_CROP,
    LOSSES,
    MONITORS,
    OPTIMIZERS,
    STRONG,
    STRONG_CROP,
    STRONG_FROM,
    WITHOUT_FLIPS,
)
from trainer.network_flags import NetworkFlags
from trainer.recipes import flags as recipes

_LEARNING, _TAIL, _AUGMENT = "Learning", "Unequal classes", "Augmentation"
_DEVICE, _RUN = "Device, memory, speed", "Run"


@dataclass(frozen=True)
class TrainConfig(NetworkFlags):
    """A training run. Fields, after those of `NetworkFlags`, are the flags of `evenshard train`.

    After `dataclasses.replace` the recipe has set the rest anew; `settled` is for this alone.

    Raises:
      UsageError: a value out of range, or two that contradict each other.
    """

    epochs: int = flag(
        DEFAULT_EPOCHS,
        _LEARNING,
        "Passes over the selected records. A larger number extends a finished run, with the "
        "schedule of the larger number.",
        metavar="N",
        typed_as=("num_epochs", "max_epochs"),
    )
    batch_size: int | str = flag(
        64,
        _LEARNING,
        "Pictures per step, or auto: the most that fit in memory.",
        metavar="N|auto",
        typed_as=("batch", "bs"),
        parse=values.number_or_word(AUTO_BATCH, 1),
    )
    grad_accum: int = flag(
        1,
        _LEARNING,
        "Compute each step's gradient in N parts: the same batch in 1/N of the memory.",
        metavar="N",
        typed_as=("gradient_accumulation_steps", "accumulate"),
    )
    optimizer: str = flag(
        "adamw", _LEARNING, "Optimizer.", choices=OPTIMIZERS, typed_as=("optim", "opt")
    )
    learning_rate: float | None = flag(
        None,
        _LEARNING,
        "Peak learning rate. Default by optimizer and batch: adamw 3e-3 and lion 2e-4 per 128 "
        "(square-root rule), sgd 0.1 and lamb 5e-3 per 256. Loaded layers: --backbone_rate.",
        metavar="LR",
        typed_as=("lr",),
    )
    schedule: str = flag(
        "cosine",
        _LEARNING,
        "After warm-up: cosine to 0; step, ×0.1 at 60%, 80% and 90%; or constant. Frozen epochs "
        "have their own schedule.",
        choices=("cosine", "step", "constant"),
        typed_as=("scheduler", "lr_scheduler"),
    )
    warmup_epochs: float = flag(
        2.0, _LEARNING, "Epochs of linear warm-up; at most a fifth of the run.", metavar="E"
    )
    momentum: float = flag(0.9, _LEARNING, "Nesterov momentum of sgd.", metavar="M")
    weight_decay: float | None = flag(
        None,
        _LEARNING,
        "Decoupled weight decay, not applied to biases and normalisation. Default: adamw 0.05, "
        "sgd 5e-4, lamb 0.02, lion 0.5.",
        metavar="W",
        typed_as=("wd",),
    )
    clip_norm: float = flag(0.0, _LEARNING, "Clip the gradient's global norm; 0: off.", metavar="C")
    label_smoothing: float = flag(0.1, _LEARNING, "Share spread over all classes.", metavar="S")
    ema: float = flag(
        0.0,
        _LEARNING,
        "Decay of an exponential moving average of the weights, e.g. 0.999; validation and "
        "results use the average. 0: off.",
        metavar="D",
        typed_as=("ema_decay",),
    )
    early_stopping: int = flag(
        0,
        _LEARNING,
        "Stop after N epochs without a better --monitor; 0: off. A larger number, or 0, lets a run "
        "that stopped early continue.",
        metavar="N",
        typed_as=("patience",),
    )
    monitor: str = flag("val_macro_f1", _LEARNING, "Metric that chooses the best epoch.",
                        choices=MONITORS)  # fmt: skip

    loss: str = flag(
        "logit_adjusted",
        _TAIL,
        "logit_adjusted: Menon 2020; balanced_softmax: Ren 2020; focal: Lin 2017.",
        choices=LOSSES,
    )
    logit_adjustment: float = flag(
        0.5,
        _TAIL,
        "Temperature τ of the prior in logit_adjusted. 0: cross-entropy; 1: all classes count "
        "alike; 0.5: rare classes gain, and top-1 loses little (docs/ablation.md).",
        metavar="T",
    )
    focal_gamma: float = flag(2.0, _TAIL, "Exponent γ of focal.", metavar="G")
    class_weights: str = flag(
        "none",
        _TAIL,
        "Weigh each class's loss: by the effective number of its pictures (Cui 2019), or by the "
        "inverse of their number. Meant for --loss=cross_entropy or focal.",
        choices=("none", "effective", "inverse"),
    )
    effective_beta: float = flag(0.999, _TAIL, "β of the effective number.", metavar="B")
    defer_weights: float = flag(
        0.0,
        _TAIL,
        "Fraction of the run before class weights and logit adjustments take effect "
        "(deferred re-weighting, Cao 2019).",
        metavar="F",
    )

    augment: tuple[str, ...] = flag(
        (AUTO_AUGMENT,),
        _AUGMENT,
        "How training pictures are augmented, anew in each epoch; --augment= turns it off. auto: "
        f"{','.join(LIGHT)}, and in a run of {STRONG_FROM} epochs or more {','.join(STRONG)}; "
        f"{','.join(WITHOUT_FLIPS)} if mirrored pictures of one class look like another.",
        choices=(AUTO_AUGMENT, *AUGMENTATIONS),
    )
    crop_scale: float | None = flag(
        None,
        _AUGMENT,
        f"Smallest area of a random crop, as a fraction. Default: {LIGHT_CROP}, and "
        f"{STRONG_CROP} with auto in a run of {STRONG_FROM} epochs or more.",
        metavar="A",
    )
    rotate_degrees: float = flag(15.0, _AUGMENT, "Largest rotation.", metavar="D")
    randaugment_magnitude: float = flag(9.0, _AUGMENT, "Strength, 0 to 10.", metavar="M")
    mixup_alpha: float = flag(0.2, _AUGMENT, "Beta(α, α) of mixup.", metavar="A")
    cutmix_alpha: float = flag(1.0, _AUGMENT, "Beta(α, α) of cutmix.", metavar="A")

    augment_on: str = flag(
        "auto",
        _AUGMENT,
        "Where pictures are augmented. auto: on a GPU if it can do all that --augment names (not "
        "rotate, affine, randaugment), else on the host. The pictures are the same to rounding.",
        choices=("auto", "device", "host"),
    )

    device: str = flag(
        "auto",
        _DEVICE,
        "Where to compute.",
        choices=("auto", "cpu", "gpu"),
        typed_as=("gpu", "cuda"),
    )
    precision: str = flag(
        "auto",
        _DEVICE,
        "auto: bfloat16 from compute capability 8.0, float16 from 7.0, else float32.",
        choices=("auto", "float32", "mixed_float16", "mixed_bfloat16"),
        typed_as=("amp", "fp16", "bf16", "mixed_precision", "dtype"),
    )
    memory_growth: bool = flag(True, _DEVICE, "Take GPU memory as needed, not all at once.")
    gpu_memory_limit_mb: int = flag(
        0,
        _DEVICE,
        "Use no more than this of each GPU; replaces growth. The CUDA context, 400 to 600 MB, "
        "comes on top. 0: no limit.",
        metavar="MB",
        typed_as=("gpu_memory", "memory_limit"),
    )
    jit_compile: str = flag(
        "auto",
        _DEVICE,
        "Compile the step with XLA. auto: on one GPU, unless ops are to be deterministic. "
        "--jit_compile alone is on, --nojit_compile is off.",
        choices=("auto", "on", "off"),
        typed_as=("xla", "compile"),
        parse=values.on_or_off,
    )
    steps_per_execution: int = flag(
        1, _DEVICE, "Steps per call into TensorFlow; more helps tiny steps on a GPU.", metavar="N"
    )
    distribute: str = flag(
        "none", _DEVICE, "mirrored: share each batch among all GPUs.", choices=("none", "mirrored")
    )
    deterministic: str = flag(
        "auto",
        _DEVICE,
        "Deterministic ops, which make a resumed run bit-identical. auto: on a CPU, where they "
        "cost nothing, but not with --jit_compile=on, which lacks some of them.",
        choices=("auto", "on", "off"),
    )

    seed: int = flag(
        0, _RUN, "Seed of everything random.", metavar="N", typed_as=("random_seed", "random_state")
    )
    resume: bool = flag(
        True,
        _RUN,
        "Resume from the last checkpoint. --noresume: start again from the beginning.",
        typed_as=("restore", "overwrite"),
    )
    fork_from: str = flag(
        "",
        _RUN,
        "Begin with the weights, the optimizer's state and the history of another run, of the "
        "same --model and classes; all other flags may differ. That run is not needed afterwards.",
        metavar="RUN",
    )
    fork_epoch: str = flag(
        "last",
        _RUN,
        "With --fork_from, where to begin: at the run's last checkpoint, or with the weights of "
        "its best epoch, which have no optimizer state.",
        choices=("last", "best"),
    )
    stop_after_epoch: int = flag(
        0,
        _RUN,
        "Pause after epoch N; schedules still span --epochs, and the same command without this "
        "continues to the same result. 0: off.",
        metavar="N",
    )
    checkpoint_steps: int = flag(
        1000, _RUN, "Steps between checkpoints inside an epoch; 0: at its end only.", metavar="N"
    )
    keep_checkpoints: int = flag(2, _RUN, "Last checkpoints kept, besides the best.", metavar="N")
    progress: str = flag(
        "auto", _RUN, "Bar on a terminal, else lines.", choices=("auto", "bar", "lines", "none")
    )
    verbose: bool = run_flags.verbose(_RUN)

    settled: dataclasses.InitVar[Mapping[str, Any] | None] = None

    def as_typed(self, typed: Mapping[str, Any]) -> TrainConfig:
        """Returns the configuration of a command line: --epochs=30 decides, though 30 is default.

        Args:
          typed: flag → value, as text, of the flags that were typed.

        Raises:
          UsageError: one of them contradicts the recipe.
        """
        if self.fits_head and int(typed.get("epochs", self.epochs)) != self.epochs:
            raise UsageError(config_checks.head_at_once(self))
        left_open = (recipes.AUTO_MODEL, (AUTO_AUGMENT,))
        decided = (n for n in typed if n in recipes.DECIDING and getattr(self, n) not in left_open)
        if recipes.is_open(self.recipe, flags.given(self)) and any(decided):
            return dataclasses.replace(self, model=recipes.OWN_MODEL)
        # --unfreeze_epochs=0 is its default, and the recipe has set it: what is typed counts.
        again = {name: typed[name] for name in vars(self)["settled"] if name in typed}
        return dataclasses.replace(self, **again) if again else self

    def __post_init__(self, settled: Mapping[str, Any] | None) -> None:
        flags.convert_fields(self)
        remote.check_local("run_dir", self.run_dir)
        replaced = recipes.changed(settled or {}, vars(self))
        for name in recipes.left(self.recipe, settled or {}, vars(self)):
            object.__setattr__(self, name, flags.default_of(type(self), name))
        filled = recipes.settle(self.recipe, flags.given(self))
        if filled.keys() & replaced.keys():  # At its default: by its name, the recipe would set it.
            filled = recipes.settle(self.recipe, flags.given(self) | replaced)
            filled["recipe"] = recipes.AUTO
        for name, value in filled.items():
            object.__setattr__(self, name, value)
        config_checks.check(self)
        if self.fits_head:  # One for the features, and those unfrozen.
            filled["epochs"] = 1 + self.unfreeze_epochs
            object.__setattr__(self, "epochs", filled["epochs"])
        object.__setattr__(self, "settled", {n: v for n, v in filled.items() if n != "recipe"})

    @property
    def fixed_batch_size(self) -> int:
        """--batch_size as a number; a UsageError while it is still "auto"."""
        if self.batch_size == AUTO_BATCH:
            raise UsageError("--batch_size=auto has not been resolved yet")
        return int(self.batch_size)

    @property
    def peak_learning_rate(self) -> float:
        """--learning_rate, or the optimizer's default scaled to the batch."""
        if self.learning_rate is not None:
            return self.learning_rate
        return choices.default_learning_rate(self.optimizer, self.fixed_batch_size)

    @property
    def frozen_epochs(self) -> int:
        """Epochs that train the head alone."""
        return 1 if self.fits_head else min(self.freeze_epochs, self.epochs)

    @property
    def is_open(self) -> bool:
        """Whether --recipe=auto is still to choose, before the network is known."""
        return self.model == recipes.AUTO_MODEL

    @property
    def fits_head(self) -> bool:
        """Whether the first epoch fits the head on features that are computed once."""
        return self.freeze == recipes.FREEZE_BACKBONE

    @property
    def augmentations(self) -> tuple[str, ...]:
        """--augment, with auto resolved by the length of the run."""
        auto = self.augment == (AUTO_AUGMENT,)
        return choices.auto_augmentations(self.epochs) if auto else self.augment

    @property
    def smallest_crop(self) -> float:
        """--crop_scale, or what goes with the augmentation."""
        if self.crop_scale is not None:
            return self.crop_scale
        auto = self.augment == (AUTO_AUGMENT,)
        return choices.auto_crop(self.epochs) if auto else LIGHT_CROP

    @property
    def decay(self) -> float:
        """--weight_decay, or the optimizer's default."""
        default = DEFAULT_WEIGHT_DECAYS[self.optimizer]
        return default if self.weight_decay is None else self.weight_decay

    @property
    def augments(self) -> bool:
        """Whether any picture is augmented: a head on features alone may have no use for it."""
        return not self.fits_head or self.feature_views > 1 or self.unfreeze_epochs > 0

    def with_augment(self, names: Sequence[str]) -> TrainConfig:
        """Returns this configuration with --augment=auto resolved."""
        return dataclasses.replace(self, augment=tuple(names))

    def with_batch_size(self, batch_size: int) -> TrainConfig:
        """Returns this configuration with --batch_size resolved."""
        return dataclasses.replace(self, batch_size=batch_size)

    def with_recipe(self, recipe: str) -> TrainConfig:
        """Returns this configuration, whose recipe is open, with one of the others."""
        return dataclasses.replace(self, recipe=recipe)

    def spelled_out(self) -> TrainConfig:
        """Returns the same run without its recipe's name, which would fill changed flags again."""
        return dataclasses.replace(self, recipe=recipes.AUTO)

    def to_dict(self) -> dict[str, Any]:
        """Returns flag → value, ready for JSON; sizes and batches as on a command line."""
        values: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.metadata["parse"] is not None:
                value = flags.to_text(self, field.name)
            values[field.name] = list(value) if isinstance(value, tuple) else value
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Returns the configuration that `to_dict` gave; flags it lacks take their default.

        `dataclasses.replace` of it sets anew what its recipe sets, as of any other: what has the
        value that the recipe would give it counts as set by the recipe.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        chosen: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
            if name in known
        }
        # A version without the flag knew the last maps alone.
        chosen = {"head_features": recipes.LAST} | chosen
        stored = cls(**chosen)
        own = recipes.set_by(stored.recipe, flags.given(stored))
        anew = cls(**{name: value for name, value in chosen.items() if name not in own})
        return anew if anew == stored else stored
