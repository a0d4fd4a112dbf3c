"""The entries of an archive as it names them, before links are followed and names are decoded."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tfrecords.errors import EvenshardError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.rows import ArchiveMember


class ArchiveError(EvenshardError):
    """An archive that cannot be read as a whole; the text says what is wrong with it."""


class EntryKind(enum.Enum):
    """What an entry of an archive is."""

    FILE = "file"
    FOLDER = "folder"
    HARD_LINK = "hard link"
    SYMBOLIC_LINK = "symbolic link"
    SPECIAL = "special"  # A pipe or a device.


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of an archive.

    Attributes:
      name: as it is stored.
      is_utf8: whether the archive says that its name is UTF-8.
      kind: of the entry.
      size: bytes of the file.
      version: changes when the file does: mtime in ns, a zip's CRC, or 0 where unknown.
      member: where its data are, of a file.
      target: what a link names, as it is stored.
      problem: why it cannot be read, or None.
      detail: the problem in words.
    """

    name: bytes
    is_utf8: bool
    kind: EntryKind
    size: int = 0
    version: int = 0
    member: ArchiveMember | None = None
    target: bytes = b""
    problem: RejectReason | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """All that an archive holds.

    Attributes:
      entries: in the archive's order.
      notes: what a person should know of the archive, one line each.
    """

    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
