"""The one listing of sources: labelled ones for a bake, unlabelled ones for a prediction."""

from __future__ import annotations

import dataclasses
import enum
import functools
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfrecords import kinds
from tfrecords.errors import UsageError
from tfrecords.images.rejects import IGNORED, RejectReason
from tfrecords.inputs import filters, keys, layout, walk
from tfrecords.inputs.archives.members import is_archive, list_members, split_inside
from tfrecords.inputs.files import LOCAL, FileKind, FileSystem
from tfrecords.inputs.folders import companions, doubts
from tfrecords.inputs.folders.captures import find_captures
from tfrecords.inputs.folders.find import find_layout
from tfrecords.inputs.folders.layout import FolderLayout
from tfrecords.inputs.folders.tree import Folder
from tfrecords.inputs.options import MEGABYTE, InputOptions
from tfrecords.inputs.picture_names import without_suffix
from tfrecords.inputs.rows import InputPath, ListedFile, SourceFile
from tfrecords.inputs.rules import InputRules
from tfrecords.inputs.say import Say, counted, many, silent, some
from tfrecords.inputs.split_words import split_of
from tfrecords.inputs.table_input import open_table, open_tables
from tfrecords.inputs.table_names import named_tables
from tfrecords.inputs.tables import beside
from tfrecords.inputs.tables.pictures import files_of, is_table
from tfrecords.inputs.tables.text import is_json
from tfrecords.inputs.tables.together import GivenTable, labelled_files
from tfrecords.schema import TRAIN

DEFAULTS = InputOptions()

# Bytes that tell whether a file is JSON.
_MARK = 64


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
    if is_archive(path):
        return InputForm.ARCHIVE
    if is_table(path) or (is_json(path) and _begins_as_json(path, files)):
        return InputForm.TABLE
    if kind is None and split_inside(path, files) is not None:
        return InputForm.ARCHIVE
    if kind is not None:
        return InputForm.FILE
    return InputForm.PATTERN if walk.has_wildcard(path) else InputForm.ABSENT


