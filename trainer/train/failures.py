"""Failures of training in a person's words: memory, damaged input, XLA, divergence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from tfrecords.errors import EvenshardError, OutOfMemoryError, TrainerError
from tfrecords.system import disk
from tfrecords.system.disk import DiskError
from trainer.config import TrainConfig
from trainer.data.selection import Source
from trainer.data.stream import explain
from trainer.runs.directory import RunDir


@contextmanager
def reading(source: Source, config: TrainConfig) -> Iterator[None]:
    """Translates TensorFlow's errors while a split is read.

    Raises:
      OutOfMemoryError: the device or the host ran out of memory.
      DiskError: a disk is full.
      TrainerError: the split cannot be read; names the shard.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise exhausted(error, config) from error
    except tf.errors.OpError as error:
        raise explain(error, source) from error


@contextmanager
def stepping(config: TrainConfig, *, deterministic: bool) -> Iterator[None]:
    """Translates TensorFlow's errors while a step runs.

    Raises:
      OutOfMemoryError: the batch does not fit the device.
      DiskError: a disk is full.
      TrainerError: XLA cannot compile the step.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise exhausted(error, config) from error
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError) as error:
        if not config.jit_compile:
            raise
        raise _not_compiled(error, deterministic) from error


def exhausted(error: tf.errors.ResourceExhaustedError, config: TrainConfig) -> EvenshardError:
    """Returns the error of what ran out: the disk, or else the memory."""
    fault = disk.find(error)
    return DiskError(fault.line()) if fault is not None else out_of_memory(config)


def out_of_memory(config: TrainConfig) -> OutOfMemoryError:
    """Returns the error of a batch that does not fit the device."""
    return OutOfMemoryError(
        f"out of memory at --batch_size={config.batch_size}: use a smaller one, "
        "--batch_size=auto, or --grad_accum to compute the same batch in parts"
    )


def diverged(problem: str, directory: RunDir, step: int, epoch: int) -> TrainerError:
    """Returns the error of a run whose numbers are no longer finite.

    Args:
      problem: what is not finite.
      directory: of the run; the text names its last checkpoint.
      step: optimizer step of the run, from 1.
      epoch: from 0.
    """
    last = directory.store.latest()
    kept = f"the checkpoint of step {last.global_step} is kept" if last else "no checkpoint yet"
    return TrainerError(
        f"{problem} at step {step} (epoch {epoch + 1}); {kept}. Start anew with a lower "
        "--learning_rate, a longer --warmup_epochs or --clip_norm=1"
    )


def _not_compiled(error: tf.errors.OpError, deterministic: bool) -> TrainerError:
    alternative = " or --deterministic=off" if deterministic else ""
    return TrainerError(
        f"--jit_compile: XLA cannot compile this step: {error.message.splitlines()[0]} "
        f"Use --nojit_compile{alternative}"
    )
