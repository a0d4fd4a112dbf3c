"""PyTorch's legacy files, written here by hand: PyTorch is not installed where this is tested."""

from __future__ import annotations

import collections
import io
import os
import pickle
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from tfrecords.errors import TrainerError
from trainer.models.torch_file import read_tensors


class _Storage:
    """What the pickler writes as a reference to a storage."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values


class _Tensor:
    """What the pickler writes as a call of PyTorch's function."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple, strides: tuple) -> None:
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self) -> tuple:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: object) -> tuple | None:
        if not isinstance(value, _Storage):
            return None
        return "storage", sys.modules["torch"].FloatStorage, "0", "cpu", len(value.values)


@pytest.fixture(autouse=True)
def torch_by_name(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules with the names that a pickle of PyTorch mentions."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for module, name in ((torch, "FloatStorage"), (utils, "_rebuild_tensor_v2")):
        function = types.FunctionType((lambda: None).__code__, {}, name)
        function.__module__, function.__qualname__ = module.__name__, name
        setattr(module, name, function)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    yield


def write(path: Path, tensors: Mapping[str, object], storage: _Storage, magic: int) -> Path:
    buffer = io.BytesIO()
    for value in (magic, 1001, {"little_endian": True}, collections.OrderedDict(tensors), ["0"]):
        _Pickler(buffer, 2).dump(value)
    buffer.write(len(storage.values).to_bytes(8, "little") + storage.values.tobytes())
    path.write_bytes(buffer.getvalue())
    return path


MAGIC = 0x1950A86A20F9469CFC6C
STORAGE = _Storage(np.arange(10, dtype="<f4"))


def test_tensors_are_views_of_a_storage(tmp_path: Path) -> None:
    tensors = {
        "a": _Tensor(STORAGE, 0, (2, 3), (3, 1)), "b": _Tensor(STORAGE, 6, (4,), (1,)),
        "c": _Tensor(STORAGE, 9, (), ()), "d": _Tensor(STORAGE, 0, (3, 2), (1, 3)),
    }  # fmt: skip
    found = read_tensors(write(tmp_path / "w.pth", tensors, STORAGE, MAGIC))
    np.testing.assert_array_equal(found["a"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(found["b"], [6, 7, 8, 9])
    assert found["c"] == 9
    np.testing.assert_array_equal(found["d"], [[0, 3], [1, 4], [2, 5]])


class _Command:
    def __reduce__(self) -> tuple:
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"a": _Command()}, "system is not part of a dictionary of tensors"),
        ({"a": _Tensor(STORAGE, 5, (2, 3), (3, 1))}, "not a legacy PyTorch file"),
        ({"a": _Tensor(STORAGE, -1, (2,), (1,))}, "begins before"),
        ({"a": _Tensor(STORAGE, 0, (2, 6), (1, 2))}, "not a legacy PyTorch file"),
        ({"a": _Tensor(STORAGE, 0, (9, 9), (2, -2))}, "begins before"),
        ({"a": 3}, "not a legacy PyTorch file"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, tensors: Mapping[str, object], said: str) -> None:
    with pytest.raises(TrainerError, match=said):
        read_tensors(write(tmp_path / "w.pth", tensors, STORAGE, MAGIC))
    assert not Path("harmed").exists()


def test_files_that_are_cut_off_or_of_another_kind(tmp_path: Path) -> None:
    tensors = {"a": _Tensor(STORAGE, 0, (2, 3), (3, 1))}
    whole = write(tmp_path / "w.pth", tensors, STORAGE, MAGIC).read_bytes()
    for length in (0, 5, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(TrainerError, match="not a legacy PyTorch file"):
            read_tensors(tmp_path / "cut.pth")
    with pytest.raises(TrainerError, match="does not begin as one"):
        read_tensors(write(tmp_path / "w.pth", tensors, STORAGE, 7))
    with pytest.raises(TrainerError, match="cannot read"):
        read_tensors(tmp_path / "absent.pth")
