"""The choices of a bake: what each may be, and the measured defaults."""

from __future__ import annotations

import enum

from tfrecords.schema import TRAIN

# Values of --class_order that are no file.
NATURAL = "natural"
CLASS_ORDERS = (NATURAL, "name")

DEFAULT_SPLITS = ((TRAIN, 0.8), ("validation", 0.1), ("test", 0.1))

# The word of --splits that divides train into folds, and how many there may be: more than 20 runs
# tell no more of a spread, and each takes its time.
FOLDS = "folds"
LEAST_FOLDS, MOST_FOLDS = 2, 20

# Bits of a fingerprint's 256. To keep near-duplicates on one side of a split: finds 99.7% of copies
# at JPEG quality 50, 96% at half size and 70% to 90% of 4% crops. When grouping, a false match is
# harmless: at 40, motorcycles of one make in other colours join, and no class of plankton chains.
MAX_DISTANCE = 40

# When dropping, a false match loses an image: every pair of objects up to here, looked at side by
# side, is one picture in two encodings; beyond, one motorcycle in two colours.
DROP_DISTANCE = 16

# Runs a bake on this machine: by itself, and the one of Beam that does the same through a pipeline.
LOCAL_RUNNER = "local"
BEAM_LOCAL_RUNNER = "FnApiRunner"


class NearDuplicates(str, enum.Enum):
    """What becomes of pictures that look the same."""

    GROUP = "group"
    OFF = "off"
    DROP = "drop"


class ConflictPolicy(str, enum.Enum):
    """What becomes of equal bytes under different classes."""

    KEEP_FIRST = "keep_first"
    DROP_ALL = "drop_all"


class SplitBy(str, enum.Enum):
    """What is dealt to a split as one: near-duplicate groups, or clusters of like pictures.

    `AUTO` is one of the two: clusters where many pictures would have a near one in train.
    """

    AUTO = "auto"
    RANDOM = "random"
    APPEARANCE = "appearance"


class GroupWithin(str, enum.Enum):
    """Whether equal matches of `group_by` in two classes are one group."""

    ALL = "all"
    CLASS = "class"


class Operation(str, enum.Enum):
    """A change that makes an augmented copy; applied in this order."""

    CROP = "crop"
    FLIP = "flip"
    ROTATE = "rotate"
    COLOR = "color"
    CUTOUT = "cutout"
