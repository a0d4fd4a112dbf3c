"""The files that a table's paths and ids stand for."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tfrecords import locations
from tfrecords.errors import EvenshardError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.files import FileKind, FileSystem
from tfrecords.inputs.filters import is_hidden
from tfrecords.inputs.paths import safe_path
from tfrecords.inputs.picture_names import is_picture_name, without_suffix
from tfrecords.inputs.rows import UNKNOWN_SIZE, ListedFile

# A relative path with neither `.` nor `..` in it, nor two slashes in a row.
_PLAIN = re.compile(r"(?:(?!\.\.?(?:/|\Z))[^/:]+(?:/(?=.)|\Z))+\Z")


class AmbiguousPathError(EvenshardError):
    """A path or an id stands for several files; the text names two.

    Attributes:
      files: all of them.
      roots: of each, the folder that the path would start from.
    """

    def __init__(self, path: str, files: Sequence[ListedFile]) -> None:
        super().__init__(f"{path!r} is {files[0].name!r} or {files[1].name!r}")
        self.files = tuple(files)
        self.roots = tuple(root_of(file.name, path) for file in files)


class Place(Protocol):
    """Where the paths of a table start from."""

    def find(self, path: str) -> ListedFile | None:
        """Returns the file at a path, named as it is below the root; None if there is none."""

    def files(self) -> Iterator[ListedFile]:
        """Yields every file, hidden ones too."""

    def where(self, path: str) -> str:
        """Returns where a path was looked for, for people."""

    def directly_in(self, folders: Collection[str]) -> Iterator[str]:
        """Yields the names of the files directly in some folders, named as `find` names files.

        Nothing where listing a folder is dear, as in a bucket.
        """


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder.

    Attributes:
      root: the folder.
      file_system: that it lies on.
    """

    root: str
    file_system: FileSystem

    def find(self, path: str) -> ListedFile | None:
        full = self.where(path)
        name = self._name(path)
        try:
            status = self.file_system.stat(full)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            detail = getattr(error, "strerror", None) or str(error)
            return ListedFile(
                name, full, UNKNOWN_SIZE, 0, problem=RejectReason.UNREADABLE, detail=detail
            )
        file = ListedFile(name, full, status.bytes, status.version)
        if status.kind is FileKind.FILE:
            return file
        what = "a folder" if status.kind is FileKind.FOLDER else "a pipe, a socket or a device"
        return replace(file, problem=RejectReason.NOT_A_FILE, detail=f"it is {what}, not a file")

    def files(self) -> Iterator[ListedFile]:
        return self.file_system.walk(self.root or ".")

    def where(self, path: str) -> str:
        return path if locations.is_url(path) else os.path.join(self.root, path)

    def directly_in(self, folders: Collection[str]) -> Iterator[str]:
        if locations.is_url(self.root):
            return
        for folder in folders:
            if not locations.is_url(folder):
                with contextlib.suppress(OSError):
                    names = self.file_system.names(os.path.join(self.root, folder) or ".")
                    yield from (posixpath.join(folder, name) for name in names)

    def _name(self, path: str) -> str:
        """Returns a path as it is below the root; one outside with `..`, or whole if it was."""
        if _PLAIN.match(path):
            return path  # As most are: the rest of this takes longer than finding the file.
        if locations.is_url(path) or locations.is_url(self.root):
            root = posixpath.join(self.root, "")
            return path.removeprefix(root) if locations.is_url(path) else posixpath.normpath(path)
        name = os.path.relpath(os.path.join(self.root or ".", path), self.root or ".")
        name = name.replace(os.sep, "/")
        if os.path.isabs(path) and name.startswith("../"):
            return os.path.normpath(path)
        return name


@dataclass(frozen=True, slots=True)
class ArchivePlace:
    """An archive, or a folder in one.

    Attributes:
      name: of the archive, for people.
      members: path below the root → member.
      folder: of the archive that paths start from; "" for its root.
    """

    name: str
    members: Mapping[str, ListedFile]
    folder: str = ""

    def find(self, path: str) -> ListedFile | None:
        file = self.members.get(safe_path(f"{self.folder}/{path}"))
        if file is None:
            return None
        # What a table names is meant, whatever it is called.
        shown = replace(file, problem=None) if file.problem is RejectReason.HIDDEN else file
        return self._named(shown)

    def files(self) -> Iterator[ListedFile]:
        members = list(self.members.values())
        if self.folder:
            # As of a folder on a disk, what lies beside it does not count: test/1.jpg is not the
            # 1 of train/. A folder without pictures, as that of a table, is not where they start.
            below = [file for file in members if file.name.startswith(f"{self.folder}/")]
            if any(is_picture_name(file.name) for file in below):
                members = below
        yield from map(self._named, members)

    def where(self, path: str) -> str:
        return f"{self.name}/{safe_path(f'{self.folder}/{path}')}"

    def directly_in(self, folders: Collection[str]) -> Iterator[str]:
        for file in map(self._named, self.members.values()):
            if file.problem is None and posixpath.dirname(file.name) in folders:
                yield file.name

    def _named(self, file: ListedFile) -> ListedFile:
        return replace(file, name=posixpath.relpath(file.name, self.folder or "."))


