"""What a listing tells a person while it goes on: what it guessed, and what it noticed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable

# Told one line at a time.
Say = Callable[[str], None]

_IN_GLOBS = re.compile(r"[*?,\[\]]|\A\s|\s\Z")

# Names that a message has before it only counts them.
NAMED = 4


def silent(note: str) -> None:
    """Says nothing."""


def typed(name: str, *values: str) -> str:
    """Returns a flag as it is typed at a shell: --exclude='/my data/masks'.

    Args:
      name: of the flag, without dashes.
      values: with commas between them.
    """
    return f"--{name}={shlex.quote(','.join(values))}"


def typed_globs(name: str, *paths: str) -> str:
    """Returns a flag of globs that match these paths, as it is typed at a shell.

    What has a meaning in globs or stands between them is written as any one character.
    """
    return typed(name, *(_IN_GLOBS.sub("?", path) for path in paths))


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
