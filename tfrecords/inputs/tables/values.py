"""What the values of a column are that are no classes: addresses, coordinates, boxes, pixels."""

from __future__ import annotations

import re
from collections.abc import Collection

_URL = re.compile(r"(?i)(?:https?|ftp|s3|gs)://")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z")
_BETWEEN = re.compile(r"[\s,;\[\](){}]+")

# What programs write for a value that is not there.
_NO_VALUES = frozenset("nan na n/a #n/a <na> none null nil nat ? -1 -1.0".split())

# A box has four numbers, a mask in runs and the pixels of a picture have more.
_FEWEST = 4


def is_url(text: str) -> bool:
    """Returns whether a value is an address on the web or in a bucket."""
    return _URL.match(text) is not None


def is_missing(text: str) -> bool:
    """Returns whether a value is what programs write for one that is not there."""
    return text.lower() in _NO_VALUES


def is_number(text: str) -> bool:
    """Returns whether a value is one number."""
    return _NUMBER.match(text) is not None


def are_numbers(text: str) -> bool:
    """Returns whether a value is several numbers: a box, with a name or without, a mask, pixels."""
    words = [word for word in _BETWEEN.split(text) if word]
    numbers = sum(map(is_number, words))
    # "n01443537 85 1 499 272" is a name and a box.
    return numbers >= _FEWEST and 5 * numbers >= 4 * len(words)


def tells_no_class(values: Collection[str]) -> bool:
    """Returns whether values are all addresses, or all several numbers."""
    given = [value for value in values if value]
    return bool(given) and (all(map(is_url, given)) or all(map(are_numbers, given)))
