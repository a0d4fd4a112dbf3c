"""The layout of folders whose classes a person told by their level."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from tfrecords.errors import UsageError
from tfrecords.inputs.folders import doubts
from tfrecords.inputs.folders import tree as folder_tree
from tfrecords.inputs.folders.layout import FolderLayout, split_names
from tfrecords.inputs.folders.names import normal, split_in
from tfrecords.inputs.rules import AUTO, FOLDERS, NO_FOLDERS, InputRules
from tfrecords.inputs.say import some
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
    told = {
        tuple(parts[: level - 1]): split_above(parts[: level - 1], rules)
        for folder in {name.rpartition("/")[0] for name in names}
        if folder and len(parts := folder.split("/")) >= level
    }
    if not told:
        raise UsageError(f"{source}: --class_level={level}, but no file lies in {level} folders")
    deciding = {_path(parts[: found[0]]) for parts, found in told.items() if found}
    above = some(sorted(map(_path, filter(None, told)))) if level > 1 else "no folder"
    check_told(deciding, rules, source, f"the classes are folder {level} of a path, below {above}")
    splits = {parts: found[1] if found else None for parts, found in told.items()}
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


def check_told(deciding: Collection[str], rules: InputRules, source: str, where: str) -> None:
    """Stops at splits that a person told, and folders that are none.

    Args:
      deciding: paths of the folders that fix a split, with a slash at their ends.
      rules: what a person told.
      source: of the files, for messages.
      where: what there is instead.

    Raises:
      UsageError: --splits_from is not followed.
    """
    known = {normal(name) for path in deciding for name in (path[:-1], path.split("/")[-2])}
    missing = [path for path in rules.split_folders if normal(path.strip("/")) not in known]
    if missing or (rules.splits_from == FOLDERS and not deciding):
        told = f"{missing[0]}:…" if missing else FOLDERS
        raise UsageError(f"{source}: --splits_from={told}, but {where}")


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