def _begins_as_json(path: str, files: FileSystem) -> bool:
    """Returns whether JSON is at a path: what a person names may be a picture, however called."""
    try:
        with files.open(path) as file:
            return file.read(_MARK).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
    except (OSError, ValueError):
        return split_inside(path, files) is not None


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of an input.

    Attributes:
      rows: in key order.
      notes: what a person should know of how they were understood, a line each.
    """

    rows: tuple[SourceFile, ...]
    notes: tuple[str, ...] = ()


def list_labelled(
    source: InputPath,
    table: InputPath | None = None,
    files: FileSystem = LOCAL,
    rules: InputRules | None = None,
    options: InputOptions = DEFAULTS,
) -> Listing:
    """Returns every input file, with its class and, where the input fixes it, its split.

    Args:
      source: holds class folders; or an archive of them, or a folder in one ("data.zip/train");
        or, with `table`, the folder or archive that its paths start from.
      table: names the pictures and their classes; it may lie in an archive ("data.zip/labels.csv"),
        and be several ("a.csv,b.csv"), also with their splits ("train=a.csv,test=b.csv").
      files: the file system that both lie on.
      rules: which files are read and what their folders mean; not for a table.
      options: how archives and tables are read.

    Raises:
      UsageError: there is no input of that form, or it can be understood in two ways; the text
        says what was found, and what to do.
    """
    notes: list[str] = []
    if table is not None:
        named = _limited(_of_table(source, table, files, options, notes.append), options.max_bytes)
        return Listing(keys.in_key_order(named), tuple(notes))
    rules = rules or InputRules()
    found = filters.apply(_tree(source, files, options, notes.append), rules)
    if filters.is_data_set(found):
        raise UsageError(
            f"{source} is a data set that a bake wrote; give the pictures that it was made of"
        )
    candidates = [file.name for file in found if not file.is_folder and _may_be_picture(file)]
    if not candidates:
        has_table = any(is_table(file.name) for file in found)
        advice = f", or {beside.advice(source.path, found, files)}" if has_table else ""
        if packed := [file.name for file in found if filters.may_pack_pictures(file.name)]:
            advice += (
                f"; pictures may be packed in {some(sorted(packed), 2)}: write them as files, "
                "into a folder for each class"
            )
        raise UsageError(
            f"{source} holds no files{_left_out(found)}; class folders expected{advice}"
        )
    notes += _archives_note(source, found)
    notes += (f"{pattern!r} matches no file" for pattern in filters.unused_globs(found, rules))
    listed = [file for file in found if not file.is_folder or file.problem is RejectReason.HIDDEN]
    if rules.class_from is not None:
        captured = find_captures(candidates, rules.class_from, rules, str(source))
        notes += (*captured.notes, *_vanished(found, captured.folders))
        if labels := sum(file.label is not None for file in listed):
            given = f"the classes that the archive itself gives {counted(labels, 'picture')}"
            notes.append(f"{given} are not taken, for --class_from is given")
        rows = [layout.by_capture(file, captured) for file in listed]
        notes += _tables_of_unlabelled(found, files, rows)
    elif any(file.label is not None for file in listed):
        splits = _splits_above(file.name for file in listed if file.label is not None)
        if splits:
            told = sorted(f"{folder}/ ({split})" for folder, split in splits.items())
            notes.append(f"{', '.join(told)} are splits")
        rows = [
            layout.labelled(file, file.label, splits.get(file.name.rpartition("/")[0]))
            for file in listed
        ]
    elif options.table.label_column:
        raise UsageError(
            f"--label_column={','.join(options.table.label_column)} is for a table or a "
            f"WebDataset, and {source} has class folders: give --input_csv too, or leave it out"
        )
    else:
        tables = functools.partial(beside.advice, source.path, found, files)
        folders = find_layout(candidates, rules, str(source), tables)
        notes += (*folders.notes, *_vanished(found, folders))
        rows = [layout.by_folder(file, folders) for file in listed]
        notes += _unread_tables(source, found, files, rows)
        notes += _tables_of_unlabelled(found, files, rows)
    notes += (*companions.notes(rows), *_unreadable_note(rows))
    return Listing(keys.in_key_order(_limited(rows, options.max_bytes)), tuple(notes))


def list_unlabelled(
    source: InputPath,
    leave_out: Collection[Path] = (),
    files: FileSystem = LOCAL,
    options: InputOptions = DEFAULTS,
    say: Say = silent,
    rules: InputRules | None = None,
) -> tuple[SourceFile, ...]:
    """Returns the pictures of an input in key order; those of a table in its order.

    Hidden files, what operating systems leave behind and what lies beside pictures are not
    listed, as in a bake, and that is said. Every other file is: whether it is a picture is found
    out by reading it.

    Args:
      source: a folder, an archive or a folder in one, a table of paths or ids, a file, or a
        pattern.
      leave_out: files that are none of the input, such as earlier outputs.
      files: the file system that the input lies on; patterns are for the local one.
      options: how archives and tables are read.
      say: told what was guessed and what was noticed.
      rules: which files of a folder, an archive or a pattern are read; what folders mean does not
        count here.

    Raises:
      UsageError: nothing there, or nothing of that form.
    """
    rules = rules or InputRules()
    form = form_of(source.path, files)
    if form in (InputForm.TABLE, InputForm.FILE) and (rules.include or rules.exclude):
        raise UsageError(
            f"{source} is a {form.value}: --include and --exclude are for folders, archives and "
            "patterns, leave them out"
        )
    if form is InputForm.TABLE:
        root = InputPath(source.flag, os.path.dirname(source.path))
        opened = open_table(root, source, files, options, say)
        rows = files_of(source, opened.data, opened.finder, options.table, say, labelled=False)
        # A prediction gives the names of the table back.
        named = (dataclasses.replace(row.file, name=row.row.path) for row in rows)
        return tuple(_limited(map(layout.unlabelled, named), options.max_bytes))
    unwanted = {path.resolve() for path in leave_out}
    found = [
        file
        for file in _unlabelled_files(source, form, files, options, say, rules)
        if file.member is not None or Path(file.path).resolve() not in unwanted
    ]
    _refuse_results(source, found)
    candidates = [file for file in found if not file.is_folder and _may_be_picture(file)]
    if not candidates:
        raise UsageError(f"{source} holds no file{_left_out(found)}")
    software = doubts.software_note(Folder.of(file.name for file in candidates))
    for note in (*_archives_note(source, found), *_ignored_note(source, found), *software):
        say(note)
    for pattern in filters.unused_globs(found, rules):
        say(f"{pattern!r} matches no file")
    kept = sorted(map(layout.unlabelled, candidates), key=lambda row: row.key)
    return tuple(_limited(kept, options.max_bytes))


def _refuse_results(source: InputPath, found: Iterable[ListedFile]) -> None:
    """Refuses what another command wrote: its only pictures are the figures of reports.

    Raises:
      UsageError: it is a data set, a run, a sweep or an evaluation.
    """
    kind = kinds.DATASET if filters.is_data_set(found) else kinds.of(source.path)
    if kind is not None:
        raise UsageError(f"{source} is {kind}, and no pictures to be named: give those")


def _unlabelled_files(
    source: InputPath,
    form: InputForm,
    files: FileSystem,
    options: InputOptions,
    say: Say,
    rules: InputRules,
) -> Iterator[ListedFile]:
    if form in (InputForm.FOLDER, InputForm.ARCHIVE):
        yield from filters.apply(_tree(source, files, options, say), rules)
    elif form is InputForm.FILE:
        # Named by a person, so its name is not asked what it is.
        status = files.stat(source.path)
        yield ListedFile(os.path.basename(source.path), source.path, status.bytes, status.version)
    elif form is InputForm.PATTERN:
        matched = list(walk.match_pattern(source.path))
        if not matched:
            raise UsageError(f"{source} matches no file")
        yield from filters.apply(matched, rules)
    else:
        raise UsageError(f"{source} does not exist")


def _tree(
    source: InputPath, files: FileSystem, options: InputOptions, say: Say
) -> Iterable[ListedFile]:
    """Returns the files of a folder or an archive.

    Raises:
      UsageError: the source is neither.
    """
    form = form_of(source.path, files)
    if form is InputForm.FOLDER:
        return files.walk(source.path)
    if form is InputForm.ARCHIVE:
        return list_members(source, files, options, say)
    if form is InputForm.TABLE:
        raise UsageError(f"{source} is a table: give it as --input_csv={source.path}")
    raise UsageError(
        f"{source} is not a folder, a .zip or a .tar"
        if form is InputForm.FILE
        else f"{source} does not exist"
    )


def _archives_note(source: InputPath, found: Iterable[ListedFile]) -> Iterator[str]:
    """Yields a line for archives that lie in an input: they are files in it, and no pictures."""
    nested = [file.name for file in found if file.problem is None and is_archive(file.name)]
    if nested:
        yield (
            f"{source}: {counted(len(nested), 'archive')} in it not opened, such as "
            f"{nested[0]!r}: unpack it, or give it as the input"
        )


def _unread_tables(
    source: InputPath, found: Sequence[ListedFile], files: FileSystem, rows: Iterable[SourceFile]
) -> Iterator[str]:
    """Yields a line for each table beside class folders that gives other classes than they do."""
    if any(is_table(file.name) and file.problem is RejectReason.SIDECAR for file in found):
        classes: dict[str, set[str]] = {}
        for row in rows:
            if row.class_name is not None and row.problem is None:
                parts = without_suffix(row.key).split("/")
                for name in {"/".join(parts[-2:]), parts[-1]}:
                    classes.setdefault(name, set()).add(row.class_name)
        one = {name: next(iter(own)) for name, own in classes.items() if len(own) == 1}
        yield from beside.unread(source.path, found, files, one)


def _tables_of_unlabelled(
    found: Sequence[ListedFile], files: FileSystem, rows: Iterable[SourceFile]
) -> Iterator[str]:
    """Yields a line for each table that may have the classes of pictures left without one."""
    keys_of = [row.key for row in rows if row.problem is RejectReason.UNLABELLED]
    if keys_of:
        names = {without_suffix(key.rpartition("/")[2]) for key in keys_of}
        yield from beside.of_unlabelled(found, files, names)


def _splits_above(names: Iterable[str]) -> dict[str, str]:
    """Returns folder → split, of pictures that are labelled by other files than their folders.

    Nothing where the folders are no splits, one of which is train.
    """
    folders = {name.rpartition("/")[0] for name in names}
    splits = {
        folder: next((split for part in folder.split("/") if (split := split_of(part))), None)
        for folder in folders
    }
    found = {folder: split for folder, split in splits.items() if split is not None}
    return found if set(found.values()) > {TRAIN} and len(found) == len(folders) else {}


def _unreadable_note(rows: Iterable[SourceFile]) -> Iterator[str]:
    """Yields a line for what cannot be listed: of a folder, nobody knows how much is missing."""
    found = [
        f"{row.key} ({row.detail})"
        for row in rows
        if row.problem is RejectReason.UNREADABLE and row.member is None
    ]
    if found:
        yield f"cannot be read, and whatever lies in it is missing: {some(found, 3)}"


def _ignored_note(source: InputPath, found: Iterable[ListedFile]) -> Iterator[str]:
    """Yields a line for the files that are left out unread: how many for what reason, and which."""
    by_reason: dict[str, list[str]] = {}
    for file in found:
        if file.problem is not None and not _may_be_picture(file):
            by_reason.setdefault(file.problem.value, []).append(file.name)
    if by_reason:
        told = ", ".join(
            f"{len(names):,} {reason} ({some(sorted(names), 3)})"
            for reason, names in sorted(by_reason.items())
        )
        yield f"{source}: left out unread: {told}"


def _of_table(
    source: InputPath, table: InputPath, files: FileSystem, options: InputOptions, say: Say
) -> Iterator[SourceFile]:
    named = named_tables(table.path)
    paths = [InputPath(table.flag, own.path) for own in named]
    opened = open_tables(source, paths, files, options, say)
    tables = [
        GivenTable(path, each.data, own.split, each.finder)
        for path, each, own in zip(paths, opened, named, strict=True)
    ]
    for found in labelled_files(table, tables, opened[0].finder, options.table, say):
        row = found.row
        yield layout.labelled(found.file, row.label, row.split, row.group)


def _limited(rows: Iterable[SourceFile], max_bytes: int) -> Iterator[SourceFile]:
    """Yields sources, with a problem those of more bytes than may be read."""
    for row in rows:
        if row.bytes > max_bytes and row.problem is None:
            row = dataclasses.replace(
                row,
                problem=RejectReason.TOO_MANY_BYTES,
                detail=f"{row.bytes:,} bytes, --max_file_mb={max_bytes / MEGABYTE:g} allows "
                f"{max_bytes:,}",
            )
        yield row


def _may_be_picture(file: ListedFile) -> bool:
    return file.problem not in IGNORED


def _left_out(files: Sequence[ListedFile]) -> str:
    """Returns how many files are there but left out, by reason; "" for none."""
    counts = Counter(file.problem.value for file in files if file.problem is not None)
    told = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
    return f" that could be pictures ({told})" if told else ""


def _vanished(files: Sequence[ListedFile], folders: FolderLayout) -> Iterator[str]:
    """Yields a line for class folders without a picture, and one for other empty folders."""
    classes: set[str] = set()
    without: dict[str, str] = {}
    empty: list[str] = []
    for file in files:
        if file.problem in (RejectReason.HIDDEN, RejectReason.EXCLUDED, RejectReason.OWN_OUTPUT):
            continue
        place = folders.place(file.name if file.is_folder else _folder_of(file.name))
        if place.class_name is None:
            if file.is_folder:
                empty.append(file.name)
        elif file.is_folder or not _may_be_picture(file):
            without[place.class_name] = "empty" if file.is_folder else "no pictures"
        else:
            classes.add(place.class_name)
    if gone := [f"{name}/ ({why})" for name, why in sorted(without.items()) if name not in classes]:
        yield f"no class is made of {many(gone)}"
    if empty:
        yield f"empty folders: {many(empty)}"


def _folder_of(name: str) -> str:
    folder = name.rpartition("/")[0]
    return f"{folder}/" if folder else ""
