"""The layout of folders whose classes a person told by their level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tfrecords.errors import UsageError
from tfrecords.inputs.folders import doubts
from tfrecords.inputs.folders import tree as folder_tree
from tfrecords.inputs.folders.layout import FolderLayout, split_names
from tfrecords.inputs.folders.names import normal, split_in
from tfrecords.inputs.rules import AUTO, NO_FOLDERS, InputRules
from tfrecords.schema import TRAIN


def layout_of_level(
    names: Iterable[str], level: int, rules: InputRules, source: str
) -> FolderLayout:
    """Returns the layout in which the class is a given folder of every path.

    Args:
      names: POSIX paths of all files that may be pictures.
      level: of the class folders, 1 for the top one.
      rules: what a person told.
      source: of the files, for messages.

    Raises:
      UsageError: no file lies so deep.
    """
    splits = {
        tuple(parts[: level - 1]): found[1]
        if (found := split_above(parts[: level - 1], rules))
        else None
        for folder in {name.rpartition("/")[0] for name in names}
        if folder and len(parts := folder.split("/")) >= level
    }
    if not splits:
        raise UsageError(f"{source}: --class_level={level}, but no file lies in {level} folders")
    fixing = {split for split in splits.values() if split}
    if rules.splits_from == AUTO and not rules.split_folders and not fixing > {TRAIN}:
        splits = dict.fromkeys(splits)
    note = f"the class is folder {level} of each path"
    if fixed := {"/".join(parts): split for parts, split in splits.items() if split}:
        note += f"; {split_names(fixed)} are splits"
    return FolderLayout(
        _path(folder_tree.common_folders(splits)),
        {_path(parts): split for parts, split in splits.items()},
        notes=(note, *doubts.level_notes(names, level)),
    )


def split_above(folders: Sequence[str], rules: InputRules) -> tuple[int, str] | None:
    """Returns the split that some of the folders of a path fixes, or None.

    Args:
      folders: their names, from the top.
      rules: what a person told.

    Returns:
      How many of the folders lie above what the split holds, and the split.
    """
    if rules.splits_from == NO_FOLDERS and not rules.split_folders:
        return None
    told = {normal(path.strip("/")): split for path, split in rules.split_folders.items()}
    for depth, name in enumerate(folders, start=1):
        path = "/".join(folders[:depth])
        split = told.get(normal(path)) or told.get(normal(name)) if told else split_in(name)
        if split is not None:
            return depth, split
    return None


def _path(parts: Iterable[str]) -> str:
    return "".join(f"{part}/" for part in parts)
