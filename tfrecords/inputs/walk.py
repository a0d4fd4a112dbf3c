"""The files of a folder and below it, and those that a pattern matches, on a local disk."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.filters import is_hidden
from tfrecords.inputs.rows import UNKNOWN_SIZE, ListedFile


def walk_folder(root: str) -> Iterator[ListedFile]:
    """Yields every file below a folder, hidden ones with that problem.

    Links are followed, except to a folder that contains them. A folder that is hidden, empty or
    cannot be listed is one row.
    """
    return _walk(root, "", frozenset())


def has_wildcard(path: str) -> bool:
    """Returns whether a path is a pattern for `match_pattern`."""
    return glob.has_magic(path)


def match_pattern(pattern: str) -> Iterator[ListedFile]:
    """Yields the files that a pattern matches, in which `**` stands for any folders.

    Names count from the pattern's last folder before the first wildcard.
    """
    parts = pattern.split("/")
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = "/".join(parts[:first]) or ("/" if pattern.startswith("/") else ".")
    for path in glob.iglob(pattern, recursive=True):
        if os.path.isfile(path):
            yield _listed(os.path.relpath(path, root).replace(os.sep, "/"), path)


def _walk(directory: str, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[ListedFile]:
    try:
        status = os.stat(directory)
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError as error:
        yield _unreadable(prefix.rstrip("/"), directory, error)
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    if prefix and not entries:
        yield ListedFile(prefix, directory, UNKNOWN_SIZE, 0)
    for entry in entries:
        name = prefix + entry.name
        if not entry.is_dir():
            yield _listed(name, entry.path, entry)
        elif is_hidden(entry.name):
            yield ListedFile(f"{name}/", entry.path, UNKNOWN_SIZE, 0, problem=RejectReason.HIDDEN)
        else:
            yield from _walk(entry.path, f"{name}/", above | {here})


def _listed(name: str, path: str, entry: os.DirEntry[str] | None = None) -> ListedFile:
    problem = RejectReason.HIDDEN if is_hidden(name) else None
    try:
        status = entry.stat() if entry is not None else os.stat(path)
    except OSError as error:
        return _unreadable(name, path, error, problem)
    return ListedFile(name, path, status.st_size, status.st_mtime_ns, problem=problem)


def _unreadable(
    name: str, path: str, error: OSError, problem: RejectReason | None = None
) -> ListedFile:
    return ListedFile(
        name,
        path,
        UNKNOWN_SIZE,
        0,
        problem=problem or RejectReason.UNREADABLE,
        detail=None if problem else error.strerror or str(error),
    )
