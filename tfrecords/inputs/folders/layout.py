"""How the folders of an input are read: which holds class folders, and which split it fixes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tfrecords.inputs.say import some
from tfrecords.inputs.split_words import TEST, VALIDATION
from tfrecords.schema import TRAIN


@dataclass(frozen=True, slots=True)
class Place:
    """What the pictures of a folder are.

    Attributes:
      class_name: or None.
      split: that the folder fixes, or None.
      unlabelled: whether they have no class by intention, and are left for a prediction.
    """

    class_name: str | None
    split: str | None = None
    unlabelled: bool = False


@dataclass(frozen=True)
class FolderLayout:
    """How the folders of an input are read. Paths of folders end with a slash; "" is the root.

    Attributes:
      wrapper: the folder around all pictures, which belongs to no key.
      roots: folder that holds class folders → the split that it fixes, or None.
      unlabelled: folders whose pictures have no class.
      inner: name of a folder directly below a class → the split that it fixes.
      notes: what a person should know of this reading, a line each.
    """

    wrapper: str = ""
    roots: Mapping[str, str | None] = field(default_factory=lambda: {"": None})
    unlabelled: frozenset[str] = frozenset()
    inner: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def place(self, folder: str) -> Place:
        """Returns what the pictures of a folder are."""
        parts = folder.split("/")[:-1]
        for depth in range(len(parts), -1, -1):
            above = "".join(f"{part}/" for part in parts[:depth])
            if above in self.unlabelled:
                return Place(None, unlabelled=True)
            if above in self.roots:
                split = self.roots[above]
                if depth == len(parts):
                    return Place(None, split)
                if self.inner and depth + 1 < len(parts):
                    split = self.inner.get(parts[depth + 1])
                return Place(parts[depth], split)
        return Place(None)

    def key_of(self, name: str) -> str:
        """Returns the path of a file from the wrapper on: "../README" for one beside it."""
        if name.startswith(self.wrapper):
            return name.removeprefix(self.wrapper)
        around, own = self.wrapper.split("/")[:-1], name.split("/")
        common = 0
        while common < len(own) - 1 and own[common] == around[common]:
            common += 1
        return "../" * (len(around) - common) + "/".join(own[common:])


def split_names(splits: Mapping[str, str]) -> str:
    """Returns "train/" of a folder that is called like its split, "Testing/ (test)" of another."""
    order = (TRAIN, VALIDATION, TEST)
    place = {split: number for number, split in enumerate(order)}
    by_split = sorted(splits.items(), key=lambda item: (place.get(item[1], len(order)), item))
    return some(f"{name}/" if name == split else f"{name}/ ({split})" for name, split in by_split)
