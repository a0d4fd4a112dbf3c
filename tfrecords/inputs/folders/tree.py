"""The tree of an input's folders, and what its shape shows: wrappers, and folders that repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tfrecords.inputs.folders.names import fold
from tfrecords.inputs.split_words import split_of
from tfrecords.schema import TRAIN

# A folder with at most one loose picture for so many below it holds folders, not pictures: as
# many as may be rejected by default.
_FEW = 20


@dataclass(slots=True)
class Folder:
    """A folder of the tree.

    Attributes:
      files: number of files directly in it.
      total: number of files in it and below it.
      folders: name → sub-folder.
    """

    files: int = 0
    total: int = 0
    folders: dict[str, Folder] = field(default_factory=dict)

    @classmethod
    def of(cls, names: Iterable[str]) -> Folder:
        """Returns the tree of the files of these POSIX paths."""
        root = cls()
        for folder, files in Counter(name.rpartition("/")[0] for name in names).items():
            node = root
            node.total += files
            for part in folder.split("/") if folder else ():
                node = node.folders.setdefault(part, cls())
                node.total += files
            node.files += files
        return root

    def at(self, path: str) -> Folder:
        """Returns the folder at a path below this one, an empty folder where there is none."""
        folder = self
        for part in path.split("/")[:-1]:
            folder = folder.folders.get(part, Folder())
        return folder

    @property
    def holds_folders(self) -> bool:
        """Whether it is there for its sub-folders, and not for the few pictures beside them."""
        return bool(self.folders) and self.files * _FEW <= self.total

    @property
    def holds_splits(self) -> bool:
        """Whether its sub-folders, or those of the only one, are a train split and another."""
        folder = chain("", self)[-1][1]
        found = {split_of(name) for name in folder.folders} - {None}
        return TRAIN in found and len(found) > 1

    @property
    def holds_classes_in_splits(self) -> bool:
        """Whether a train split below it, as `holds_splits` finds it, holds several folders."""
        folder = chain("", self)[-1][1]
        return any(
            split_of(name) == TRAIN and len(chain("", below)[-1][1].folders) > 1
            for name, below in folder.folders.items()
        )


# The path to a folder, with a slash at its end, and the folder.
Located = tuple[str, Folder]


def chain(path: str, folder: Folder) -> list[Located]:
    """Returns a folder and those below it, each alone in the one before, down to the first fork."""
    result = [(path, folder)]
    while len(folder.folders) == 1 and folder.holds_folders:
        ((name, folder),) = folder.folders.items()
        path = f"{path}{name}/"
        result.append((path, folder))
    return result


def unwrap(root: Folder) -> Located:
    """Returns the folder below all wrappers: the first one that holds several folders.

    Loose pictures beside a wrapper, its cover say, do not make a class of it. Where no folder
    holds several, or the one that does is full of pictures itself, there is but one class.
    """
    path, folder = "", root
    while len(folder.folders) == 1:
        ((name, folder),) = folder.folders.items()
        path = f"{path}{name}/"
    if len(folder.folders) > 1 and 2 * folder.files <= folder.total:
        return path, folder
    return "", root


def repeats(path: str, folder: Folder) -> dict[str, str]:
    """Returns sub-folder → the folder in it whose sub-folders have the names of those beside it.

    An archive that was packed together with its own unpacked content has such a folder.
    """
    result = {}
    for name, below in folder.folders.items():
        beside = folded(other for other in folder.folders if other != name)
        for root, inner in chain(f"{path}{name}/", below):
            names = folded(inner.folders)
            common = len(names & beside)
            if common > 1 and 2 * common >= max(len(names), len(beside)):
                result[name] = root
                break
    return result if 2 * len(result) < len(folder.folders) else {}


def folded(names: Iterable[str]) -> frozenset[str]:
    """Returns names as they are compared."""
    return frozenset(map(fold, names))


def agree(some: frozenset[str], others: frozenset[str]) -> bool:
    """Returns whether at least half of the smaller set's names are in the other."""
    return bool(some) and 2 * len(some & others) >= min(len(some), len(others))


def shared(sets: Sequence[frozenset[str]]) -> frozenset[str]:
    """Returns the names in several sets; none unless they are at least half of all names."""
    counts = Counter(name for names in sets for name in names)
    several = frozenset(name for name, count in counts.items() if count > 1)
    in_several = sum(counts[name] for name in several)
    return several if 2 * in_several >= sum(counts.values()) else frozenset()


def common_folders(paths: Mapping[tuple[str, ...], object]) -> tuple[str, ...]:
    """Returns the folders that all paths begin with."""
    first, last = min(paths), max(paths)
    count = 0
    while count < min(len(first), len(last)) and first[count] == last[count]:
        count += 1
    return first[:count]
