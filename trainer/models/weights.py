"""The variables of a network by stable names, and weights loaded from a file."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
import numpy as np

from tfrecords.errors import TrainerError


def model_state(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns every variable of a model, dropout's random state included, by a stable name.

    Names count positions instead of using paths: Keras numbers layers on through a process, so
    the paths of two equal networks differ.
    """
    return {f"model/{i:04d}/{v.name}": v for i, v in enumerate(model.variables)}


def load_matching_weights(model: keras.Model, path: str) -> int:
    """Loads a .keras or .weights.h5 file; layers of another shape keep their own weights.

    Returns:
      How many variables were loaded, at least 1.

    Raises:
      TrainerError: the file cannot be read, or nothing in it fits.
    """
    if not Path(path).is_file():
        raise TrainerError(f"--weights: no file {path}; give none, imagenet or a file")
    try:
        before = [np.array(v.numpy()) for v in model.variables]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of each layer that does not fit.
            model.load_weights(path, skip_mismatch=True)
        after = (v.numpy() for v in model.variables)
        loaded = sum(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainerError(f"--weights: cannot load {path}: {reason}") from error
    if not loaded:
        raise TrainerError(f"--weights: nothing in {path} fits --model={model.name}")
    return loaded
