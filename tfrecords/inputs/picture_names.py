"""Which names are those of pictures. What a file is, only its bytes say: this is for guesses."""

from __future__ import annotations

# Of formats that are decoded, and of some that are not but are pictures to their owners.
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp",
    ".avif", ".heic", ".heif", ".jxl", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico",
)  # fmt: skip


def is_picture_name(name: str) -> bool:
    """Returns whether a name ends as pictures' names do."""
    return name.lower().endswith(SUFFIXES)


def without_suffix(name: str) -> str:
    """Returns a name without the suffix of a picture; other names as they are."""
    lower = name.lower()
    return next((name[: -len(s)] for s in SUFFIXES if lower.endswith(s) and lower != s), name)
