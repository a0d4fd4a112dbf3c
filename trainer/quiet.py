"""Importing TensorFlow without its start-up log.

TensorFlow prints a dozen lines about its build before any setting of its own can stop it, and
an error about CUDA where there is no GPU. They are for its developers: shown under -v only.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def import_tensorflow(verbose: bool) -> None:
    """Imports TensorFlow and looks for devices, which says most of what it has to say."""
    if verbose:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with held_back():
        import tensorflow as tf

        tf.config.list_physical_devices()


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
