"""Opens a trained run for use: sets up devices, builds the network, loads its weights."""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfrecords.cli import audience
from tfrecords.errors import MissingBestWarning, TrainerError, UsageError
from tfrecords.manifest import Manifest
from trainer.config import TrainConfig
from trainer.data.selection import Selection
from trainer.devices import set_up_devices
from trainer.metrics import inference
from trainer.metrics.probabilities import Probabilities
from trainer.models import blame
from trainer.models.build import build
from trainer.models.own import is_own
from trainer.models.weights import model_state
from trainer.recipes.flags import NO_WEIGHTS
from trainer.runs import saved_network, validation
from trainer.runs.checkpoints import Checkpoint, Store, assign
from trainer.runs.config_file import RunConfig
from trainer.runs.directory import MODEL
from trainer.runs.validation import Validation

# Prefix of the moving averages among a checkpoint's arrays; see `train.step.Stepper.state`.
_AVERAGE = "average/"


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A trained network and the configuration it was trained with.

    Attributes:
      model: pixels 0 to 255, [n, *size, 3] → logits float32[n, classes].
      stored: the run's config.json.
      validation: what the run found on its validation split with these weights.
    """

    model: keras.Model
    stored: RunConfig
    validation: Validation = field(default_factory=Validation)

    @property
    def probabilities(self) -> Probabilities:
        """The rule that makes probabilities of the network's logits, wherever it is used."""
        return Probabilities(self.validation.temperature)

    @property
    def config(self) -> TrainConfig:
        """The flags that the run was trained with."""
        return self.stored.flags

    @property
    def selection(self) -> Selection:
        """The classes in label order, and which of their records were trained on."""
        return self.stored.selection

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the network's pixels."""
        return self.stored.size

    @property
    def manifest(self) -> Manifest:
        """The manifest of the data set that the run was trained on, as it was then."""
        return self.stored.manifest

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Originals of each class that the run was trained on, in label order."""
        return self.stored.train_counts


def open_run(
    run_dir: str | Path,
    weights: str = "best",
    device: str = "auto",
    precision: str = "",
    *,
    trust_run_code: bool = False,
) -> LoadedRun:
    """Returns the network of a run, ready to predict; sets up the devices first.

    Args:
      run_dir: of `trainer.train`.
      weights: "best" by --monitor, "last", or "ema", the moving average at the last step.
      device: "auto", "cpu" or "gpu".
      precision: a Keras dtype policy; that of the run by default.
      trust_run_code: run code that the run directory names or holds, where its network needs it.

    Raises:
      TrainerError: not a run, no usable checkpoint, no average in it, or it needs code.
    """
    stored = RunConfig.read(run_dir)
    set_up_devices(_on_this_machine(stored.flags, device, precision))
    which = "best" if weights == "best" else "last"
    run = load_run(run_dir, which, trust_run_code=trust_run_code)
    return _averaged(run, Path(run_dir)) if weights == "ema" else run


def load_run(
    run_dir: str | Path, weights: str = "best", *, trust_run_code: bool = False
) -> LoadedRun:
    """Returns the network of a run, on the devices as they are set up already.

    Args:
      run_dir: of `trainer.train`.
      weights: "best" by --monitor, or "last".
      trust_run_code: as for `open_run`.

    Raises:
      TrainerError: the directory is not a run, has no usable checkpoint yet or one of another
        run, or needs code.
    """
    stored = RunConfig.read(run_dir)
    model = _build(Path(run_dir), stored, trust_run_code=trust_run_code)
    store = Store(Path(run_dir) / "checkpoints")
    checkpoint = store.best() if weights == "best" else store.latest()
    averaged = weights == "best"
    if checkpoint is None and weights == "best" and (checkpoint := store.latest()):
        warnings.warn(
            f"{run_dir} has no best checkpoint: the weights of the last are used in its place",
            MissingBestWarning,
            stacklevel=2,
        )
        # What --ema calls best is an average.
        checkpoint = dataclasses.replace(
            checkpoint, arrays={**checkpoint.arrays, **_average_of(checkpoint)}
        )
    if checkpoint is None:
        raise TrainerError(f"{run_dir} has no {weights} checkpoint yet: train first")
    if checkpoint.fingerprint not in stored.resumable:
        raise TrainerError(
            f"{run_dir}: its {weights} checkpoint is of another run than its config.json: restore "
            "the files of one run, or train it with --noresume to start again"
        )
    _assign(run_dir, model, checkpoint.arrays)
    return LoadedRun(model, stored, validation.of_checkpoint(stored, checkpoint, averaged=averaged))


def _build(run_dir: Path, stored: RunConfig, *, trust_run_code: bool) -> keras.Model:
    """Returns the network of a run, weights aside.

    A person's own network is read from model.keras, so that the run directory is enough where
    its code is not at hand. A run that is not finished has no such file yet, and layers of a
    person's own class need their code: that of a run directory is run only where it is trusted.

    Raises:
      TrainerError: code is needed and not trusted, or cannot be used; the text says why.
    """
    # The checkpoint replaces every weight: those of --weights need not be fetched again.
    fresh, classes = _without_weights(stored.flags), len(stored.selection.classes)
    if not is_own(fresh.model):
        return build(fresh, stored.size, classes, version=stored.network_version)
    model, reason = _read_model(run_dir / MODEL)
    if model is not None:
        return _in_precision_of_now(model, stored.flags.precision)
    if not trust_run_code:
        raise TrainerError(
            f"{run_dir}: its network is the code of {fresh.model}, and {reason}: "
            "--trust_run_code runs that code; give it for a run whose author you trust"
        )
    note = audience.said(f"note: --trust_run_code: running the code of {fresh.model}")
    print(note, file=sys.stderr)
    try:
        return build(fresh, stored.size, classes)
    except UsageError as error:
        model, unsafe = _read_model(run_dir / MODEL, trust_run_code=True)
        if model is not None:
            return _in_precision_of_now(model, stored.flags.precision)
        raise TrainerError(
            f"{run_dir}: the network is {fresh.model}, which needs its module beside the run: "
            f"{error}; and {unsafe}"
        ) from error


def _in_precision_of_now(model: keras.Model, trained_in: str) -> keras.Model:
    """Returns a network that was read, computing as the policy in force says.

    The file has the policy that each layer was trained with. Layers that a person has given a dtype
    of their own keep it.

    Args:
      model: as it was read.
      trained_in: --precision of the run.
    """
    if trained_in == "float32":
        return model
    now = keras.mixed_precision.dtype_policy()
    for layer in model._flatten_layers():
        if layer.dtype_policy.name.startswith("mixed_"):
            layer.dtype_policy = now
    return model


def _read_model(path: Path, *, trust_run_code: bool = False) -> tuple[keras.Model | None, str]:
    """Returns the network in a model.keras, or None and why it cannot be read.

    One that holds code is read only where that is trusted.
    """
    if not path.exists():
        return None, f"{path.name} is not there yet"
    try:
        code = saved_network.code_in(path)
        if code and not trust_run_code:
            return None, f"{path.name} holds code ({', '.join(code)})"
        model = keras.saving.load_model(path, compile=False, safe_mode=not trust_run_code)
        return model, ""
    except Exception as error:  # Keras raises nearly any kind on a file that it cannot use.
        return None, f"{path.name} cannot be loaded alone: {blame.reason(error)}"


def _without_weights(flags: TrainConfig) -> TrainConfig:
    """Returns the flags that build the same network without loading anything into it."""
    return dataclasses.replace(
        flags.spelled_out(),
        weights=NO_WEIGHTS,
        freeze="none",
        freeze_epochs=0,
        unfreeze_epochs=0,
        feature_views=1,
    )


def function_of(model: keras.Model, tta: str = "none") -> tf.types.experimental.PolymorphicFunction:
    """Returns a compiled function, uint8[n, height, width, 3] → float32[n, classes].

    It gives logits; with tta="flip", the logarithm of the mean of the probabilities of each
    picture and its mirror image.
    """
    if tta == "none":
        return inference.predictor(model)
    pixels = tf.TensorSpec(model.input_shape, tf.uint8)

    def both(images: tf.Tensor) -> tf.Tensor:
        sides = (images, tf.reverse(images, [2]))
        log_p = [tf.nn.log_softmax(model(side, training=False)) for side in sides]
        return tf.reduce_logsumexp(tf.stack(log_p), axis=0) - tf.math.log(2.0)

    return tf.function(both, input_signature=[pixels])


def _on_this_machine(config: TrainConfig, device: str, precision: str) -> TrainConfig:
    """Returns a run's configuration with the device flags for using it here."""
    return dataclasses.replace(
        config,
        device=device,
        distribute="none",
        gpu_memory_limit_mb=0,
        memory_growth=True,
        precision=precision or config.precision,
    )


def _averaged(run: LoadedRun, run_dir: Path) -> LoadedRun:
    """Returns a run with the moving average at the last step as its weights."""
    checkpoint = Store(run_dir / "checkpoints").latest()
    average = _average_of(checkpoint) if checkpoint else {}
    if checkpoint is None or not average:
        raise TrainerError(
            f"--weights=ema: {run_dir} has no average of its weights, since it was trained without "
            "--ema; use best or last"
        )
    state = model_state(run.model)
    assign({name: state[name] for name in average}, average)
    return dataclasses.replace(run, validation=validation.of_checkpoint(run.stored, checkpoint))


def _average_of(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Returns the moving averages in a checkpoint by the names of what they average."""
    return {
        name.removeprefix(_AVERAGE): values
        for name, values in checkpoint.arrays.items()
        if name.startswith(_AVERAGE)
    }


def _assign(run_dir: str | Path, model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    try:
        assign(model_state(model), arrays)
    except TrainerError as error:
        raise TrainerError(f"{run_dir}: {error}") from error
