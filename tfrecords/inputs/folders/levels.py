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
        tuple(parts[: level - 1]): _split_above(parts[: level - 1], rules)
        for folder in {name.rpartition("/")[0] for name in names}
        if folder and len(parts := folder.split("/")) >= level
    }
    if not splits:
        raise UsageError(f"{source}: --class_level={level}, but no file lies in {level} folders")
    found = {split for split in splits.values() if split}
    if rules.splits_from == AUTO and not rules.split_folders and not found > {TRAIN}:
        splits = dict.fromkeys(splits)
    note = f"the class is folder {level} of each path"
    if fixed := {"/".join(parts): split for parts, split in splits.items() if split}:
        note += f"; {split_names(fixed)} are splits"
    return FolderLayout(
        _path(folder_tree.common_folders(splits)),
        {_path(parts): split for parts, split in splits.items()},
        notes=(note, *doubts.level_notes(names, level)),
    )


def _split_above(parts: Sequence[str], rules: InputRules) -> str | None:
    """Returns the split that the folders above a class fix, or None."""
    if rules.split_folders:
        paths = {normal("/".join(parts[: depth + 1])) for depth in range(len(parts))}
        known = paths | {normal(part) for part in parts}
        told = rules.split_folders.items()
        return next((split for folder, split in told if normal(folder.strip("/")) in known), None)
    if rules.splits_from == NO_FOLDERS:
        return None
    return next((split for part in parts if (split := split_in(part))), None)


def _path(parts: Iterable[str]) -> str:
    return "".join(f"{part}/" for part in parts)
