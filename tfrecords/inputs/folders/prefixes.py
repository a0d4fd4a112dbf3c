"""Classes in the names of pictures that lie in no class folders: cat.0.jpg and dog.0.jpg."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from tfrecords.inputs.picture_names import without_suffix
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


def words_before_numbers(names: Sequence[str]) -> dict[str, str]:
    """Returns name → what stands before its number, or {} where those are no classes.

    They may be where all names but few are a word and a number, and the words repeat.

    Args:
      names: of the pictures of a folder.
    """
    words = {
        name: (match[1] or match[2]).strip(" ._-")
        for name in names
        if (match := _NUMBERED.match(without_suffix(name)))
    }
    if not are_most(words, names) or not repeat(words) or not all(map(is_word, words.values())):
        return {}
    return words


def are_most(some: Collection[str], names: Collection[str]) -> bool:
    """Returns whether some names are nine in ten of all."""
    return 10 * len(some) >= 9 * len(names)


def repeat(classes: dict[str, str]) -> bool:
    """Returns whether the values, by name, are as many as there may be classes, each of several."""
    count = len(set(classes.values()))
    return _FEWEST <= count <= _MOST_CLASSES and 2 * count <= len(classes)


def is_word(name: str) -> bool:
    """Returns whether a part of a name may be that of a class: no number, no split, no "img"."""
    words = {part.lower() for part in _WORD.findall(name)}
    return split_of(name) is None and not words <= _NO_CLASSES
