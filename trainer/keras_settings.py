"""Keras' own settings, made those that the networks here are written for.

People keep them in ~/.keras/keras.json, in KERAS_HOME and in KERAS_BACKEND, or set them in a
notebook. Networks here take pictures whose channels come last and compute with TensorFlow: under
other settings they would train another network without a word, or not be built at all.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tfrecords.errors import TrainerError

BACKEND = "KERAS_BACKEND"
TENSORFLOW = "tensorflow"


@dataclass(frozen=True)
class KerasSettings:
    """What holds for every layer that Keras builds; by default what networks here need.

    Attributes:
      image_data_format: where the channels of a picture are.
      floatx: dtype of variables that are given none.
      epsilon: added to a divisor that may be 0.
    """

    image_data_format: str = "channels_last"
    floatx: str = "float32"
    epsilon: float = 1e-7

    @classmethod
    def current(cls) -> KerasSettings:
        """Returns what holds in this process."""
        from keras import config

        return cls(config.image_data_format(), config.floatx(), config.epsilon())

    def apply(self) -> None:
        """Makes them hold in this process."""
        from keras import config

        config.set_image_data_format(self.image_data_format)
        config.set_floatx(self.floatx)
        config.set_epsilon(self.epsilon)


@contextmanager
def importing() -> Iterator[None]:
    """Lets the block import Keras on TensorFlow, whatever this machine's settings ask for.

    Where they ask for another backend, a line says so: Keras keeps the one it was imported with.
    Keras that was imported before stays as it is; `require_tensorflow` judges it.

    Raises:
      TrainerError: Keras refuses its settings; the text names their file.
    """
    if "keras" in sys.modules:
        yield
        return
    asked, before = _configured_backend(), os.environ.get(BACKEND)
    os.environ[BACKEND] = TENSORFLOW
    try:
        yield
    except (ValueError, AssertionError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TrainerError(
            f"Keras cannot be imported: {reason.rstrip('.')}; its settings are in {_file()}, and "
            "in variables that begin with KERAS_"
        ) from error
    finally:
        if before is None:
            del os.environ[BACKEND]
        else:
            os.environ[BACKEND] = before
    if asked != TENSORFLOW:
        print(
            f"note: Keras is set to the backend {asked!r} on this machine; networks here compute "
            "with TensorFlow, and Keras was imported with it",
            file=sys.stderr,
        )


def require_tensorflow() -> None:
    """Checks that Keras computes with TensorFlow in this process.

    Raises:
      TrainerError: it was imported with another backend, which it cannot change.
    """
    from keras import config

    if config.backend() != TENSORFLOW:
        raise TrainerError(
            f"Keras was imported in this process with the backend {config.backend()!r}, and "
            f"networks here need {TENSORFLOW!r}: start Python with {BACKEND}={TENSORFLOW}"
        )


def pin() -> None:
    """Gives Keras the settings that networks here need.

    Raises:
      TrainerError: its backend is another one.
    """
    require_tensorflow()
    KerasSettings().apply()


def _configured_backend() -> str:
    """Returns the backend that Keras would be imported with."""
    if BACKEND in os.environ:
        return os.environ[BACKEND]
    try:
        return str(json.loads(_file().read_text(encoding="utf-8"))["backend"])
    except (OSError, ValueError, LookupError, TypeError):
        return TENSORFLOW


def _file() -> Path:
    """Returns the path of Keras' configuration; source: keras/src/backend/config.py."""
    home = os.environ.get("KERAS_HOME")
    return Path(home or Path.home() / ".keras") / "keras.json"
