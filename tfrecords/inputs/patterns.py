"""What a regular expression that a person gives takes from a path."""

from __future__ import annotations

import re


def span_of(pattern: re.Pattern[str], path: str) -> tuple[int, int] | None:
    """Returns where a path has what a pattern takes from it: its first capture, or all of it."""
    match = pattern.search(path)
    if match is None:
        return None
    return match.span(1) if pattern.groups and match.group(1) else match.span()


def taken(pattern: re.Pattern[str], path: str) -> str | None:
    """Returns what a pattern takes from a path, or None if it does not match."""
    span = span_of(pattern, path)
    return None if span is None else path[slice(*span)]
