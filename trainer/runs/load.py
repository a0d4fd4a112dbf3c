"""A trained run, opened to be used: devices set up, network built, weights loaded."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfrecords.errors import TrainerError
from trainer import devices
from trainer.config import TrainConfig
from trainer.metrics import inference
from trainer.models import build
from trainer.models.build import LoadedRun
from trainer.runs import checkpoints, directory

# Names of a checkpoint's arrays; see step.Stepper.state.
_AVERAGE = "average/"


def open_run(
    run_dir: str | Path, which: str = "best", device: str = "auto", precision: str = ""
) -> LoadedRun:
    """Returns the network of a run, ready to predict; sets up the devices first.

    Args:
      run_dir: of `trainer.train`.
      which: "best" by --monitor, "last", or "ema", the average of the last.
      device: "auto", "cpu" or "gpu".
      precision: a Keras dtype policy; that of the run by default.

    Raises:
      TrainerError: not a run, no usable checkpoint, or no average in it.
    """
    stored = directory.stored_config(run_dir)
    if stored is None:
        raise TrainerError(
            f"{run_dir} is not a run directory: it has no {directory.CONFIG}; give a --run_dir "
            "that trainer.train wrote"
        )
    devices.set_up(_for_use(stored, run_dir, device, precision))
    run = build.load_run(run_dir, "best" if which == "best" else "last")
    if which == "ema":
        _assign_average(run, Path(run_dir))
    return run


def function_of(model: keras.Model, tta: str = "none") -> tf.types.experimental.PolymorphicFunction:
    """Returns a compiled function, uint8[n, height, width, 3] → float32[n, classes].

    Gives logits; with tta="flip" the logarithm of the mean of the probabilities that the
    pictures and their mirror images get.
    """
    if tta == "none":
        return inference.predictor(model)
    pixels = tf.TensorSpec(model.input_shape, tf.uint8)

    def both(images: tf.Tensor) -> tf.Tensor:
        sides = (images, tf.reverse(images, [2]))
        log_p = [tf.nn.log_softmax(model(side, training=False)) for side in sides]
        return tf.reduce_logsumexp(tf.stack(log_p), axis=0) - tf.math.log(2.0)

    return tf.function(both, input_signature=[pixels])


def _for_use(
    stored: dict[str, Any], run_dir: str | Path, device: str, precision: str
) -> TrainConfig:
    """Returns the run's configuration on whatever device is here."""
    try:
        config = TrainConfig.from_dict(stored["flags"])
    except (ValueError, KeyError, TypeError) as error:
        raise TrainerError(f"{Path(run_dir) / directory.CONFIG} is damaged: {error!r}") from error
    return dataclasses.replace(
        config,
        device=device,
        distribute="none",
        gpu_memory_limit_mb=0,
        memory_growth=True,
        precision=precision or config.precision,
    )


def _assign_average(run: LoadedRun, run_dir: Path) -> None:
    checkpoint = checkpoints.Store(run_dir / "checkpoints").latest()
    arrays = checkpoint.arrays if checkpoint else {}
    average = {
        name.removeprefix(_AVERAGE): values
        for name, values in arrays.items()
        if name.startswith(_AVERAGE)
    }
    if not average:
        raise TrainerError(
            f"--weights=ema: {run_dir} has no average of its weights, since it was trained without "
            "--ema; use best or last"
        )
    state = build.model_state(run.model)
    checkpoints.assign({name: state[name] for name in average}, average)
