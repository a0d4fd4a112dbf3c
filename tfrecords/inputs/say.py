"""What a listing tells a person while it goes on: what it guessed, and what it noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

# Told one line at a time.
Say = Callable[[str], None]

# Names that a message has before it only counts them.
NAMED = 4


def silent(note: str) -> None:
    """Says nothing."""


def counted(count: int, noun: str) -> str:
    """Returns "1 file" or "2 files"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def some(names: Iterable[str], most: int = NAMED) -> str:
    """Returns the first names, at most `most`, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def many(names: Iterable[str]) -> str:
    """Returns more of the names than `some`, for a message that is about them."""
    return some(names, 2 * NAMED)
