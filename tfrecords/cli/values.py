"""Values of flags that several commands have: sizes, and numbers beside a word.

Each function takes what a command line or a Python caller gives.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any


def image_size(value: Any) -> tuple[int, int] | None:
    """Returns (height, width) of N, "N", "HxW" or a pair; None for None or "".

    Raises:
      ValueError: anything else.
    """
    value = value.tolist() if hasattr(value, "tolist") else value  # Of numpy.
    if value is None or value == "":
        return None
    parts = value.lower().split("x") if isinstance(value, str) else value
    if isinstance(parts, (list, tuple)) and len(parts) in (1, 2):
        height, width = parts[0], parts[-1]
    else:
        height = width = parts
    try:
        size = (whole_number(height), whole_number(width))
    except ValueError:
        size = (0, 0)
    if not all(0 < side < 10**5 for side in size):
        raise ValueError("N or HxW in pixels is expected, such as 128 or 96x128")
    return size


def show_size(size: tuple[int, int] | None) -> str:
    """Returns the text that `image_size` takes."""
    if size is None:
        return ""
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def on_or_off(value: Any) -> Any:
    """Returns "on" for True and "off" for False; anything else as it is."""
    return ("off", "on")[value] if isinstance(value, bool) else value


def whole_number(value: Any) -> int:
    """Returns a whole number, given as one or as text.

    Raises:
      ValueError: anything else.
    """
    try:
        if isinstance(value, bool):
            raise ValueError
        return int(value) if isinstance(value, str) else operator.index(value)
    except (ValueError, TypeError) as error:
        raise ValueError("a whole number is expected") from error


def number_or_word(word: str, minimum: int) -> Callable[[Any], int | str]:
    """Returns a `parse` for whole numbers from `minimum` up, or one word such as "auto"."""

    def convert(value: Any) -> int | str:
        if value == word:
            return word
        try:
            number = whole_number(value)
        except ValueError:
            number = minimum - 1
        if number < minimum:
            raise ValueError(f"{word}, or a whole number from {minimum} up, is expected")
        return number

    return convert
