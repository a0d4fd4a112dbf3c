"""The one listing of sources: labelled ones for a bake, unlabelled ones for a prediction."""

from __future__ import annotations

import enum
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import archives, keys, layout, tables, walk
from tfrecords.inputs.files import LOCAL, FileKind, FileSystem
from tfrecords.inputs.rows import InputPath, ListedFile, SourceFile


class InputForm(enum.Enum):
    """In which form a path holds pictures."""

    FOLDER = "folder"
    ARCHIVE = "archive"
    TABLE = "table"
    FILE = "file"
    PATTERN = "pattern"
    ABSENT = "absent"


def form_of(path: str, files: FileSystem = LOCAL) -> InputForm:
    """Returns the form of an input, from what lies there and from its name."""
    try:
        kind = files.stat(path).kind
    except OSError:
        kind = None
    if kind is FileKind.FOLDER:
        return InputForm.FOLDER
    # An absent archive or table is of that form still: opening it says what is wrong.
    if archives.is_archive(path):
        return InputForm.ARCHIVE
    if tables.is_table(path):
        return InputForm.TABLE
    if kind is not None:
        return InputForm.FILE
    return InputForm.PATTERN if walk.has_wildcard(path) else InputForm.ABSENT


def list_labelled(
    source: InputPath, table: InputPath | None = None, files: FileSystem = LOCAL
) -> tuple[SourceFile, ...]:
    """Returns every input file in key order.

    Args:
      source: holds class folders; or a .zip or .tar of them; or, with `table`, the folder that
        its relative paths start from.
      table: a CSV with a header that names `path`, `label` and optionally `split`.
      files: the file system that both lie on.

    Raises:
      UsageError: there is no input of that form; the text says what was found instead.
    """
    if table is not None:
        return keys.in_key_order(_of_table(source.path, table, files))
    found = list(_tree(source, files))
    if all(file.problem is RejectReason.HIDDEN for file in found):
        raise UsageError(f"{source} holds no files; class folders expected")
    folders = layout.find_layout(found)
    return keys.in_key_order(layout.by_folder(file, folders) for file in found)


def list_unlabelled(
    source: InputPath, leave_out: Collection[Path] = (), files: FileSystem = LOCAL
) -> tuple[SourceFile, ...]:
    """Returns the pictures of an input in key order; those of a CSV in its order.

    Hidden files and what operating systems leave behind are not listed. Every other file is:
    whether it is a picture is found out by reading it.

    Args:
      source: a folder, a .zip or .tar, a .csv with a column path or Id, a file, or a pattern.
      leave_out: files that are none of the input, such as earlier outputs.
      files: the file system that the input lies on; patterns are for the local one.

    Raises:
      UsageError: nothing there, or nothing of that form.
    """
    form = form_of(source.path, files)
    if form is InputForm.TABLE:
        root = os.path.dirname(source.path)
        rows = tables.unlabelled_rows(source, files)
        return tuple(layout.unlabelled(tables.file_of(row, root, files)) for row in rows)
    unwanted = {path.resolve() for path in leave_out}
    kept = sorted(
        (
            layout.unlabelled(file)
            for file in _unlabelled_files(source, form, files)
            if file.problem is not RejectReason.HIDDEN
            and (file.member is not None or Path(file.path).resolve() not in unwanted)
        ),
        key=lambda row: row.key,
    )
    if not kept:
        raise UsageError(f"{source} holds no file")
    return tuple(kept)


def _unlabelled_files(
    source: InputPath, form: InputForm, files: FileSystem
) -> Iterator[ListedFile]:
    if form in (InputForm.FOLDER, InputForm.ARCHIVE):
        yield from _tree(source, files)
    elif form is InputForm.FILE:
        status = files.stat(source.path)
        yield ListedFile(os.path.basename(source.path), source.path, status.bytes, status.version)
    elif form is InputForm.PATTERN:
        empty = True
        for file in walk.match_pattern(source.path):
            empty = False
            yield file
        if empty:
            raise UsageError(f"{source} matches no file")
    else:
        raise UsageError(f"{source} does not exist")


def _tree(source: InputPath, files: FileSystem) -> Iterator[ListedFile]:
    """Returns the files of a folder or an archive.

    Raises:
      UsageError: the source is neither.
    """
    form = form_of(source.path, files)
    if form is InputForm.FOLDER:
        return files.walk(source.path)
    if form is InputForm.ARCHIVE:
        return archives.list_members(source, files)
    raise UsageError(
        f"{source} is not a folder, a .zip or a .tar"
        if form in (InputForm.FILE, InputForm.TABLE)
        else f"{source} does not exist"
    )


def _of_table(root: str, table: InputPath, files: FileSystem) -> Iterator[SourceFile]:
    for row in tables.labelled_rows(table, files):
        yield layout.labelled(tables.file_of(row, root, files), row.label, row.split)
