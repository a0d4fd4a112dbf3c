"""Trying a network out without leaving a trace."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np


@contextmanager
def kept(model: keras.Model) -> Iterator[None]:
    """Puts a network's variables and the random generators back as they were before the block.

    Keras draws the seeds of initialisers and dropout from Python's generator.
    """
    values = [np.array(variable.numpy()) for variable in model.variables]
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        for variable, value in zip(model.variables, values, strict=True):
            if not np.array_equal(variable.numpy(), value, equal_nan=value.dtype.kind == "f"):
                variable.assign(value)
