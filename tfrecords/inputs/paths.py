"""Paths as people and other systems write them."""

from __future__ import annotations

import re

_DRIVE = re.compile(r"[A-Za-z]:(?=/|\Z)")


def safe_path(name: str) -> str:
    """Returns a member's path below the root, with slashes: never above it, and never absolute.

    Backslashes are separators: zips of Windows have them.
    """
    parts: list[str] = []
    for part in _DRIVE.sub("", name.replace("\\", "/")).split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
