"""Checkpoints: one file each, whole or absent, with everything a run needs to resume.

A file is framed like a shard: a JSON text with the position in the stream, the history and
the list of arrays, then the bytes of each array of model, optimizer, average and tally. Every
frame has its CRC32C, so that a damaged file is detected and the one before it is used.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tfrecords import framing
from tfrecords.errors import TrainerError
from tfrecords.system import atomic

_SUFFIX = ".ckpt"
_BEST = "best" + _SUFFIX


class Variable(Protocol):
    """The interface that variables of Keras and of TensorFlow share."""

    @property
    def shape(self) -> Any: ...

    def assign(self, value: Any) -> Any: ...

    def numpy(self) -> np.ndarray: ...


class DamagedCheckpointWarning(UserWarning):
    """A checkpoint cannot be read; an earlier one is used."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a run between two steps.

    Attributes:
      epoch: of the next step, from 0.
      step: the next step of that epoch, from 0.
      global_step: optimizer steps done.
      arrays: name → values.
      history: one row for each finished epoch.
      fingerprint: of the configuration; a run resumes only from its own checkpoints.
      extra: counters of the current epoch by name.
    """

    epoch: int
    step: int
    global_step: int
    arrays: Mapping[str, np.ndarray]
    history: tuple[Mapping[str, Any], ...] = ()
    fingerprint: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Store:
    """The checkpoints of one run.

    Attributes:
      directory: made on the first save.
      keep: number of latest checkpoints kept, besides the best.
    """

    directory: Path
    keep: int = 2

    def save(self, checkpoint: Checkpoint) -> Path:
        """Writes a checkpoint, then deletes the oldest beyond `keep`.

        Raises:
          TrainerError: it cannot be written; the earlier ones are untouched.
        """
        path = self.directory / f"step-{checkpoint.global_step:09d}{_SUFFIX}"
        write(path, checkpoint)
        for old in self._numbered()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def save_best(self, checkpoint: Checkpoint) -> Path:
        """Writes the checkpoint of the best epoch so far."""
        path = self.directory / _BEST
        write(path, checkpoint)
        return path

    def latest(self) -> Checkpoint | None:
        """Returns the last checkpoint that can be read, or None; warns of each that cannot."""
        for path in reversed(self._numbered()):
            checkpoint = _read_or_warn(path)
            if checkpoint is not None:
                return checkpoint
        return None

    def best(self) -> Checkpoint | None:
        """Returns the checkpoint of the best epoch, or None if there is none that can be read."""
        path = self.directory / _BEST
        return _read_or_warn(path) if path.exists() else None

    def tidy(self) -> None:
        """Deletes files that a killed save left half written."""
        atomic.remove_temporary(self.directory)

    def clear(self) -> None:
        """Deletes every checkpoint, half-written ones included."""
        self.tidy()
        for path in self.directory.glob(f"*{_SUFFIX}"):
            path.unlink(missing_ok=True)

    def _numbered(self) -> list[Path]:
        return sorted(self.directory.glob(f"step-*{_SUFFIX}"))


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint, whole or not at all.

    Raises:
      TrainerError: disk full, or not writable; nothing is left behind.
    """
    meta = {
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "global_step": checkpoint.global_step,
        "history": [dict(row) for row in checkpoint.history],
        "fingerprint": checkpoint.fingerprint,
        "extra": dict(checkpoint.extra),
        "arrays": [[name, a.dtype.str, list(a.shape)] for name, a in checkpoint.arrays.items()],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.open_bytes(path) as file:
            file.write(framing.frame(json.dumps(meta).encode()))
            for values in checkpoint.arrays.values():
                file.write(framing.frame(values.tobytes()))
    except OSError as error:
        raise TrainerError(
            f"cannot save checkpoint {path}: {error.strerror or error}; earlier ones are intact. "
            "Free some space and run the same command again"
        ) from error


def read(path: Path) -> Checkpoint:
    """Returns the checkpoint in a file, every CRC checked.

    Raises:
      ValueError: damaged.
      OSError: cannot be read.
    """
    frames = framing.read_records(str(path))
    try:
        meta = json.loads(next(frames))
        arrays = {
            name: np.frombuffer(next(frames), dtype).reshape(shape)
            for name, dtype, shape in meta["arrays"]
        }
    except StopIteration as error:
        raise ValueError("the file ends before its last array") from error
    return Checkpoint(
        epoch=meta["epoch"],
        step=meta["step"],
        global_step=meta["global_step"],
        arrays=arrays,
        history=tuple(meta["history"]),
        fingerprint=meta["fingerprint"],
        extra=meta["extra"],
    )


def capture(state: Mapping[str, Variable]) -> dict[str, np.ndarray]:
    """Returns the values of variables."""
    return {name: np.asarray(variable.numpy()) for name, variable in state.items()}


def assign(state: Mapping[str, Variable], arrays: Mapping[str, np.ndarray]) -> None:
    """Gives variables the values of a checkpoint.

    Raises:
      TrainerError: the checkpoint lacks a variable or has it in another shape.
    """
    for name, variable in state.items():
        if name not in arrays:
            raise TrainerError(f"the checkpoint has no {name}: it belongs to another network")
        if tuple(variable.shape) != arrays[name].shape:
            raise TrainerError(
                f"{name} is {list(arrays[name].shape)} in the checkpoint, "
                f"{list(variable.shape)} in the network: it belongs to another network"
            )
    for name, variable in state.items():
        variable.assign(arrays[name])


def first_not_finite(arrays: Mapping[str, np.ndarray]) -> str | None:
    """Returns the name of the first array with a NaN or an infinity, if any."""
    for name, values in arrays.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return name
    return None


def _read_or_warn(path: Path) -> Checkpoint | None:
    try:
        return read(path)
    except (ValueError, OSError) as error:
        warnings.warn(
            f"checkpoint {path} is damaged and skipped: {error}",
            DamagedCheckpointWarning,
            stacklevel=3,
        )
        return None
