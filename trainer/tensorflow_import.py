"""Importing TensorFlow: with memory and reading set for it, and without its start-up log.

TensorFlow prints a dozen lines about its build before any setting of its own can stop it, and
an error about CUDA where there is no GPU. They are for its developers: shown under -v only.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tfrecords.system import allocator, cores
from trainer import keras_settings

# Read at once of each open gs:// file. TensorFlow's own choice is 64 MB: seconds before the first
# record, and gigabytes with many shards open.
GCS_READ_AHEAD_BYTES = 8 << 20


def import_tensorflow(verbose: bool) -> None:
    """Imports TensorFlow and looks for devices, which says most of what it has to say.

    Keras is imported on it, whatever backend this machine's settings ask for.

    Raises:
      TrainerError: Keras refuses its settings.
    """
    set_read_ahead()
    allocator.keep_freed(cores.usable())
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with keras_settings.importing(), nullcontext() if verbose else held_back():
        # First: TensorFlow imports it too, and hides what it says of its settings.
        importlib.import_module("keras")
        import tensorflow as tf

        tf.config.list_physical_devices()


def set_read_ahead() -> None:
    """Sets what TensorFlow reads at once of a gs:// file, unless the user has; before its import.

    Source: tensorflow/core/platform/cloud (xla/tsl/platform/cloud) gcs_file_system.cc.
    """
    os.environ.setdefault("GCS_READAHEAD_BUFFER_SIZE_BYTES", str(GCS_READ_AHEAD_BYTES))


@contextmanager
def held_back() -> Iterator[None]:
    """Holds back what native code prints to stderr; lets it through after an exception."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
