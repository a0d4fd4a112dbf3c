"""The facts of a source: the rows that a bake plans with.

Only these small rows cross a Beam shuffle; pixels stay in files. Worker processes import this
module, so it imports little.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from tfrecords.inputs.rows import Line, SourceFile

# Made once: json.dumps makes an encoder for every call that gives separators.
_to_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The facts of one source, from canonicalising it.

    Attributes:
      key, class_name, bytes, version, split, group_value: of the `SourceFile`, its group the last.
      reason: why it is rejected, or None for a picture.
      detail: explains the rejection, or a remark on a picture.
      sha256: of the file, hex; None if it could not be read.
      phash: 64-bit perceptual hash; None without a picture, like all that follow.
      fingerprint: 256 bits for finding near-duplicates, hex.
      width, height: pixels as stored.
      format, mode: Pillow's names for what is stored.
      encoded_bytes: size of the canonical image.
      pack: file that holds the canonical image, without directory.
      index: its record number there.
    """

    key: str
    class_name: str | None
    bytes: int
    version: int
    split: str | None
    reason: str | None = None
    detail: str | None = None
    sha256: str | None = None
    phash: int | None = None
    fingerprint: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    mode: str | None = None
    encoded_bytes: int | None = None
    pack: str | None = None
    index: int | None = None
    group_value: str | None = None

    def to_json(self) -> str:
        """Returns the row as one line."""
        values = [getattr(self, name) for name in self.__slots__]
        return _to_json(values)

    @classmethod
    def from_json(cls, line: Line) -> ImageFacts:
        """Returns the row that `to_json` wrote."""
        return cls(*json.loads(line))


def to_lines(rows: Iterable[SourceFile] | Iterable[ImageFacts]) -> bytes:
    """Returns rows as UTF-8 JSON lines."""
    return "".join(row.to_json() + "\n" for row in rows).encode("utf-8", "surrogateescape")
