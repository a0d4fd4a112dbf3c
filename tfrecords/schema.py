"""The record on disk: feature names, the record type and the shape of its image.

Everything that writes or reads a shard agrees through this module alone, so it imports
nothing but the standard library.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

SCHEMA_VERSION = 1

IMAGE = "image"
LABEL = "label"
ID = "id"
RANK = "rank"
COPY = "copy"

TRAIN = "train"

# What a fold is called for the run that holds it out.
VALIDATION = "validation"

# Splits are numbered in the order of the manifest, and train is the first of every data set.
TRAIN_INDEX = 0

# How the id of a copy ends: its number, an int32, without leading zeros.
_NUMBERED = re.compile(r"(?P<key>.*)#(?P<copy>0|[1-9][0-9]{0,9})", re.DOTALL)

# libjpeg refuses longer sides; the other encodings are held to the same bound.
MAX_IMAGE_SIDE = 65_500


class Encoding(str, enum.Enum):
    """How the bytes of the `image` feature are encoded."""

    JPEG = "jpeg"
    PNG = "png"
    RAW = "raw"


class Resize(str, enum.Enum):
    """How a source of any shape becomes the size of the data set.

    SQUASH ignores the aspect ratio. PAD keeps it and fills with black. CROP keeps it,
    covers the target and takes the centre. SHORT_SIDE keeps it and only brings the short
    side to the target, so images differ in size.
    """

    SQUASH = "squash"
    PAD = "pad"
    CROP = "crop"
    SHORT_SIDE = "short_side"


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """Size and encoding of every image of a data set.

    Attributes:
      height: pixels; for `Resize.SHORT_SIDE` the length of the short side.
      width: pixels; equals height for `Resize.SHORT_SIDE`.
      resize: how the source is fitted.
      encoding: how pixels are stored.
      jpeg_quality: 1 to 100, used by `Encoding.JPEG` only.

    Raises:
      ValueError: a value out of range.
    """

    height: int = 224
    width: int = 224
    resize: Resize = Resize.SQUASH
    encoding: Encoding = Encoding.JPEG
    jpeg_quality: int = 95

    def __post_init__(self) -> None:
        object.__setattr__(self, "resize", Resize(self.resize))
        object.__setattr__(self, "encoding", Encoding(self.encoding))
        for side in (self.height, self.width):
            if not 1 <= side <= MAX_IMAGE_SIDE:
                raise ValueError(f"image side must be 1 to {MAX_IMAGE_SIDE} pixels, not {side}")
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality must be 1 to 100, not {self.jpeg_quality}")
        if self.resize is Resize.SHORT_SIDE:
            if self.height != self.width:
                raise ValueError(
                    "resize=short_side takes one number, the short side, "
                    f"not {self.height}x{self.width}"
                )
            if self.encoding is Encoding.RAW:
                raise ValueError(
                    "encoding=raw stores pixels without their shape, so it needs images of one "
                    "size: use resize=squash, pad or crop, or encoding=png"
                )

    @property
    def fixed_size(self) -> bool:
        """Whether every image has exactly `height` by `width` pixels."""
        return self.resize is not Resize.SHORT_SIDE


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One record of a shard.

    Attributes:
      image: encoded bytes, per the data set's `ImageSpec`.
      label: index into the manifest's classes.
      id: the source's key, plus `#k` for copy k; see `record_id`.
      rank: position inside (split, class); `rank < n` selects what `--per_class=n` bakes.
      copy: 0 for an original, else the copy's number.
    """

    image: bytes
    label: int
    id: str
    rank: int
    copy: int

    def __post_init__(self) -> None:
        if self.label < 0 or self.rank < 0 or self.copy < 0:
            raise ValueError(
                f"label, rank and copy must not be negative, got {self.label}, {self.rank}, "
                f"{self.copy} for {self.id!r}"
            )


def record_id(key: str, copy: int) -> str:
    """Returns the `id` of copy number `copy` of the source `key`: `key`, or `key#k` for copy k.

    A key that itself ends like the id of a copy, as of a file called `000.jpg#1`, has its number
    in the id of the original too: `000.jpg#1#0`. So no two records have one id, whatever files
    are called, and `parse_id` leads back.
    """
    return f"{key}#{copy}" if copy or _NUMBERED.fullmatch(key) else key


def parse_id(id_: str) -> tuple[str, int]:
    """Returns the key and the number of the copy whose `record_id` is `id_`."""
    match = _NUMBERED.fullmatch(id_)
    return (match["key"], int(match["copy"])) if match else (id_, 0)


def source_key(id_: str, copy: int) -> str:
    """Returns the key of the source file that record `id_` was made from.

    Raises:
      ValueError: it is not the id of copy number `copy` of any file.
    """
    key, number = parse_id(id_)
    if number != copy or record_id(key, copy) != id_:
        expected = f"must end in '#{copy}'" if copy else "must not end like that of a copy"
        raise ValueError(f"the id of copy {copy} {expected}, got {id_!r}")
    return key
