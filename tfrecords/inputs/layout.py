"""From listed files to sources: their keys, classes and splits."""

from __future__ import annotations

import dataclasses
import unicodedata

from tfrecords.images.rejects import IGNORED, RejectReason
from tfrecords.inputs.folders.captures import CapturedClasses
from tfrecords.inputs.folders.layout import FolderLayout, Place
from tfrecords.inputs.rows import ListedFile, SourceFile


def by_folder(file: ListedFile, layout: FolderLayout) -> SourceFile:
    """Returns the source that a file is, labelled by the folders that it lies in."""
    folder, _, _ = file.name.rpartition("/")
    place = layout.place(f"{folder}/" if folder else "")
    return _placed(file, layout.key_of(file.name), place)


def by_capture(file: ListedFile, classes: CapturedClasses) -> SourceFile:
    """Returns the source that a file is, labelled by what a pattern captures of its path."""
    place = classes.place(file.name)
    if place == Place(None, place.split) and file.problem is None:
        detail = "--class_from matches nothing of its path"
        file = dataclasses.replace(file, problem=RejectReason.NO_CLASS, detail=detail)
    return _placed(file, classes.folders.key_of(file.name), place)


def _placed(file: ListedFile, key: str, place: Place) -> SourceFile:
    if key != file.name:
        file = dataclasses.replace(file, name=key)
    if place.unlabelled and file.problem is None:
        file = dataclasses.replace(file, problem=RejectReason.UNLABELLED)
    return labelled(file, place.class_name, place.split)


def labelled(
    file: ListedFile, class_name: str | None, split: str | None, group: str | None = None
) -> SourceFile:
    """Returns the source that a file is, with a normalised key, class and group.

    A file that is rejected whatever its class is has none.
    """
    problem, detail = file.problem, file.detail
    try:
        file.name.encode()
        key = unicodedata.normalize("NFC", file.name)
        class_name = unicodedata.normalize("NFC", class_name) if class_name else None
    except UnicodeEncodeError:
        # The ledger is UTF-8: it shows such a name with its odd bytes as \xNN.
        key = file.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        class_name, problem, detail = None, RejectReason.NAME_NOT_UTF8, None
    if problem in IGNORED:
        class_name = None
    elif class_name is None and problem is None:
        problem, detail = RejectReason.NO_CLASS, None
    return SourceFile(
        key=key,
        path=file.path,
        class_name=class_name,
        bytes=file.bytes,
        version=file.version,
        split=split,
        problem=problem,
        member=file.member,
        detail=detail,
        group=_as_utf8(group),
    )


def _as_utf8(group: str | None) -> str | None:
    """Returns a group, normalised; JSON can name characters that UTF-8 has not: as \\uNNNN."""
    if not group:
        return None
    return unicodedata.normalize("NFC", group).encode("utf-8", "backslashreplace").decode()


def unlabelled(file: ListedFile) -> SourceFile:
    """Returns the source that a file without a class is; its key is its name, as it is."""
    return SourceFile(
        key=file.name,
        path=file.path,
        class_name=None,
        bytes=file.bytes,
        version=file.version,
        problem=file.problem,
        member=file.member,
        detail=file.detail,
    )
