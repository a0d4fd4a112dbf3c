"""Classes in the names of pictures that lie in no class folders: cat.0.jpg and dog.0.jpg."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tfrecords.inputs.picture_names import is_picture_name, without_suffix
from tfrecords.inputs.split_words import split_of

# "Abyssinian_12", "cat.0", "obj3__45", "coast (7)", "rain12": what stands before the last number.
_NUMBERED = re.compile(r"(?:(.*[^\W_].*?)[ ._\-(]+|(.*[^\W\d_]))\d+\)?\Z")

_WORD = re.compile(r"[^\W\d_]{2,}")

# What cameras, programs and people call any picture.
_NO_CLASSES = frozenset(
    "img image images pic picture photo frame file scan dsc dscn dscf page sample screenshot "
    "video copy untitled crop patch tile".split()
)

_FEWEST, _MOST_CLASSES = 2, 1000


def class_in_name(paths: Iterable[str]) -> tuple[str, str] | None:
    """Returns a class and the name of a picture that begins with it, or None if names have none.

    In some folder all names but few are a word and a number, and the words repeat.

    Args:
      paths: of files.
    """
    folders: dict[str, list[str]] = {}
    for path in filter(is_picture_name, paths):
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
    return next(filter(None, (_in_folder(folders[folder]) for folder in sorted(folders))), None)


def _in_folder(names: list[str]) -> tuple[str, str] | None:
    words = {
        name: (match[1] or match[2]).strip(" ._-")
        for name in names
        if (match := _NUMBERED.match(without_suffix(name)))
    }
    classes = set(words.values())
    if 10 * len(words) < 9 * len(names) or not _FEWEST <= len(classes) <= _MOST_CLASSES:
        return None
    if 2 * len(classes) > len(words) or any(map(_says_nothing, classes)):
        return None
    return words[min(words)], min(words)


def _says_nothing(name: str) -> bool:
    words = {part.lower() for part in _WORD.findall(name)}
    return split_of(name) is not None or words <= _NO_CLASSES
