"""Keeping a Python session's TensorFlow as it was.

A run sets what holds for a whole process: Keras' precision policy, deterministic ops, seeds. A
command ends with its process; a notebook goes on.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tfrecords.system import extras
from trainer import keras_settings, tensorflow_import
from trainer.keras_settings import KerasSettings

# Of a thread that calls from within a block, too.
_LOCK = threading.RLock()


@contextmanager
def trainer_session(verbose: bool = False) -> Iterator[None]:
    """Imports TensorFlow for the block, and puts its global settings back afterwards.

    These are the precision policy, Keras' format of pictures, floatx and epsilon, whether ops are
    deterministic, and the seeds of Python, numpy and TensorFlow. What cannot be undone: which GPUs
    the process sees and how it takes their memory, and the seed of `keras.random` functions that
    are given none.

    Blocks of several threads follow one another: with the settings and the random state of another,
    a training would end with other weights than alone.

    Raises:
      MissingExtraError: TensorFlow is not installed.
      TrainerError: Keras was imported before on another backend, or refuses its settings.
    """
    extras.require("trainer")
    tensorflow_import.import_tensorflow(verbose)
    with _alone():
        yield from _as_before()


@contextmanager
def _alone() -> Iterator[None]:
    """Keeps blocks of other threads waiting; says so in a thread that has to wait."""
    if not _LOCK.acquire(blocking=False):
        print("waiting for another thread that works with TensorFlow", file=sys.stderr, flush=True)
        _LOCK.acquire()
    try:
        yield
    finally:
        _LOCK.release()


def _as_before() -> Iterator[None]:
    """Yields once, and puts TensorFlow's global settings back afterwards."""
    import keras
    import tensorflow as tf

    # TensorFlow sets these in public and reads them in private.
    from tensorflow.python.eager import context
    from tensorflow.python.framework import config

    keras_settings.require_tensorflow()
    policy, settings = keras.config.dtype_policy(), KerasSettings.current()
    deterministic = config.is_op_determinism_enabled()
    seeds = random.getstate(), np.random.get_state(), context.global_seed()
    try:
        yield
    finally:
        settings.apply()
        keras.config.set_dtype_policy(policy)
        if not deterministic:
            config.disable_op_determinism()
        random.setstate(seeds[0])
        np.random.set_state(seeds[1])
        tf.random.set_seed(seeds[2])
