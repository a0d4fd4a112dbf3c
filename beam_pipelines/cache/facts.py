"""The rows a bake works on: a source file, and what canonicalising it found.

Only these small rows ever cross a Beam shuffle; pixels stay in files. Worker processes
import this module, so it needs the standard library alone.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass

from tfrecords.images.canonicalise import RejectReason

# Made once: json.dumps makes an encoder for every call that gives separators.
_to_json = json.JSONEncoder(separators=(",", ":")).encode

# Named here because the rows below have a column called `bytes`.
Line = str | bytes


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """Where an archive keeps a file, so that it is read without the archive's directory.

    Attributes:
      offset: of the data (tar) or of the local header (zip), in bytes.
      stored: bytes that the archive spends on it.
      method: "tar", "store" or "deflate".
      crc32: of the file, None in a tar.
    """

    offset: int
    stored: int
    method: str
    crc32: int | None = None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One input file.

    Attributes:
      key: POSIX path below the input's root, NFC; identifies the picture for ever.
      path: where to read it: a file, or the archive that holds `member`.
      class_name: its label, or None where the input gives it none.
      bytes: its size.
      version: changes when the file does: mtime in ns, a zip's CRC, or 0 where unknown.
      split: the split that the input fixes for it, or None.
      problem: why it is rejected unread, or None.
      member: its place inside an archive, or None for a plain file.
    """

    key: str
    path: str
    class_name: str | None
    bytes: int
    version: int
    split: str | None = None
    problem: RejectReason | None = None
    member: ArchiveMember | None = None

    def to_json(self) -> str:
        """Returns the row as one line."""
        # By hand: dataclasses.astuple copies deeply, which costs more than the JSON.
        member = None if self.member is None else dataclasses.astuple(self.member)
        return _to_json(
            (
                self.key,
                self.path,
                self.class_name,
                self.bytes,
                self.version,
                self.split,
                self.problem,
                member,
            )
        )

    @classmethod
    def from_json(cls, line: Line) -> SourceFile:
        """Returns the row that `to_json` wrote."""
        key, path, class_name, size, version, split, problem, member = json.loads(line)
        return cls(
            key,
            path,
            class_name,
            size,
            version,
            split,
            RejectReason(problem) if problem else None,
            ArchiveMember(*member) if member else None,
        )


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What canonicalising one source found.

    Attributes:
      key, class_name, bytes, version, split: of the `SourceFile`.
      reason: why it is rejected, or None for a picture.
      detail: the rejection in words.
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
