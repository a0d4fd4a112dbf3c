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
from trainer.train.step import CANNOT_COMPILE

# Memory that runs out on a GPU comes under any of these names, where cuDNN or cuBLAS found out:
# cuDNN's search for an algorithm reports that none worked.
_MEMORY_ERRORS = (tf.errors.InternalError, tf.errors.NotFoundError, tf.errors.UnknownError)
_MEMORY_WORDS = (
    "no algorithm worked",
    "alloc_failed",
    "failed to allocate",
    "out of memory",
    "out_of_memory",
    "resource_exhausted",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that the device or the host ran out of memory."""
    if isinstance(error, (tf.errors.ResourceExhaustedError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, _MEMORY_ERRORS) and any(words in text for words in _MEMORY_WORDS)


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
    except tf.errors.OpError as error:
        if is_out_of_memory(error):
            raise exhausted(error, config) from error
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
    except tf.errors.OpError as error:
        if is_out_of_memory(error):
            raise exhausted(error, config) from error
        if not (isinstance(error, CANNOT_COMPILE) and config.jit_compile == "on"):
            raise
        raise _not_compiled(error, deterministic) from error


def exhausted(error: tf.errors.OpError, config: TrainConfig) -> EvenshardError:
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
        f"{problem} at step {step} (epoch {epoch + 1}); {kept}. Start again with a lower "
        "--learning_rate, a longer --warmup_epochs or --clip_norm=1"
    )


def _not_compiled(error: tf.errors.OpError, deterministic: bool) -> TrainerError:
    alternative = " or --deterministic=off" if deterministic else ""
    return TrainerError(
        f"--jit_compile: XLA cannot compile this step: {error.message.splitlines()[0]} "
        f"Use --jit_compile=off{alternative}"
    )
