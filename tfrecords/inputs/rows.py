"""The rows of a listing: a file as it was found, and a source as it is worked on.

Worker processes import this module, so it needs little more than the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfrecords.images.rejects import RejectReason

# Made once: json.dumps makes an encoder for every call that gives separators.
_to_json = json.JSONEncoder(separators=(",", ":")).encode

# Named here because the rows below have a column called `bytes`.
Line = str | bytes

UNKNOWN_SIZE = -1


@dataclass(frozen=True, slots=True)
class InputPath:
    """A path that a person gave, and the flag that it was given with; errors name both.

    Attributes:
      flag: as it is typed, e.g. "--input_dir".
      path: a path or a URL.
    """

    flag: str
    path: str

    def __str__(self) -> str:
        return f"{self.flag}={self.path}"


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """Where an archive keeps a file, so that it is read without the archive's directory.

    Attributes:
      offset: of the data (tar) or of the local header (zip), in bytes.
      stored: bytes that the archive spends on it.
      method: "tar", or a zip's "store", "deflate", "bzip2", "lzma", "xz" or "zstd".
      crc32: of the file, None in a tar.
      segments: (offset in the file, bytes) of what a sparse member of a tar stores, in order; the
        rest of the file is zeros. None where all of the file is stored.
      archive: bytes and version of the archive when it was listed, None where unknown.
    """

    offset: int
    stored: int
    method: str
    crc32: int | None = None
    segments: tuple[tuple[int, int], ...] | None = None
    archive: tuple[int, int] | None = None

    @classmethod
    def of_json(cls, values: Sequence[Any]) -> ArchiveMember:
        """Returns the member whose fields JSON gives back as lists."""
        offset, stored, method, crc32, segments, archive = values
        return cls(
            offset,
            stored,
            method,
            crc32,
            None if segments is None else tuple((begin, length) for begin, length in segments),
            None if archive is None else (archive[0], archive[1]),
        )


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of an input, before it is given a key and a class.

    Attributes:
      name: POSIX path below the input's root; of a table's row, the path as it is written.
      path: where to read it: a file, or the archive that holds `member`.
      bytes: its size, or UNKNOWN_SIZE.
      version: changes when the file does: mtime in ns, a zip's CRC, or 0 where unknown.
      member: its place inside an archive, or None for a plain file.
      problem: why it is rejected unread, or None.
      detail: the problem in words, where the listing knows them.
      label: name of the class where the archive itself gives one, as a WebDataset does.
    """

    name: str
    path: str
    bytes: int
    version: int
    member: ArchiveMember | None = None
    problem: RejectReason | None = None
    detail: str | None = None
    label: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it stands for a folder: a hidden one that was not entered, or an empty one."""
        return self.name.endswith("/")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One input file.

    Attributes:
      key: POSIX path below the input's root; identifies the picture. NFC in a bake; a prediction
        gives names back as they are.
      path: where to read it: a file, or the archive that holds `member`.
      class_name: its label, or None where the input gives it none.
      bytes: its size, or UNKNOWN_SIZE.
      version: changes when the file does: mtime in ns, a zip's CRC, or 0 where unknown.
      split: the split that the input fixes for it, or None.
      problem: why it is rejected unread, or None.
      member: its place inside an archive, or None for a plain file.
      detail: the problem in words, where the listing knows them; or a remark on a source that has
        none.
      group: what its table says it is of, as a patient, where a person named the column; or None.
    """

    key: str
    path: str
    class_name: str | None
    bytes: int
    version: int
    split: str | None = None
    problem: RejectReason | None = None
    member: ArchiveMember | None = None
    detail: str | None = None
    group: str | None = None

    def to_json(self) -> str:
        """Returns the row as one line."""
        # A row without a group is the line that it was before there were any: caches stay valid.
        group = () if self.group is None else (self.group,)
        # By hand: dataclasses.astuple copies deeply, which costs more than the JSON.
        m = self.member
        member = m and (m.offset, m.stored, m.method, m.crc32, m.segments, m.archive)
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
                self.detail,
                *group,
            )
        )

    @classmethod
    def from_json(cls, line: Line) -> SourceFile:
        """Returns the row that `to_json` wrote."""
        key, path, class_name, size, version, split, problem, member, *rest = json.loads(line)
        return cls(
            key,
            path,
            class_name,
            size,
            version,
            split,
            RejectReason(problem) if problem else None,
            ArchiveMember.of_json(member) if member else None,
            *rest,
        )
