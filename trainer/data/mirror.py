"""Whether mirrored pictures keep their class, from small thumbnails, before a run begins.

A flip makes "turn left" of "turn right", and a network that is trained so learns that they are one.
Two classes that a mirror exchanges show without a network: a linear classifier on thumbnails
takes the mirrored pictures of each for the other.

Mirrored pictures may well be recognised less often, since cars may all drive to the right: a
flip does no harm there. Only an exchange in both directions counts, so tracks of near-duplicates
in the data do not matter either.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.data.selection import Source

# Thumbnails have this side, pixels: enough for the direction of an arrow.
SIDE = 16

# Pictures of a class that are looked at, and records that are read for them, at most. More
# change nothing in the decision, and each costs 0.3 ms.
PER_CLASS = 60
RECORDS = 12_000

# Classes with fewer pictures say nothing: of 12 and 18 pictures of jellyfish in plankton, half
# were exchanged by chance.
FEWEST = 20

# Two classes are mirror images where this many more of each one's pictures, as a fraction, are
# taken for the other once mirrored. Measured at 32 and 64 pixels: 0.35 to 0.63 for signs with
# arrows to the left and right, 0.16 at most in fish_tracks, caltech60, grocery81 and plankton.
EXCHANGED = 0.25

# Strength of the ridge, as a fraction of the mean variance of a feature.
_RIDGE = 0.3


@dataclass(frozen=True)
class Exchange:
    """Two classes that a mirror exchanges.

    Attributes:
      classes: their names.
      share: how much more often, at least, the mirrored pictures of each are taken for the other.
    """

    classes: tuple[str, str]
    share: float

    def describe(self) -> str:
        """Returns what is said of it where pictures are therefore not flipped."""
        first, second = self.classes
        return (
            f"pictures are not flipped, since mirrored ones of {first!r} look like {second!r} "
            f"and vice versa ({self.share:.0%} of them more often than upright ones); "
            "--augment=flip,crop flips them anyway"
        )


def exchanged(source: Source) -> Exchange | None:
    """Returns the two classes of a train split that a mirror exchanges most, if it does any.

    Args:
      source: the selected records; its originals alone are looked at.

    Raises:
      TrainerError: a shard is damaged.
    """
    if sum(count >= FEWEST for count in source.selection.originals(source.split)) < 2:
        return None
    thumbnails, labels = _thumbnails(source)
    return find_exchange(thumbnails, labels, source.selection.classes)


def find_exchange(
    thumbnails: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> Exchange | None:
    """Returns the two classes that a mirror exchanges most, or None.

    Each half of the pictures is judged by what the other half taught.

    Args:
      thumbnails: float[n, `SIDE`, `SIDE`, 3].
      labels: int[n].
      classes: names.
    """
    counts = np.bincount(labels, minlength=len(classes))
    if np.sum(counts >= FEWEST) < 2:
        return None
    upright = np.zeros((len(classes), len(classes)))
    mirrored = np.zeros_like(upright)
    features, flipped = _features(thumbnails), _features(thumbnails[:, :, ::-1])
    half = _every_second(labels)
    for taught, judged in ((half, ~half), (~half, half)):
        scores = _linear_classifier(features[taught], labels[taught], len(classes))
        np.add.at(upright, (labels[judged], scores(features[judged]).argmax(1)), 1)
        np.add.at(mirrored, (labels[judged], scores(flipped[judged]).argmax(1)), 1)
    rise = (mirrored - upright) / np.maximum(1, counts)[:, None]
    rise[counts < FEWEST] = 0
    both = np.triu(np.minimum(rise, rise.T), k=1)
    first, second = divmod(int(np.argmax(both)), len(classes))
    share = float(both[first, second])
    return Exchange((classes[first], classes[second]), share) if share >= EXCHANGED else None


def _thumbnails(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Returns float32[n, `SIDE`, `SIDE`, 3] and int[n], of the first records of each class.

    Raises:
      TrainerError: a shard is damaged.
    """
    import tensorflow as tf  # It takes seconds to import: where it is needed.

    from trainer.data.stream import explain, stream_source

    selection = dataclasses.replace(source.selection, originals_only=True)
    originals = dataclasses.replace(source, selection=selection)
    batches = stream_source(originals, 256).as_numpy_iterator()
    try:
        return _first_of_each(
            ((images, labels) for images, labels, _ in batches), selection.counts(source.split)
        )
    except tf.errors.OpError as error:
        raise explain(error, originals) from error


def _first_of_each(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], counts: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns thumbnails and labels: of each class the first `PER_CLASS` of `RECORDS` records."""
    missing = np.minimum(counts, PER_CLASS)
    pictures, labels_of, seen = [], [], 0
    for images, labels in batches:
        for image, label in zip(images, labels, strict=True):
            if missing[label]:
                missing[label] -= 1
                pictures.append(_thumbnail(image))
                labels_of.append(label)
        seen += len(labels)
        if not missing.any() or seen >= RECORDS:
            break
    return np.stack(pictures), np.array(labels_of)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """Returns float32[`SIDE`, `SIDE`, 3], means of blocks; uint8[h, w, 3] of any size is taken."""
    means = image.astype(np.float32)
    for axis in (0, 1):
        length = image.shape[axis]
        if length < SIDE:
            means = np.repeat(means, -(-SIDE // length), axis=axis)
            length = means.shape[axis]
        starts = np.arange(SIDE) * length // SIDE
        ends = np.append(starts[1:], length)
        shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
        means = np.add.reduceat(means, starts, axis=axis) / (ends - starts).reshape(shape)
    return means


def _features(thumbnails: np.ndarray) -> np.ndarray:
    """Returns float64[n, d]: each picture's pixels less their mean, over their deviation."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / (flat.std(axis=1, keepdims=True) + 12)


def _every_second(labels: np.ndarray) -> np.ndarray:
    """Returns bool[n], true for every second picture of each class."""
    half = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        half[np.flatnonzero(labels == label)[::2]] = True
    return half


def _linear_classifier(
    features: np.ndarray, labels: np.ndarray, classes: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from float[m, d] to the classes' scores, fitted by ridge regression."""
    counts = np.bincount(labels, minlength=classes)
    weight = 1 / counts[labels]
    mean = features.mean(axis=0)
    centred = features - mean
    target = np.eye(classes)[labels]
    weighted = (centred * weight[:, None]).T
    variance = weighted @ centred
    variance += _RIDGE * np.trace(variance) / len(variance) * np.eye(len(variance))
    slopes = np.linalg.solve(variance, weighted @ (target - target.mean(axis=0)))
    return lambda unseen: (unseen - mean) @ slopes
