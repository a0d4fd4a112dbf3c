"""A table and the place that its paths start from, wherever the two lie: in folders or archives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tfrecords.errors import UsageError
from tfrecords.inputs.archives.members import (
    inside_table,
    is_archive,
    list_members,
    read_table,
    split_inside,
)
from tfrecords.inputs.files import FileKind, FileStatus, FileSystem
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.rows import InputPath, ListedFile
from tfrecords.inputs.say import Say
from tfrecords.inputs.table_names import own_folders
from tfrecords.inputs.tables.paths import ArchivePlace, Finder, FolderPlace, Place
from tfrecords.inputs.tables.pictures import read_bytes


@dataclass(frozen=True, slots=True)
class OpenTable:
    """A table that was read, and what finds the files that it names.

    Attributes:
      data: its bytes.
      finder: of the files.
    """

    data: bytes
    finder: Finder


def open_table(
    source: InputPath, table: InputPath, files: FileSystem, options: InputOptions, say: Say
) -> OpenTable:
    """Returns a table, read.

    Args:
      source: the folder or archive that its paths start from, or a folder in an archive.
      table: a path; or one in an archive ("data.zip/labels.csv"); or, where nothing is at that
        path and `source` is an archive, the name of a table in it.
      files: the file system that both lie on.
      options: how to read the archives.
      say: told what was guessed and what was noticed.

    Raises:
      UsageError: the table is not there, or the archive that it or its files lie in.
    """
    return open_tables(source, [table], files, options, say)[0]


def open_tables(
    source: InputPath,
    tables: Sequence[InputPath],
    files: FileSystem,
    options: InputOptions,
    say: Say,
) -> list[OpenTable]:
    """Returns tables, read; arguments and errors as of `open_table`.

    Paths of several tables start from the folder of each, unless a person gave another one.
    """
    archives = _Archives(source.flag, files, options, say)
    root = _archive_of(source.path, files)
    if root is None:
        place: Place = FolderPlace(source.path, files)
    else:
        archive, folder = root
        # The first of equal names is the one that counts.
        members = {file.name: file for file in reversed(archives.members(archive))}
        place = ArchivePlace(archive, members, folder)
    own = "" if root is None else root[0]
    folders = own_folders(source.path, [table.path for table in tables])
    shared = len(tables) > 1
    # One finder for all that have no folder of their own: it may list the whole input.
    finders = {each: Finder(place, each, is_shared=shared) for each in dict.fromkeys(folders)}
    return [
        OpenTable(_read(table, own, archives, files), finders[each])
        for table, each in zip(tables, folders, strict=True)
    ]


def _read(table: InputPath, root: str, archives: _Archives, files: FileSystem) -> bytes:
    """Returns a table's bytes.

    Args:
      table: a path, or one in an archive.
      root: the archive that the table may lie in, or "".
      archives: lists them.
      files: the file system.

    Raises:
      UsageError: it is not there, or cannot be read.
    """
    inside = split_inside(table.path, files)
    if inside is None and root and _status(table.path, files) is None:
        inside = root, table.path
    if inside is None:
        return read_bytes(table, files)
    archive, name = inside
    found = inside_table(archives.members(archive), name)
    if found is None:
        raise UsageError(f"{table}: there is no one table {name!r} in {archive}")
    try:
        return read_table(found, files)
    except OSError as error:
        raise UsageError(f"{table}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Archives:
    """Lists each archive once: a table and its pictures may lie in one."""

    flag: str
    files: FileSystem
    options: InputOptions
    say: Say
    known: dict[str, list[ListedFile]] = field(default_factory=dict)

    def members(self, path: str) -> list[ListedFile]:
        if path not in self.known:
            archive = InputPath(self.flag, path)
            self.known[path] = list_members(archive, self.files, self.options, self.say)
        return self.known[path]


def _archive_of(path: str, files: FileSystem) -> tuple[str, str] | None:
    """Returns the archive that a path names and the folder in it; None for a plain folder."""
    inside = split_inside(path, files)
    if inside is not None or not is_archive(path):
        return inside
    status = _status(path, files)
    return None if status is not None and status.kind is FileKind.FOLDER else (path, "")


def _status(path: str, files: FileSystem) -> FileStatus | None:
    try:
        return files.stat(path)
    except (OSError, ValueError):
        return None
