"""Which pictures a prediction is about: a folder, a pattern, a zip, a CSV or one file."""

from __future__ import annotations

import csv
import glob
import io
import os
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from tfrecords.errors import UsageError

# Left behind by operating systems; like names that begin with a dot they are not pictures.
_CLUTTER = ("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir")

# What a CSV's column of paths may be called; Id is what Kaggle's sample submissions have.
_PATH_COLUMNS = ("path", "Id", "id")


@dataclass(frozen=True, slots=True)
class Picture:
    """A file to be classified.

    Attributes:
      id: path below the input, with "/" and the extension.
      path: of the file, or of the zip that holds it.
      member: name inside the zip; empty for a file of its own.
    """

    id: str
    path: str
    member: str = ""


def listed(source: str, leave_out: Collection[Path] = ()) -> tuple[Picture, ...]:
    """Returns the pictures of an input by id; those of a CSV in its order.

    Hidden files and what operating systems leave behind are not listed. Every other file is:
    whether it is a picture is found out by reading it.

    Args:
      source: a folder, a .zip, a .csv with a column path or Id, a file, or a pattern, in which
        `**` stands for any folders. Ids count from its first folder without a wildcard.
      leave_out: files that are none of the input, such as earlier outputs.

    Raises:
      UsageError: nothing there, or nothing of that form.
    """
    if os.path.isdir(source):
        found = sorted(_walk(source), key=lambda picture: picture.id)
    elif source.lower().endswith(".zip"):
        found = sorted(_members(source), key=lambda picture: picture.id)
    elif source.lower().endswith(".csv"):
        return tuple(_rows(source))
    elif os.path.isfile(source):
        found = [Picture(os.path.basename(source), source)]
    else:
        found = sorted(_matches(source), key=lambda picture: picture.id)
    unwanted = {path.resolve() for path in leave_out}
    kept = tuple(p for p in found if p.member or Path(p.path).resolve() not in unwanted)
    if not kept:
        raise UsageError(f"--input={source} holds no file")
    return kept


def _walk(root: str) -> Iterator[Picture]:
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # A link to a folder above.
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not _hidden(name)]
        for name in files:
            if not _hidden(name):
                path = os.path.join(folder, name)
                yield Picture(_below(path, root), path)


def _members(path: str) -> Iterator[Picture]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"--input={path} is not a readable zip: {error}") from error
    for name in names:
        if not any(map(_hidden, name.split("/"))):
            yield Picture(name, path, name)


def _rows(path: str) -> Iterator[Picture]:
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"--input={path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--input={path} is not UTF-8: {error}") from error
    table = csv.DictReader(io.StringIO(text))
    names = table.fieldnames or ()
    column = next((name for name in _PATH_COLUMNS if name in names), None)
    if column is None:
        raise UsageError(
            f"--input={path}: the header must name a column path or Id, it is {','.join(names)!r}"
        )
    root = os.path.dirname(path)
    empty = True
    for number, line in enumerate(table, start=2):
        if not line[column]:
            raise UsageError(f"--input={path} line {number}: {column} is empty")
        empty = False
        # An absolute path stays what it is: os.path.join drops what precedes one.
        yield Picture(line[column], os.path.join(root, line[column]))
    if empty:
        raise UsageError(f"--input={path} has a header and no line")


def _matches(pattern: str) -> Iterator[Picture]:
    if not glob.has_magic(pattern):
        raise UsageError(f"--input={pattern}: no such file or folder")
    parts = pattern.split("/")
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = "/".join(parts[:first]) or ("/" if pattern.startswith("/") else ".")
    paths = [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
    if not paths:
        raise UsageError(f"--input={pattern} matches no file")
    for path in paths:
        if not any(map(_hidden, _below(path, root).split("/"))):
            yield Picture(_below(path, root), path)


def _below(path: str, root: str) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in _CLUTTER
