"""How much of a held-out split a model could answer from memory.

A held-out picture leaks if a train picture of its class looks almost the same. Where pictures are
independent that is rare under any split; where they are frames of tracks, a random split
leaks nearly all of them and its accuracy means nothing.

The meter sees likeness, not origin: a high reading proves a leak, and a low one does not rule it
out. After a split by appearance it is low by construction, since that keeps the same distances
large.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfrecords.schema import TRAIN_INDEX

# Two pictures are suspiciously close below this share of the median distance in their class.
# After a random split 3% of pictures of 60 kinds of objects are, 13% of plankton on white,
# and of frames of tracks 95% and more, or 60% where the camera shakes. See docs/duplicates.md.
NEAR = 0.3

# Below this share of a held-out split, nothing points to a leak: after a random split, independent
# pictures read 3% (objects) to 13% (plankton). See docs/duplicates.md.
GOOD = 0.15

# From this share on there is a leak: sets with frames of a track on both sides read 33% (fish, 3
# frames a track) to 99%. `--split_by=auto` splits by appearance from here on.
BAD = 0.2

# Folds are alike, so the meter reads the first: this is its name among the held-out splits.
MEASURED_FOLD = "fold 0"

# Edges of the histograms of distances; the last bin takes what is beyond.
EDGES = tuple(index / 20 for index in range(31))

MAX_PAIRS = 24


@dataclass(frozen=True, slots=True)
class LeakPair:
    """A held-out picture and the train picture nearest to it: keys, and their distance."""

    held_out: str
    train: str
    distance: float


@dataclass(frozen=True, slots=True)
class LeakMeter:
    """How much one held-out split gives away: of a class, of some classes or of a data set.

    Distances are shares of the median distance between two pictures of the class: 0 is the
    same picture, 1 is as unlike as any two. All values are plain JSON.

    Attributes:
      split: name of the held-out split.
      pictures: how many of its pictures were compared with train pictures of their class.
      near: how many of them are suspiciously close to one.
      random_near: how many would be after a random split, in expectation.
      train_pictures: how many train pictures were compared with other train pictures.
      train_near: how many of them are suspiciously close to one.
      histogram, train_histogram: number of held-out pictures, and of train pictures, by the
        distance to the nearest other train picture, between the `EDGES`.
      pairs: the nearest pairs, nearest first.
      sampled: whether the data set was too large to be measured whole; numbers are then too low.
    """

    split: str
    pictures: int
    near: int
    random_near: float
    train_pictures: int
    train_near: int
    histogram: tuple[int, ...]
    train_histogram: tuple[int, ...]
    pairs: tuple[LeakPair, ...]
    sampled: bool = False

    @classmethod
    def total(cls, split: str, parts: Iterable[LeakMeter]) -> LeakMeter:
        """Adds up the meters of a split, each of other classes, in any order."""
        parts = [part for part in parts if part.split == split]
        pairs = sorted(
            (pair for part in parts for pair in part.pairs),
            key=lambda pair: (pair.distance, pair.held_out),
        )
        return cls(
            split=split,
            pictures=sum(part.pictures for part in parts),
            near=sum(part.near for part in parts),
            # Rounded, so that the order of the parts does not show in the last digits.
            random_near=round(math.fsum(part.random_near for part in parts), 6),
            train_pictures=sum(part.train_pictures for part in parts),
            train_near=sum(part.train_near for part in parts),
            histogram=_summed([part.histogram for part in parts]),
            train_histogram=_summed([part.train_histogram for part in parts]),
            pairs=tuple(pairs[:MAX_PAIRS]),
            sampled=any(part.sampled for part in parts),
        )

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> LeakMeter:
        """Returns the meter whose `dataclasses.asdict` went through JSON."""
        return cls(
            **{
                **fields,
                "histogram": tuple(fields["histogram"]),
                "train_histogram": tuple(fields["train_histogram"]),
                "pairs": tuple(LeakPair(**pair) for pair in fields["pairs"]),
            }
        )

    @property
    def share(self) -> float:
        """Share of the held-out pictures that are suspiciously close, 0 to 1."""
        return self.near / max(self.pictures, 1)

    @property
    def random_share(self) -> float:
        """The same after a random split, in expectation."""
        return self.random_near / max(self.pictures, 1)

    @property
    def train_share(self) -> float:
        """Share of the train pictures that are as near to another train picture."""
        return self.train_near / max(self.train_pictures, 1)

    def note(self, *, by_appearance: bool = False) -> str:
        """Returns the reading in one line: the numbers, whether they are good and what to do.

        Args:
          by_appearance: whether pictures were split by appearance.
        """
        if not self.pictures:
            return f"leak meter: there is no {self.split} picture to compare with train"
        sampled = ", of a sample: the true share is higher" if self.sampled else ""
        return (
            f"leak meter: {self.share:.1%} of {self.pictures:,} {self.split} pictures are "
            "suspiciously close to a train picture of their class "
            f"({self.random_share:.1%} after a random split{sampled}): "
            f"{self.verdict(by_appearance=by_appearance)}"
        )

    def verdict(self, *, by_appearance: bool = False) -> str:
        """Returns in words whether the reading is good, and what to do if it is not."""
        if self.share < GOOD:
            why = "; low by construction after a split by appearance" if by_appearance else ""
            return f"good, no sign of a leak{why}"
        if self.share < BAD:
            return (
                "doubtful, more than pictures that are merely alike: look at the nearest pairs in "
                f"the report, and if they are of one object or video, {_MEND}"
            )
        return f"bad, as if frames of one video were on both sides: {_MEND}"


# A split that the input gives stays as it is, whatever the flags say.
_MEND = (
    "keep what belongs together in one split by --group_by=REGEX on file names, by --group_column "
    "of a table or, if neither tells, by --split_by=appearance (none changes a split that the "
    "input itself gives)"
)


def total_of_splits(parts: Sequence[LeakMeter], splits: Sequence[str]) -> tuple[LeakMeter, ...]:
    """Adds up meters, in any order; returns one for each held-out split.

    Args:
      parts: each of some classes.
      splits: names of all splits, train first.
    """
    return tuple(
        LeakMeter.total(name, parts) for index, name in enumerate(splits) if index != TRAIN_INDEX
    )


def _summed(histograms: Sequence[Sequence[int]]) -> tuple[int, ...]:
    empty = (0,) * (len(EDGES) - 1)
    return tuple(sum(counts) for counts in zip(empty, *histograms, strict=True))
