"""The batches of one epoch after another, where the next epoch's stream starts while one ends.

A stream fills its shuffle buffer before it gives its first batch. The buffer of an epoch that ends
empties, so the next one's is filled then, and during validation: nobody waits for it, and together
they hold little more than one.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from trainer.data.selection import Source
from trainer.data.stream import Augment, Batch, epoch_batches, order_and_key, stream_options

# A stream starts at most this part of an epoch early, so that not all of two epochs is in memory.
MOST_LEAD = 0.25

# Seconds to wait, at the end of a run, for a stream that has just been started.
_PATIENCE = 10.0


def epoch_streams(
    source: Source,
    batch_size: int,
    seed: int,
    augment: Augment | None = None,
    cache: str = "none",
    shuffle_buffer_mb: int = 256,
    stack: int = 1,
) -> Callable[[int, int], tf.data.Dataset]:
    """Returns a function from an epoch and its first step to the rest of its batches.

    Arguments and batches are those of `training_stream`, which holds these streams one behind the
    other. The graph is traced once, and a cache filled once, whatever the number of epochs.
    """
    of_epoch = epoch_batches(source, batch_size, seed, augment, cache, shuffle_buffer_mb, stack)
    specs: list[object] = []

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.int64),
            tf.TensorSpec([len(source.files)], tf.int64),
            tf.TensorSpec([2], tf.int32),
        ],
        autograph=False,
    )
    def variant(step: tf.Tensor, order: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        stream = (
            of_epoch(step, order, key).with_options(stream_options()).prefetch(tf.data.AUTOTUNE)
        )
        specs.append(stream.element_spec)
        return tf.data.experimental.to_variant(stream)

    def epoch_stream(epoch: int, step: int) -> tf.data.Dataset:
        order, key = order_and_key(source, seed, epoch)
        with tf.device("/CPU:0"):
            made = variant(np.int64(step), order, key)
        return tf.data.experimental.from_variant(made, specs[0])

    return epoch_stream


class Epochs(Iterator[Batch]):
    """Batches, or stacks of them, of the epochs from one on; it raises what reading them raises.

    Args:
      open_epoch: (epoch, first step) → the stream of the rest of that epoch; called once for each.
      start: (epoch, step) to begin at.
      epochs: of the whole run.
      steps: batches of an epoch.
      stack: batches given at once.
      lead: how many batches before the end of an epoch the next one's stream is started.
    """

    def __init__(
        self,
        open_epoch: Callable[[int, int], Iterator[Batch]],
        start: tuple[int, int],
        epochs: int,
        steps: int,
        stack: int = 1,
        lead: int = 1,
    ) -> None:
        self._open = open_epoch
        self._epochs, self._steps, self._stack = epochs, steps, stack
        self._lead = max(1, min(lead, math.ceil(MOST_LEAD * steps)))
        self._epoch, self._left = start[0], steps - start[1]
        self._current: Iterator[Batch] | None = open_epoch(*start)
        self._next: _Started | None = None

    def __next__(self) -> Batch:
        while self._current is not None:
            self._start_next()
            batch = next(self._current, None)
            if batch is not None:
                self._left -= self._stack
                return batch
            self._go_on()
        raise StopIteration

    def close(self) -> None:
        """Waits a while for a stream that is being started, and lets go of all of them."""
        if self._next is not None:
            self._next.wait(_PATIENCE)
        self._current = self._next = None

    def _start_next(self) -> None:
        if self._left <= self._lead and self._next is None and self._epoch + 1 < self._epochs:
            self._next = _Started(functools.partial(self._open, self._epoch + 1, 0))

    def _go_on(self) -> None:
        """Makes the next epoch the current one."""
        self._epoch, self._left = self._epoch + 1, self._steps
        if self._epoch >= self._epochs:
            self._current = None
            return
        started, self._next = self._next, None
        self._current = self._open(self._epoch, 0) if started is None else iter(started)


class _Started:
    """A stream whose first batch another thread waits for; the rest follows it by itself."""

    def __init__(self, open_epoch: Callable[[], Iterator[Batch]]) -> None:
        self._open = open_epoch
        self._stream: Iterator[Batch] = iter(())
        self._first: list[Batch] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="next epoch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Batch]:
        self.wait()
        if self._error is not None:
            raise self._error
        yield from self._first
        yield from self._stream

    def wait(self, seconds: float | None = None) -> None:
        """Waits for the first batch, or what came instead."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._stream = self._open()
            self._first = [batch for batch in [next(self._stream, None)] if batch is not None]
        except BaseException as error:  # The thread that takes the batches raises it.
            self._error = error
