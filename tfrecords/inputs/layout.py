"""From listed files to labelled sources: which folders are classes and which are splits.

The layout is found from all names first and is then applied to each file.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs.rows import ListedFile, SourceFile
from tfrecords.schema import TRAIN

# Folder names that fix a split when they are all there is at the top.
SPLIT_FOLDERS = {
    TRAIN: TRAIN,
    "training": TRAIN,
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class FolderLayout:
    """How the folders of an input are to be read.

    Attributes:
      wrapper: the folder around all others, with a slash, which belongs to no name; "" for none.
      splits: top folder → the split that it fixes; {} where the top folders are the classes.
    """

    wrapper: str = ""
    splits: Mapping[str, str] = field(default_factory=dict)


def find_layout(files: Sequence[ListedFile]) -> FolderLayout:
    """Returns how to read the folders of an input, from the names of all of its files."""
    wrapper = _wrapper(files)
    names = [file.name.removeprefix(wrapper) for file in files if not _is_hidden(file)]
    tops = {name.split("/")[0] for name in names if "/" in name}
    fixed = TRAIN in map(SPLIT_FOLDERS.get, tops) and tops <= SPLIT_FOLDERS.keys()
    return FolderLayout(wrapper, {top: SPLIT_FOLDERS[top] for top in tops} if fixed else {})


def by_folder(file: ListedFile, layout: FolderLayout) -> SourceFile:
    """Returns the source that a file is, labelled by the folders that it lies in."""
    file = dataclasses.replace(file, name=file.name.removeprefix(layout.wrapper))
    folders = file.name.split("/")[:-1]
    split = None
    if layout.splits and folders:
        split = layout.splits.get(folders[0])
        folders = folders[1:]
    return labelled(file, folders[0] if folders else None, split)


def labelled(file: ListedFile, class_name: str | None, split: str | None) -> SourceFile:
    """Returns the source that a file is, with a normalised key and class.

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
    if problem is RejectReason.HIDDEN:
        class_name = None
    elif class_name is None and problem is not RejectReason.NAME_NOT_UTF8:
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
    )


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


def _wrapper(files: Sequence[ListedFile]) -> str:
    """Returns the one folder that an archive wraps around its class folders, or ""."""
    shown = [file for file in files if not _is_hidden(file)]
    tops = {file.name.split("/")[0] for file in shown}
    deep = all(file.name.count("/") >= 2 for file in shown)
    if not files or files[0].member is None or len(tops) != 1 or not deep:
        return ""
    return f"{tops.pop()}/"


def _is_hidden(file: ListedFile) -> bool:
    return file.problem is RejectReason.HIDDEN
