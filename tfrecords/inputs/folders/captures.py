"""Classes that a person's regular expression captures from the paths of pictures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tfrecords.errors import UsageError
from tfrecords.inputs.folders import doubts, name_patterns
from tfrecords.inputs.folders import tree as folder_tree
from tfrecords.inputs.folders.layout import FolderLayout, Place, split_names
from tfrecords.inputs.folders.levels import check_told, split_above
from tfrecords.inputs.folders.names import has_no_class, normal
from tfrecords.inputs.patterns import span_of
from tfrecords.inputs.rules import AUTO, NO_FOLDERS, InputRules
from tfrecords.inputs.say import NAMED, counted, some, typed
from tfrecords.schema import TRAIN

# The names of the folders of a path, from the top.
_Folders = tuple[str, ...]


@dataclass(frozen=True)
class CapturedClasses:
    """Which class and which split the path of each picture stands for.

    Attributes:
      pattern: its first capture in a path, or all that it matches, is the class.
      folders: the wrapper, which belongs to no key and is not searched.
      splits: path of a folder, with a slash at its end → its split. It is no part of a class.
      unlabelled: folders whose pictures have no class by intention.
      notes: what a person should know of this reading, a line each.
    """

    pattern: re.Pattern[str]
    folders: FolderLayout
    splits: Mapping[str, str]
    unlabelled: frozenset[str]
    notes: tuple[str, ...] = ()

    def place(self, name: str) -> Place:
        """Returns what the file of a POSIX path is."""
        above = list(_paths(_folders_of(name)))
        if any(path in self.unlabelled for path in above):
            return Place(None, unlabelled=True)
        root = next((path for path in above if path in self.splits), "")
        split = self.splits.get(root)
        return Place(_class_of(self.pattern, self.folders.key_of(name), self._below(root)), split)

    def _below(self, root: str) -> int:
        """Returns where in a key the path below the folder of a split begins."""
        return len(normal(root.removeprefix(self.folders.wrapper))) if root else 0


def find_captures(
    names: Collection[str], expression: str, rules: InputRules, source: str = "the input"
) -> CapturedClasses:
    """Returns how a regular expression reads an input.

    Args:
      names: POSIX paths of all files that may be pictures.
      expression: that a person gave.
      rules: what else the person told.
      source: of the files, for messages.

    Raises:
      UsageError: it finds no classes; the text shows a path.
    """
    pattern = re.compile(expression)
    doubts.refuse_drawn_beside(names, source)
    told = {name: _folders_of(name) for name in sorted(names)}
    common = folder_tree.common_folders(dict.fromkeys(told.values()))
    wrapper = "".join(f"{name}/" for name in common)
    layout = FolderLayout(wrapper, roots={})
    matched = {folders for name, folders in told.items() if _class_of(pattern, layout.key_of(name))}
    if not matched:
        _refuse_no_match(pattern, [layout.key_of(name) for name in told], source)
    unlabelled = frozenset(_without_class(set(told.values()) - matched, matched, rules))
    splits = _splits(matched, rules, bool(unlabelled), source)
    found = CapturedClasses(pattern, layout, splits, unlabelled)
    places = {name: found.place(name) for name in told}
    _refuse_useless(found, places)
    notes = (*_notes(found, places), *doubts.software_note(folder_tree.Folder.of(told)))
    return CapturedClasses(pattern, layout, splits, unlabelled, notes)


def _class_of(pattern: re.Pattern[str], key: str, begin: int = 0) -> str | None:
    """Returns what a pattern takes from a path, without what lies before `begin`, or None."""
    key = normal(key)
    span = span_of(pattern, key)
    if span is None:
        return None
    taken = key[max(span[0], begin) : span[1]]
    return taken if taken.strip() else None


def _without_class(
    unmatched: Collection[_Folders], matched: Collection[_Folders], rules: InputRules
) -> Iterator[str]:
    """Yields the folders of which no picture matches, and whose names say that none has a class."""
    if rules.splits_from == NO_FOLDERS or rules.split_folders:
        return
    holding = {path for folders in matched for path in _paths(folders)}
    for folders in unmatched:
        for name, path in zip(folders, _paths(folders), strict=True):
            if path not in holding and has_no_class(name):
                yield path
                break


def _splits(
    matched: Collection[_Folders], rules: InputRules, beside: bool, source: str
) -> dict[str, str]:
    """Returns path of a folder → the split that it is.

    Args:
      matched: folders of the pictures that have a class.
      rules: what a person told.
      beside: whether pictures without a class lie beside those.
      source: of the files, for messages.
    """
    splits: dict[str, str] = {}
    for folders in sorted(matched):
        if found := split_above(folders, rules):
            depth, split = found
            splits["/".join(folders[:depth]) + "/"] = split
    where = some("/".join(folders) + "/" for folders in sorted(matched))
    where = f"the pictures that --class_from matches are in {where}"
    check_told(splits, rules, source, where)
    held = set(splits.values())
    is_told = rules.split_folders or rules.splits_from != AUTO
    if not is_told and not (TRAIN in held and (len(held) > 1 or beside)):
        return {}
    return splits


def _refuse_no_match(pattern: re.Pattern[str], keys: Sequence[str], source: str) -> None:
    """Stops at a pattern that finds nothing."""
    advice = name_patterns.advice(keys)
    raise UsageError(
        f"{source}: {typed('class_from', pattern.pattern)} "
        f"{'captures nothing of' if any(map(pattern.search, keys)) else 'matches none of'} the "
        f"{counted(len(keys), 'path')} below the input, such as {keys[0]!r}"
        f"{f'; give {advice}' if advice else ''}"
    )


def _refuse_useless(found: CapturedClasses, places: Mapping[str, Place]) -> None:
    """Stops at a pattern that captures splits, or another class in each path.

    Raises:
      UsageError: it does; the text shows a path.
    """
    flag = typed("class_from", found.pattern.pattern)
    for name, place in places.items():
        key = found.folders.key_of(name)
        whole = _class_of(found.pattern, key)
        if place.class_name is None and whole is not None and not place.unlabelled:
            raise UsageError(
                f"{flag} captures {whole!r} of {key!r}, which is of the folder of a split: give a "
                f"pattern of what follows, or --splits_from={NO_FOLDERS} if that is the class"
            )
    named = [(name, place.class_name) for name, place in places.items() if place.class_name]
    classes = Counter(class_name for _, class_name in named)
    if len(classes) == len(named) > 1:
        name, class_name = named[-1]
        raise UsageError(
            f"{flag} makes no classes: each of the {len(named):,} paths that it matches gives "
            f"another name, as {found.folders.key_of(name)!r} gives {class_name!r}; put "
            "parentheses around what the pictures of one class share"
        )


def _notes(found: CapturedClasses, places: Mapping[str, Place]) -> Iterator[str]:
    """Yields how the classes were found, and which pictures have none."""
    if found.folders.wrapper:
        yield f"the data are in {found.folders.wrapper}"
    flag = typed("class_from", found.pattern.pattern)
    key_of = found.folders.key_of
    name, first = next((name, place) for name, place in places.items() if place.class_name)
    parts = [f"the class is what {flag} captures, as {first.class_name!r} of {key_of(name)!r}"]
    if found.splits:
        told = {key_of(path)[:-1] or path[:-1]: split for path, split in found.splits.items()}
        parts.append(f"{split_names(told)} {'are splits' if len(told) > 1 else 'is a split'}")
    if left := sum(place.unlabelled for place in places.values()):
        have, be = ("has", "is") if left == 1 else ("have", "are")
        under = some(sorted(map(key_of, found.unlabelled)))
        parts.append(f"{counted(left, 'file')} under {under} {have} no class and {be} left for "
                     "predict")  # fmt: skip
    yield "; ".join(parts)
    without = [n for n, place in places.items() if not (place.class_name or place.unlabelled)]
    if without:
        match, have = ("does", "has") if len(without) == 1 else ("do", "have")
        yield (
            f"{len(without):,} of {counted(len(places), 'file')} {match} not match {flag} and "
            f"{have} no class: {some(map(key_of, without), NAMED)}"
        )


def _folders_of(name: str) -> _Folders:
    return tuple(name.split("/")[:-1])


def _paths(folders: Sequence[str]) -> Iterator[str]:
    """Yields the paths of folders that lie in each other, from the top."""
    path = ""
    for name in folders:
        path += f"{name}/"
        yield path
