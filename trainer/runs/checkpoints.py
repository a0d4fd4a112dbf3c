"""Checkpoints: one file each, whole or absent, with everything a run needs to resume.

A file is framed like a shard: a JSON text with the position in the stream, the history and
the list of arrays, then the bytes of each array of model, optimizer, average and tally. Every
frame has its CRC32C, so that a damaged file is detected and the one before it is used.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tfrecords import framing
from tfrecords.errors import DamagedCheckpointWarning, TrainerError
from tfrecords.system import atomic, disk

_SUFFIX = ".ckpt"
_BEST = "best" + _SUFFIX


class Variable(Protocol):
    """The interface that variables of Keras and of TensorFlow share."""

    @property
    def shape(self) -> Any: ...

    def assign(self, value: Any) -> Any: ...

    def numpy(self) -> np.ndarray: ...


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
      fork: the other run's state that the run began with, as config.json has it; empty without.
    """

    epoch: int
    step: int
    global_step: int
    arrays: Mapping[str, np.ndarray]
    history: tuple[Mapping[str, Any], ...] = ()
    fingerprint: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    fork: Mapping[str, Any] = field(default_factory=dict)


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
        for old in self.numbered()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def save_best(self, checkpoint: Checkpoint) -> Path:
        """Writes the checkpoint of the best epoch so far."""
        path = self.directory / _BEST
        write(path, checkpoint)
        return path

    def latest(self) -> Checkpoint | None:
        """Returns the last checkpoint that can be read, or None; warns of each that cannot."""
        return next((checkpoint for _, checkpoint in self.readable()), None)

    def readable(self) -> Iterator[tuple[Path, Checkpoint]]:
        """Yields the checkpoints that can be read, the last first; warns of each that cannot."""
        for path in reversed(self.numbered()):
            checkpoint = _read_or_warn(path)
            if checkpoint is not None:
                yield path, checkpoint

    def numbered(self) -> list[Path]:
        """Returns the paths of the checkpoints but the best, the last one last."""
        return sorted(self.directory.glob(f"step-*{_SUFFIX}"))

    def best(self) -> Checkpoint | None:
        """Returns the checkpoint of the best epoch, or None if there is none that can be read."""
        path = self.directory / _BEST
        return _read_or_warn(path) if path.exists() else None

    def tidy(self) -> None:
        """Deletes files that a killed save left half written."""
        atomic.remove_temporary(self.directory)


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint, whole or not at all.

    Raises:
      TrainerError: disk full, or not writable; nothing is left behind.
    """
    meta: dict[str, Any] = {
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "global_step": checkpoint.global_step,
        "history": [dict(row) for row in checkpoint.history],
        "fingerprint": checkpoint.fingerprint,
        "extra": dict(checkpoint.extra),
        "arrays": [[name, a.dtype.str, list(a.shape)] for name, a in checkpoint.arrays.items()],
    }
    if checkpoint.fork:
        meta["fork"] = dict(checkpoint.fork)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.open_bytes(path) as file:
            file.write(framing.frame(json.dumps(meta).encode()))
            for values in checkpoint.arrays.values():
                file.write(framing.frame(values.tobytes()))
    except OSError as error:
        fault = disk.find(error)
        todo = f"{fault.advice[0].upper()}{fault.advice[1:]}, then" if fault else "Then"
        raise TrainerError(
            f"cannot save checkpoint {path}: {error.strerror or error}; earlier ones are intact. "
            f"{todo} run the same command again"
        ) from error


def read(path: Path) -> Checkpoint:
    """Returns the checkpoint in a file, every CRC and the form of its contents checked.

    Raises:
      ValueError: damaged, or of another form.
      OSError: cannot be read.
    """
    frames = framing.read_records(str(path))
    try:
        meta = json.loads(next(frames))
        arrays = {
            name: _array(next(frames), dtype, shape) for name, dtype, shape in _list(meta, "arrays")
        }
        return Checkpoint(
            epoch=_count(meta, "epoch"),
            step=_count(meta, "step"),
            global_step=_count(meta, "global_step"),
            arrays=arrays,
            history=tuple(map(_object, _list(meta, "history"))),
            fingerprint=_text(meta, "fingerprint"),
            extra=_object(meta["extra"]),
            fork=_object(meta.get("fork", {})),
        )
    except StopIteration as error:
        raise ValueError("the file ends before its last array") from error
    except KeyError as error:
        raise ValueError(f"it has no {error.args[0]!r}") from error
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it has another form than a checkpoint: {error}") from error


def _array(data: bytes, dtype: str, shape: list[int]) -> np.ndarray:
    if min(shape, default=0) < 0:
        raise ValueError(f"an array has the shape {shape}")
    return np.frombuffer(data, dtype).reshape(shape)


def _count(meta: Mapping[str, Any], name: str) -> int:
    value = meta[name]
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {value!r}, a number from 0 expected")
    return value


def _text(meta: Mapping[str, Any], name: str) -> str:
    value = meta[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}, a text expected")
    return value


def _list(meta: Mapping[str, Any], name: str) -> list[Any]:
    value = meta[name]
    if not isinstance(value, list):
        raise ValueError(f"{name} is {value!r}, a list expected")
    return value


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"an object expected, not {value!r}")
    return value


def capture(state: Mapping[str, Variable]) -> dict[str, np.ndarray]:
    """Returns the values of variables by name, each of its variable's shape and type."""
    return {name: np.asarray(variable.numpy()) for name, variable in state.items()}


def check(state: Mapping[str, Variable], arrays: Mapping[str, np.ndarray]) -> None:
    """Checks that a checkpoint has every variable.

    Raises:
      TrainerError: it lacks one or has it in another shape.
    """
    for name, variable in state.items():
        if name not in arrays:
            raise TrainerError(f"the checkpoint has no {name}: it belongs to another network")
        if tuple(variable.shape) != arrays[name].shape:
            raise TrainerError(
                f"{name} is {list(arrays[name].shape)} in the checkpoint, "
                f"{list(variable.shape)} in the network: it belongs to another network"
            )


def assign(state: Mapping[str, Variable], arrays: Mapping[str, np.ndarray]) -> None:
    """Gives variables the values of a checkpoint; raises as `check`, with nothing changed."""
    check(state, arrays)
    for name, variable in state.items():
        variable.assign(arrays[name])


def first_not_finite(arrays: Mapping[str, np.ndarray]) -> str | None:
    """Returns the name of the first array with a NaN or an infinity, if any."""
    for name, values in arrays.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return name
    return None


def warn_of_damage(path: Path, reason: object) -> None:
    """Warns that a checkpoint is skipped."""
    warnings.warn(
        f"checkpoint {path} is damaged and skipped: {reason}",
        DamagedCheckpointWarning,
        stacklevel=3,
    )


def _read_or_warn(path: Path) -> Checkpoint | None:
    try:
        return read(path)
    except (ValueError, OSError) as error:
        warn_of_damage(path, error)
        return None
