"""Writes scalars for TensorBoard without it: an event file is a TFRecord file of Events.

Source: tensorflow/core/util/event.proto and events_writer.cc.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from tfrecords import framing

# TensorBoard reads files with "tfevents" in their name, and takes the first record as a header.
FILENAME = "events.out.tfevents.0.evenshard"
_HEADER = "brain.Event:2"


def append(directory: Path, scalars: Mapping[str, float], step: int, seconds: float) -> None:
    """Adds an epoch's numbers to the event file of `directory`.

    Args:
      directory: made if absent.
      scalars: by tag.
      step: optimizer steps done.
      seconds: since the run began; TensorBoard's "relative" axis.

    Raises:
      OSError: it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / FILENAME, "ab") as file:
        if not file.tell():
            file.write(_frame(tf.compat.v1.Event(file_version=_HEADER)))
        values = [
            tf.compat.v1.Summary.Value(tag=tag, simple_value=value)
            for tag, value in scalars.items()
        ]
        summary = tf.compat.v1.Summary(value=values)
        file.write(_frame(tf.compat.v1.Event(step=step, wall_time=seconds, summary=summary)))


def restart(directory: Path, epochs: Sequence[tuple[Mapping[str, float], int, float]]) -> None:
    """Writes the event file anew with the epochs so far, each as `append` takes it.

    A resumed run may repeat an epoch that the killed one had already written.
    """
    (directory / FILENAME).unlink(missing_ok=True)
    for scalars, step, seconds in epochs:
        append(directory, scalars, step, seconds)


def _frame(event: tf.compat.v1.Event) -> bytes:
    return framing.frame(event.SerializeToString())
