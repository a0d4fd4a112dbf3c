"""Reads the tensors of a PyTorch file of the legacy form, without PyTorch.

Such a file is five pickles, one after another (a magic number, the protocol, sizes of the writing
machine, the dictionary of tensors, the keys of their storages), and behind them each storage as
its length, int64, and its values. A pickle may call anything; here it may call only what a
dictionary of tensors needs.
"""

from __future__ import annotations

import collections
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from tfrecords.errors import TrainerError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001

_DTYPES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8",
    "IntStorage": "<i4",
}  # fmt: skip

# What unpickling another file raises.
_NOT_TENSORS = (
    pickle.UnpicklingError, ValueError, KeyError, TypeError, AttributeError, EOFError, IndexError,
)  # fmt: skip


@dataclass(frozen=True)
class _Storage:
    """A run of values that tensors are views of."""

    key: str
    dtype: np.dtype
    length: int


@dataclass(frozen=True)
class _Tensor:
    """A tensor whose values come later in the file."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def values(self, storages: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the tensor's values.

        Raises:
          ValueError: it reaches beyond its storage.
        """
        data = storages[self.storage.key]
        if self.offset < 0 or any(stride < 0 for stride in self.strides):
            raise ValueError("a tensor begins before its storage")
        # NumPy checks the bounds itself.
        return np.ndarray(
            self.shape,
            data.dtype,
            data,
            self.offset * data.itemsize,
            [stride * data.itemsize for stride in self.strides],
        )


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a state dictionary by name, each of its shape and type there.

    Raises:
      TrainerError: the file cannot be read, or holds anything but a dictionary of tensors.
    """
    try:
        with open(path, "rb") as file:
            return _read(file)
    except OSError as error:
        raise TrainerError(f"cannot read {path}: {error.strerror or error}") from error
    except _NOT_TENSORS as error:
        raise TrainerError(f"{path} is not a legacy PyTorch file of tensors: {error}") from error


def _read(file: IO[bytes]) -> dict[str, np.ndarray]:
    if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _PROTOCOL:
        raise ValueError("it does not begin as one")
    _Unpickler(file).load()  # Sizes of the writing machine, which the storages' names give too.
    unpickler = _Unpickler(file)
    tensors = unpickler.load()
    storages = {
        key: _read_storage(file, unpickler.storages[key]) for key in _Unpickler(file).load()
    }
    return {name: tensor.values(storages) for name, tensor in tensors.items()}


def _read_storage(file: IO[bytes], storage: _Storage) -> np.ndarray:
    length = int.from_bytes(file.read(8), "little")
    data = file.read(storage.length * storage.dtype.itemsize)
    if length != storage.length or len(data) != length * storage.dtype.itemsize:
        raise ValueError(f"storage {storage.key} is cut off")
    return np.frombuffer(data, storage.dtype)


class _Unpickler(pickle.Unpickler):
    """Unpickles dictionaries, numbers, texts and tensors, and refuses everything else."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Returns what a global name of the pickle stands for; part of pickle's interface."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _DTYPES:
            return np.dtype(_DTYPES[name])
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a dictionary of tensors")

    def persistent_load(self, saved: Any) -> _Storage:
        """Returns a storage that the pickle refers to; part of pickle's interface."""
        _, dtype, key, _, length = saved[:5]
        return self.storages.setdefault(str(key), _Storage(str(key), dtype, int(length)))


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *rest: object
) -> _Tensor:
    """Stands for the function of PyTorch that rebuilds a tensor; `rest` is about gradients."""
    del rest
    return _Tensor(storage, int(offset), tuple(shape), tuple(strides))
