from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfrecords import framing
from tfrecords.errors import TrainerError
from trainer.runs import checkpoints
from trainer.runs.checkpoints import Checkpoint, DamagedCheckpointWarning, Store


def checkpoint(global_step: int = 5) -> Checkpoint:
    arrays = {
        "model/0000/conv/kernel": np.random.default_rng(global_step).normal(size=(3, 3, 2)),
        "step": np.asarray(global_step, np.int64),
        "seed": np.arange(2, dtype=np.uint32),
        "empty": np.zeros((0, 4), np.float32),
    }
    return Checkpoint(1, 2, global_step, arrays, ({"epoch": 1, "loss": 0.1 + 0.2},), "f", {"n": 3})


def assert_equal(found: Checkpoint | None, expected: Checkpoint) -> None:
    assert found is not None
    assert (found.epoch, found.step, found.global_step) == (1, 2, expected.global_step)
    assert (found.history, found.fingerprint, found.extra) == (expected.history, "f", {"n": 3})
    assert found.arrays.keys() == expected.arrays.keys()
    for name, values in expected.arrays.items():
        assert found.arrays[name].dtype == values.dtype
        np.testing.assert_array_equal(found.arrays[name], values)


def test_round_trip(tmp_path: Path) -> None:
    checkpoints.write(tmp_path / "c.ckpt", checkpoint())
    assert_equal(checkpoints.read(tmp_path / "c.ckpt"), checkpoint())


def test_the_last_ones_and_the_best_are_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "checkpoints", keep=2)
    assert store.latest() is None and store.best() is None
    for step in (1, 2, 10):
        store.save(checkpoint(step))
    store.save_best(checkpoint(2))
    assert len(list(store.directory.iterdir())) == 3
    assert_equal(store.latest(), checkpoint(10))
    assert_equal(store.best(), checkpoint(2))


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.9])
def test_a_damaged_one_is_skipped_with_a_warning(tmp_path: Path, place: float) -> None:
    store = Store(tmp_path)
    store.save(checkpoint(1))
    path = store.save(checkpoint(2))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * place)])
    with pytest.warns(DamagedCheckpointWarning, match="step-000000002"):
        found = store.latest()
    assert_equal(found, checkpoint(1))


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "c.ckpt"
    checkpoints.write(path, checkpoint())
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        with pytest.raises(ValueError):
            checkpoints.read(path)


def test_a_full_disk_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.save(checkpoint(1))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainerError, match="No space left on device; earlier ones are intact"):
        store.save(checkpoint(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.ckpt"]
    assert_equal(store.latest(), checkpoint(1))


def test_tidy_takes_what_a_killed_save_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.save_best(checkpoint())
    (tmp_path / ".tmp-4-step-000000001.ckpt").write_bytes(b"half")
    store.tidy()
    assert list(tmp_path.iterdir()) == [path]


def _meta(edit: Callable[[dict[str, Any]], object]) -> bytes:
    """Returns a checkpoint without arrays, its CRCs sound, whose JSON was edited."""
    meta: dict[str, Any] = {
        "epoch": 1, "step": 2, "global_step": 5, "history": [], "fingerprint": "f", "extra": {},
        "arrays": [],
    }  # fmt: skip
    edit(meta)
    return framing.frame(json.dumps(meta).encode())


NAMES = ("epoch", "step", "global_step", "history", "fingerprint", "extra", "arrays")
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, -1), st.floats(), st.text(max_size=3),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=2)), min_size=1, max_size=3),
)  # fmt: skip


@given(name=st.sampled_from(NAMES), value=VALUES)
def test_sound_crcs_with_nonsense_inside_are_damage(name: str, value: object) -> None:
    with tempfile.NamedTemporaryFile(suffix=".ckpt") as file:
        file.write(_meta(lambda meta: meta.__setitem__(name, value)))
        file.flush()
        try:
            found = checkpoints.read(Path(file.name))
        except ValueError:
            return
    assert (name, value) == ("fingerprint", found.fingerprint)


@pytest.mark.parametrize("text", [b"", b"7", b"[]", b"null", b"{}", b"[" * 100_000, b"\xff"])
def test_another_text_is_damage(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "c.ckpt").write_bytes(framing.frame(text))
    with pytest.raises(ValueError):
        checkpoints.read(tmp_path / "c.ckpt")


def test_variables_round_trip() -> None:
    state: dict[str, Any] = {"a": tf.Variable([1.0, 2.0]), "b": tf.Variable(3, dtype=tf.int64)}
    arrays = checkpoints.capture(state)
    state["a"].assign([0.0, 0.0])
    checkpoints.assign(state, arrays)
    np.testing.assert_array_equal(state["a"].numpy(), [1, 2])


@pytest.mark.parametrize("arrays", [{}, {"a": np.zeros(3)}])
def test_another_network_is_refused(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(TrainerError, match="belongs to another network"):
        checkpoints.assign({"a": tf.Variable([1.0, 2.0])}, arrays)


def test_not_finite_is_found() -> None:
    assert checkpoints.first_not_finite({"a": np.array([1.0]), "b": np.array([1])}) is None
    assert checkpoints.first_not_finite({"a": np.array([1.0, np.nan])}) == "a"
