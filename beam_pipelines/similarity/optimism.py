"""How far a score on held-out pictures may lie above the truth, as a number.

The nearest train picture is asked for the class of a held-out one twice: once any may answer, and
once only those that are not so near that they may be kin, whatever their class. Where pictures
are independent the two accuracies are about the same. A network that is trained does not lean on
its nearest pictures alone, so for it the difference is nearly the most that it can gain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from beam_pipelines.cache.thumbnails import LoadThumbnails
from beam_pipelines.similarity import appearance, leakage
from tfrecords.schema import TRAIN_INDEX

# Pictures nearer than this share of the median distance in a class may be kin of its pictures. At
# this share the second accuracy of 10,771 frames of fish is 0.76, and 0.77 if whole tracks are
# held out, where the first claims 0.93. See docs/duplicates.md.
KIN = 0.5

# Independent pictures read up to this difference (plankton), since some are merely alike.
USUAL = 0.1

# Error of the difference: about a hundredth.
_MAX_QUERIES, _MAX_REFERENCES = 500, 20_000

# References that are loaded and compared at a time.
_AT_ONCE = 1_024

# The split that is measured: the first behind train.
HELD_OUT = TRAIN_INDEX + 1


@dataclass(frozen=True, slots=True)
class Optimism:
    """What a held-out split claims; all values are plain JSON.

    Attributes:
      split: its name.
      pictures: how many of its pictures were asked about.
      claimed: accuracy of the nearest train picture, 0 to 1.
      without_kin: accuracy of the nearest one that is not near enough to be kin.
    """

    split: str
    pictures: int
    claimed: float
    without_kin: float

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any] | None) -> Optimism | None:
        """Returns what was stored as JSON; None where nothing was measured."""
        return None if fields is None else cls(**fields)

    @property
    def gain(self) -> float:
        """How far the claim lies above the accuracy without kin."""
        return max(0.0, round(self.claimed - self.without_kin, 4))

    @property
    def is_high(self) -> bool:
        """Whether independent pictures would read less."""
        return self.gain > USUAL

    def note(self) -> str:
        """Returns the reading in one line."""
        verdict = (
            f"a score on {self.split} may be about {self.gain:.2f} too high"
            if self.is_high
            else f"little or none on {self.split}"
        )
        return (
            f"expected optimism: {verdict} (the most similar train picture has the right class "
            f"for {self.claimed:.0%} of {self.pictures:,} pictures, and for {self.without_kin:.0%} "
            "without train pictures that may show the same thing; a difference of up to "
            f"{USUAL:.0%} is usual)"
        )


def sample(split: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns int64[t] and int64[q], the train and the held-out pictures that are compared.

    Args:
      split: int8[n], split index of each picture.
    """
    train = appearance.sample(np.flatnonzero(split == TRAIN_INDEX), _MAX_REFERENCES)
    return train, appearance.sample(np.flatnonzero(split == HELD_OUT), _MAX_QUERIES)


def compare(
    thumbnails: LoadThumbnails, class_ids: np.ndarray, order: np.ndarray, name: str
) -> Optimism:
    """Measures a held-out split by the pictures that `sample` chose.

    Args:
      thumbnails: loads uint8[k, 16, 16, 3] of k rows; those of train, t of them, come first.
      class_ids: int32[t + q].
      order: int64[t], rows of train in the order to load them in, as that of their packs; it does
        not change the result.
      name: of the held-out split.
    """
    train, pictures = len(order), len(class_ids) - len(order)
    of_train, of_query = class_ids[:train], class_ids[train:]
    medians = _medians(thumbnails, of_train, int(class_ids.max()) + 1)
    limit = np.square(KIN * medians[of_query])
    asked = appearance.features(thumbnails(np.arange(train, train + pictures))).astype(np.float32)
    # The nearest of all, and the nearest that is not kin.
    best = np.full((2, pictures), np.inf, np.float32)
    nearest = np.zeros((2, pictures), np.int64)
    for start in range(0, train, _AT_ONCE):
        rows = np.sort(order[start : start + _AT_ONCE])
        squared = appearance.squared_distances(asked, appearance.features(thumbnails(rows)))
        leakage.keep_nearest(squared, rows, best[0], nearest[0])
        squared[squared < limit[:, None]] = np.inf
        leakage.keep_nearest(squared, rows, best[1], nearest[1])
    right = (of_train[nearest] == of_query) & np.isfinite(best)
    claimed, without = (round(count / pictures, 4) for count in right.sum(axis=1).tolist())
    return Optimism(name, pictures, claimed, without)


def _medians(thumbnails: LoadThumbnails, class_ids: np.ndarray, classes: int) -> np.ndarray:
    """Returns float64[classes], the median distance of two pictures of each; 0 of none."""
    result = np.zeros(classes)
    for rows, _, small in appearance.by_class(thumbnails, class_ids, leakage.MEDIAN_SAMPLE):
        result[class_ids[rows[0]]] = leakage.median_distance(small)
    return result
