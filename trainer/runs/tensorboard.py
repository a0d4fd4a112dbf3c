"""Writes what TensorBoard shows, without TensorBoard: an event file is a TFRecord file of Events.

The layout is that of `keras.callbacks.TensorBoard`: `train/` and `validation/` side by side, with
the same tags (`epoch_loss`, `epoch_accuracy`, …) at step 0 for the first epoch, so that the two
curves, and those of a run of Keras, share a chart. The file above them holds the flags for the
HParams tab. Source: tensorflow/core/util/event.proto and events_writer.cc.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import tensorflow as tf
from PIL import Image

from tfrecords import framing
from trainer.runs import hparams

TRAIN, VALIDATION = "train", "validation"
SAMPLES, CONFUSION = "samples", "confusion"

# TensorBoard reads files with "tfevents" in their name, and takes the first record as a header.
FILENAME = "events.out.tfevents.0.evenshard"
_HEADER = "brain.Event:2"

# Pictures on a sheet of samples, and how many of them side by side.
SHEET = 16
_ACROSS = 8

Event: TypeAlias = tf.compat.v1.Event
_Value = tf.compat.v1.Summary.Value


@dataclass(frozen=True)
class Epoch:
    """The numbers of an epoch.

    Attributes:
      train, validation: by tag.
      seconds: that it took.
    """

    train: Mapping[str, float]
    validation: Mapping[str, float]
    seconds: float


def append(directory: Path, number: int, epoch: Epoch) -> None:
    """Adds an epoch that ended just now.

    Args:
      directory: of the run's events; made if absent.
      number: of the epoch, 0 for the first.
      epoch: its numbers.

    Raises:
      OSError: a file cannot be written.
    """
    now = time.time()
    _add(directory / TRAIN, [_scalars(epoch.train, number, now)])
    _add(directory / VALIDATION, [_scalars(epoch.validation, number, now)])


def restart(directory: Path, epochs: Sequence[Epoch], flags: Mapping[str, object]) -> None:
    """Writes the event files anew with the epochs so far, and the flags for the HParams tab.

    A resumed run may repeat an epoch that the killed one had already written. The others keep
    the time at which they ended, as their events say it; where those are lost it is taken from
    the seconds of the epochs after them.

    Args:
      directory: of the run's events; made if absent.
      epochs: in order.
      flags: name → number, text or bool.

    Raises:
      OSError: a file cannot be written.
    """
    before = {part: _read(directory / part) for part in (TRAIN, VALIDATION)}
    ended = _ended(before[TRAIN], epochs)
    for part, events in before.items():
        (directory / part / FILENAME).unlink(missing_ok=True)
        numbers = [epoch.train if part == TRAIN else epoch.validation for epoch in epochs]
        scalars = (_scalars(*each) for each in zip(numbers, range(len(epochs)), ended, strict=True))
        samples = (e for e in events if _tag(e) == SAMPLES and e.step <= len(epochs))
        _add(directory / part, [*samples, *scalars])
    began = ended[0] - epochs[0].seconds if epochs else time.time()
    (directory / FILENAME).unlink(missing_ok=True)
    _add(directory, [_plugin(hparams.start(flags, began), began)])


def add_samples(directory: Path, images: np.ndarray, number: int) -> None:
    """Adds a sheet of training pictures as the network is given them.

    Args:
      directory: of the run's events.
      images: uint8[n, height, width, 3], at least one.
      number: of the epoch that they are of, 0 for the first.
    """
    buffer = io.BytesIO()
    Image.fromarray(_sheet(images)).save(buffer, "png")
    _add(directory / TRAIN, [_image(SAMPLES, buffer.getvalue(), number)])


def finish(directory: Path, confusion: bytes, best: int) -> None:
    """Adds the confusion matrix, and that the run has ended.

    Args:
      directory: of the run's events.
      confusion: PNG file.
      best: number of the epoch that it is of, 0 for the first.
    """
    _add(directory / VALIDATION, [_image(CONFUSION, confusion, best)])
    _add(directory, [_plugin(hparams.end(time.time()), time.time())])


def _add(folder: Path, events: Iterable[Event]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / FILENAME, "ab") as file:
        if not file.tell():
            file.write(_frame(Event(wall_time=time.time(), file_version=_HEADER)))
        for event in events:
            file.write(_frame(event))


def _read(folder: Path) -> list[Event]:
    """Returns the events in a file, up to where it is cut off or damaged; none without a file."""
    events: list[Event] = []
    try:
        for data in framing.read_records(str(folder / FILENAME)):
            events.append(Event.FromString(data))
    except (OSError, framing.DamagedRecordError, ValueError):
        pass
    return events


def _ended(events: Sequence[Event], epochs: Sequence[Epoch]) -> list[float]:
    """Returns when each epoch ended, in seconds since 1970."""
    known = {e.step: e.wall_time for e in events if _tag(e).startswith("epoch_")}
    ended: list[float] = []
    following = time.time()
    for number in reversed(range(len(epochs))):
        ended.append(min(following, known.get(number, following)))
        following = ended[-1] - epochs[number].seconds
    return ended[::-1]


def _tag(event: Event) -> str:
    return event.summary.value[0].tag if event.summary.value else ""


def _scalars(values: Mapping[str, float], step: int, wall_time: float) -> Event:
    summary = tf.compat.v1.Summary(
        value=[_Value(tag=tag, simple_value=value) for tag, value in values.items()]
    )
    return Event(step=step, wall_time=wall_time, summary=summary)


def _image(tag: str, png: bytes, step: int) -> Event:
    with Image.open(io.BytesIO(png)) as opened:
        width, height = opened.size
    image = tf.compat.v1.Summary.Image(
        height=height, width=width, colorspace=3, encoded_image_string=png
    )
    summary = tf.compat.v1.Summary(value=[_Value(tag=tag, image=image)])
    return Event(step=step, wall_time=time.time(), summary=summary)


def _plugin(message: hparams.Message, wall_time: float) -> Event:
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = hparams.PLUGIN
    metadata.plugin_data.content = message.content
    # A summary needs a value; TensorBoard's own writer gives this one.
    nothing = tf.make_tensor_proto(0.0, shape=(1,))
    value = _Value(tag=message.tag, metadata=metadata, tensor=nothing)
    return Event(wall_time=wall_time, summary=tf.compat.v1.Summary(value=[value]))


def _sheet(images: np.ndarray) -> np.ndarray:
    """Returns uint8[n, height, width, 3] as one picture, row by row, black where none is left."""
    count, height, width, _ = images.shape
    across = min(_ACROSS, count)
    down = -(-count // across)
    sheet = np.zeros((down * height, across * width, 3), np.uint8)
    for number, image in enumerate(images):
        top, left = number // across * height, number % across * width
        sheet[top : top + height, left : left + width] = image
    return sheet


def _frame(event: Event) -> bytes:
    return framing.frame(event.SerializeToString())