@dataclass(frozen=True, slots=True)
class Found:
    """What a path of a table stands for.

    Attributes:
      file: the file.
      by_name: whether it lies elsewhere than the path says, or has a longer name.
    """

    file: ListedFile
    by_name: bool = False


class Finder:
    """Finds files by path; and by the end of their path, or without their suffix, if there is one.

    Args:
      place: where the paths start from.
      folder: below the place, where they start from first: of one of several tables, its own.
      is_shared: whether the paths of other tables start from the place too.
    """

    def __init__(self, place: Place, folder: str = "", *, is_shared: bool = False) -> None:
        self.is_shared = is_shared
        self._place = place
        self._folder = folder
        self._by_stem: dict[str, list[ListedFile]] | None = None

    def where(self, path: str) -> str:
        """Returns where a path was looked for, for people."""
        return self._place.where(path)

    def absent(self, path: str) -> tuple[str, str]:
        """Returns the name of a file that is not there, and where it was looked for."""
        name = self._starts(path)[0]
        return name, self._place.where(name)

    def _starts(self, path: str) -> list[str]:
        """Returns what a path may be below the place, likeliest first."""
        if not self._folder or locations.is_url(path) or path.startswith("/"):
            return [path]
        return [posixpath.join(self._folder, path), path]

    def beside(self, names: Collection[str]) -> list[str]:
        """Returns the names of the pictures that lie in the folders of some files beside them."""
        folders = sorted({posixpath.dirname(name) for name in names})
        return [
            name
            for name in self._place.directly_in(folders)
            if name not in names and is_picture_name(name) and not is_hidden(name)
        ]

    def find(self, path: str) -> Found | None:
        """Returns the file that a path or an id stands for, or None if there is none.

        Raises:
          AmbiguousPathError: there are several.
        """
        file = None
        for spelled in dict.fromkeys((path, path.replace("\\", "/"))):
            for start in self._starts(spelled):
                file = self._place.find(start)
                # A folder may have the name of an id.
                if file is not None and file.problem is not RejectReason.NOT_A_FILE:
                    return Found(file)
        found = self._by_name(path.replace("\\", "/"))
        if found is not None and (file is None or found.name != file.name):
            return Found(found, by_name=True)
        return None if file is None else Found(file)

    def _by_name(self, path: str) -> ListedFile | None:
        if locations.is_url(path) or path.startswith(("/", "../")):
            return None
        wanted = posixpath.normpath(path)
        candidates = self._index().get(_folded(_stem(wanted)), [])
        for same in (str, _folded):
            found = [
                file
                for file in candidates
                if _ends(same(file.name), same(wanted))
                or _ends(same(without_suffix(file.name)), same(wanted))
            ]
            # A sidecar is no rival of a picture; a picture without a suffix is one.
            pictures = [
                file
                for file in found
                if is_picture_name(file.name) or _ends(same(file.name), same(wanted))
            ]
            found = pictures or found
            if len(found) > 1:
                raise AmbiguousPathError(path, found)
            if found:
                return found[0]
        return None

    def _index(self) -> dict[str, list[ListedFile]]:
        # Most tables name every file as it is, and need none.
        if self._by_stem is None:
            self._by_stem = {}
            for file in self._place.files():
                if file.problem is None and not file.name.endswith("/"):
                    self._by_stem.setdefault(_folded(_stem(file.name)), []).append(file)
        return self._by_stem


def root_of(name: str, path: str) -> str:
    """Returns the folder that a path starts from, if it stands for the end of a name."""
    folders = name.split("/")[: -1 - posixpath.normpath(path).count("/")]
    return "/".join(folders)


def _stem(path: str) -> str:
    return without_suffix(posixpath.basename(path))


def _folded(name: str) -> str:
    """Returns a name as it is compared: whatever its capitals and its Unicode form."""
    return name.casefold() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def _ends(name: str, path: str) -> bool:
    """Returns whether a name is a path, or ends with all of it."""
    return name == path or name.endswith(f"/{path}")
