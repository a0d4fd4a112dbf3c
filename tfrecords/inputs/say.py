"""What a listing tells a person while it goes on: what it guessed, and what it noticed."""

from __future__ import annotations

from collections.abc import Callable

# Told one line at a time.
Say = Callable[[str], None]


def silent(note: str) -> None:
    """Says nothing."""


def counted(count: int, noun: str) -> str:
    """Returns "1 file" or "2 files"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
