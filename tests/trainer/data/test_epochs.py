"""Epochs one behind the other: the batches of one long stream, each stream started in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tests.trainer.data.test_stream import CACHES, assert_same, collect, open_fake
from trainer.data import augment
from trainer.data import stream as data
from trainer.data.epochs import Epochs, epoch_streams


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("stack", [1, 2])
def test_they_give_what_one_stream_gives_from_anywhere(
    tmp_path: Path, cache: str, stack: int
) -> None:
    source = open_fake(tmp_path)
    augmenter = augment.Augmenter(("flip", "mixup"))
    stream_of = epoch_streams(source, 9, 5, augmenter, cache, stack=stack)
    steps = data.steps_per_epoch(source, 9)
    for start in ((0, 0), (1, 2), (2, steps - 1)):
        whole = data.training_stream(source, 9, 3, 5, augmenter, start, cache, stack=stack)
        for lead in (1, 100):
            epochs = Epochs(lambda *at: iter(stream_of(*at)), start, 3, steps, stack, lead)
            assert_same(collect(whole), collect(epochs))


def test_they_go_through_a_prefetch_to_a_device(tmp_path: Path) -> None:
    source = open_fake(tmp_path)
    stream_of = epoch_streams(source, 9, 5)
    to_device = tf.data.experimental.prefetch_to_device("/CPU:0")
    steps = data.steps_per_epoch(source, 9)
    epochs = Epochs(lambda *at: iter(stream_of(*at).apply(to_device)), (0, 1), 2, steps)
    assert_same(
        collect(data.training_stream(source, 9, 2, 5, start=(0, 1))),
        collect(epochs),
    )


class Recorder:
    """Streams of numbers, (epoch, step), that note what was asked for."""

    def __init__(self, steps: int, fails: int | None = None) -> None:
        self.steps, self.fails = steps, fails
        self.opened: list[int] = []
        self.read: dict[int, threading.Event] = {}

    def __call__(self, epoch: int, step: int) -> Iterator[Any]:
        self.opened.append(epoch)
        self.read[epoch] = threading.Event()
        return self._batches(epoch, step)

    def _batches(self, epoch: int, step: int) -> Iterator[tuple[int, int]]:
        self.read[epoch].set()
        if epoch == self.fails:
            raise tf.errors.DataLossError(None, None, "damaged")
        yield from ((epoch, number) for number in range(step, self.steps))


@pytest.mark.parametrize(("lead", "early"), [(1, 1), (2, 2), (100, 3)])
def test_the_next_stream_starts_so_many_batches_early(lead: int, early: int) -> None:
    recorder = Recorder(steps=10)
    epochs = Epochs(recorder, (0, 0), 2, 10, lead=lead)
    for number in range(10):
        assert next(epochs) == (0, number)
        assert (1 in recorder.opened) == (10 - number <= early)
    assert recorder.read[1].wait(10)
    assert [next(epochs, None) for _ in range(11)] == [*((1, n) for n in range(10)), None]
    assert recorder.opened == [0, 1]


def test_what_goes_wrong_in_the_next_epoch_is_raised_there() -> None:
    epochs = Epochs(Recorder(steps=2, fails=1), (0, 0), 3, 2)
    assert [next(epochs), next(epochs)] == [(0, 0), (0, 1)]
    with pytest.raises(tf.errors.DataLossError):
        next(epochs)


def test_a_run_that_ends_early_lets_go() -> None:
    recorder = Recorder(steps=2)
    epochs = Epochs(recorder, (0, 0), 9, 2)
    next(epochs), next(epochs)
    epochs.close()
    assert recorder.opened == [0, 1]
    assert next(epochs, None) is None
