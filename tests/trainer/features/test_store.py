"""Features on disk."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tfrecords.errors import TrainerError
from tfrecords.system.disk import DiskError
from trainer.features.store import FeatureStore

ROWS = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float16)


def parts(*positions: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for each in positions:
        yield np.array(each), ROWS[list(each)].astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    made = FeatureStore(tmp_path / "f", 10, 4)
    made.create({"model": "m"})
    return made


def test_rows_are_kept(store: FeatureStore) -> None:
    assert not store.done().any()
    store.write(parts((1, 2), (7,)))
    again = FeatureStore(store.folder, 10, 4)
    again.create({})
    assert np.flatnonzero(again.done()).tolist() == [1, 2, 7]
    np.testing.assert_array_equal(again.rows(np.array([7, 1])), ROWS[[7, 1]])


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_what_came_before_an_error_is_kept(store: FeatureStore, seconds: float) -> None:
    def failing() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield from parts((3, 4))
        raise ValueError

    with pytest.raises(ValueError):
        store.write(failing(), seconds)
    assert np.flatnonzero(store.done()).tolist() == [3, 4]


def test_files_of_another_size_are_made_anew(store: FeatureStore) -> None:
    store.write(parts((1,)))
    (store.folder / "rows").write_bytes(b"cut off")
    assert not store.done().any()
    store.create({})
    store.write(parts((2,)))
    assert np.flatnonzero(store.done()).tolist() == [2]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainerError, match="cannot write features"):
        FeatureStore(tmp_path / "file" / "f", 10, 4).create({})


def test_a_second_run_waits_for_the_first(store: FeatureStore) -> None:
    told, order = threading.Event(), []

    def second() -> None:
        with store.held(told.set):
            order.append("second")

    with store.held(lambda: None):
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(30)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_full_disk_keeps_what_was_marked_and_is_one_line(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a memory map the kernel would end the process instead."""
    store.write(parts((1, 2)))
    real = os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if offset == 4 * ROWS.shape[1] * 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data[:3], offset)  # A part, as a disk does that fills up.

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DiskError, match=f"{store.folder}: No space left on device; free some"):
        store.write(parts((6, 8), (4,)))
    monkeypatch.setattr(os, "pwrite", real)
    assert np.flatnonzero(store.done()).tolist() == [1, 2, 6, 8]
    np.testing.assert_array_equal(store.rows(np.array([8, 6, 1])), ROWS[[8, 6, 1]])


@pytest.mark.parametrize(
    "damage",
    [
        lambda rows: rows[:8] + bytes(8) + rows[16:],  # Never arrived: a copy, a power cut.
        lambda rows: rows[:9] + bytes([rows[9] ^ 1]) + rows[10:],
    ],
)
def test_a_row_that_is_not_as_it_was_written_is_missing(
    store: FeatureStore, damage: Callable[[bytes], bytes]
) -> None:
    everything = np.arange(10)
    store.write(parts((0, 1, 2), (7,)))
    assert np.flatnonzero(store.intact(everything)).tolist() == [0, 1, 2, 7]
    (store.folder / "rows").write_bytes(damage((store.folder / "rows").read_bytes()))
    assert np.flatnonzero(store.intact(everything)).tolist() == [0, 2, 7]
    assert store.intact(np.array([7, 1, 3])).tolist() == [True, False, False]
    store.create({})
    store.write(parts((1,)))
    assert np.flatnonzero(store.intact(everything)).tolist() == [0, 1, 2, 7]


def test_rows_of_an_earlier_version_have_no_sums_and_are_computed_again(
    store: FeatureStore,
) -> None:
    store.write(parts((1, 2)))
    (store.folder / "sums").rename(store.folder / "done")
    assert not store.done().any() and not store.intact(np.arange(10)).any()
