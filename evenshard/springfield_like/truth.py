"""truth.json: what every file of a town is, for tests of whoever reads the pictures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evenshard.springfield_like.files import Kind, PlannedFile


def entry(file: PlannedFile) -> dict[str, Any]:
    """Returns the facts of one file.

    `width` and `height` are as stored, before EXIF orientation. Files without a header have
    null for all that a header tells.
    """
    headless = file.kind in (Kind.EMPTY, Kind.NOT_AN_IMAGE)
    recipe = file.recipe
    width, height = recipe.stored_size
    return {
        "kind": file.kind.value,
        "class": file.citizen.name,
        "of": file.of,
        "format": None if headless else recipe.format,
        "mode": None if headless else recipe.mode,
        "width": None if headless else width,
        "height": None if headless else height,
        "orientation": None if headless else recipe.orientation,
    }


def counts(files: Iterable[PlannedFile]) -> dict[str, int]:
    """Returns how many files are of each kind; kinds without files have 0."""
    found = Counter(file.kind for file in files)
    return {kind.value: found[kind] for kind in Kind}


def as_json(
    config: Mapping[str, Any], files: Sequence[PlannedFile], unlabelled: Sequence[PlannedFile]
) -> str:
    """Returns the text of truth.json, one line a file.

    Top-level keys: `config`, `classes` (name → files, sound or not), `counts` (kind →
    files), `files` (key → `entry`) and `unlabelled` (file name → class).
    """
    head = {
        "config": dict(config),
        "classes": dict(Counter(file.citizen.name for file in files)),
        "counts": counts(files),
        "unlabelled": {file.key: file.citizen.name for file in unlabelled},
    }
    lines = ",\n".join(
        f"{json.dumps(file.key, ensure_ascii=False)}: {json.dumps(entry(file))}" for file in files
    )
    opening = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
    return f'{opening},\n "files": {{\n{lines}\n }}\n}}\n'
