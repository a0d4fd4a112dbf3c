"""Pictures of a cache that this version would make otherwise, though their files are the same.

Packs that were written by earlier rules for rare kinds of files, `identity.RULES`, are used on,
without the pictures of those kinds, which are decoded again. A pack's name ends with its rules.
"""

from __future__ import annotations

import re

import numpy as np

from beam_pipelines.cache import storage, thumbnails
from beam_pipelines.cache.facts import ImageFacts
from beam_pipelines.cache.layout import FACTS
from beam_pipelines.flag_rules.identity import RULES
from tfrecords.images.canonicalise import DARK
from tfrecords.images.formats.jpeg import MAX_METADATA

_OF_PACK = re.compile(r".*-[0-9a-f]+r(\d+)")

# Formats that have samples of 16 bits.
_DEEP = frozenset(("JPEG2000", "PNG", "PPM", "TIFF"))


def named(pack: str) -> str:
    """Returns the name of a pack that is written by the rules of now."""
    return f"{pack}r{RULES}"


def facts_in_force(directory: str, pack: str) -> dict[str, ImageFacts]:
    """Returns key → facts of the pictures in a finished pack that would be made the same now."""
    path = storage.join(directory, pack)
    rows = list(map(ImageFacts.from_json, storage.read_bytes(path + FACTS).splitlines()))
    match = _OF_PACK.fullmatch(pack)
    if match is None or int(match[1]) < RULES:
        levels = _levels(path) if any(row.format in _DEEP for row in rows) else None
        rows = [row for row in rows if not _is_outdated(row, levels)]
    return {row.key: row for row in rows}


def is_in_force(directory: str, pack: str) -> bool:
    """Returns whether all pictures in a finished pack would be made the same now."""
    lines = storage.read_bytes(storage.join(directory, pack) + FACTS).splitlines()
    return len(facts_in_force(directory, pack)) == len(lines)


def _levels(path: str) -> np.ndarray:
    """Returns uint8[n], the highest level of each picture of a pack when it is made small."""
    found: np.ndarray = thumbnails.read(path).reshape(-1, thumbnails.BYTES).max(axis=1)
    return found


def _is_outdated(row: ImageFacts, levels: np.ndarray | None) -> bool:
    """Returns whether a picture was made before rules 1, and may be of their kinds."""
    if row.format == "TIFF" or (row.format in ("JPEG", "MPO") and row.bytes > MAX_METADATA):
        return True
    if levels is None or row.format not in _DEEP or row.index is None:
        return False
    # Made small, a picture is about as dark as it is.
    return bool(levels[row.index] <= 2 * DARK)
