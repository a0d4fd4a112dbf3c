"""model.keras of a run directory: whether it is data, or names code that reading it would run."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Of a .keras archive: the layers and their settings, as JSON.
_CONFIG_MEMBER = "config.json"


def code_in(path: str | Path) -> tuple[str, ...]:
    """Returns what a .keras file holds besides Keras' own layers, in its order: names of code.

    These are Lambda layers, whose bytecode is in the file, and layers and functions of other
    modules, which reading the file would look up.

    Raises:
      OSError, ValueError: it is not a .keras file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            document = json.loads(archive.read(_CONFIG_MEMBER))
    except (zipfile.BadZipFile, KeyError, RecursionError) as error:
        raise ValueError(f"it is not a .keras file: {error}") from error
    return tuple(dict.fromkeys(_code(document)))


def _code(part: Any) -> Iterator[str]:
    """Yields the names of the objects in a part of the document that are code."""
    if isinstance(part, dict):
        if name := _name_of_code(part):
            yield name
        for value in part.values():
            yield from _code(value)
    elif isinstance(part, list):
        for value in part:
            yield from _code(value)


def _name_of_code(part: dict[str, Any]) -> str:
    """Returns the name of an object that is code; "" for data, and for Keras' own classes."""
    name = part.get("class_name")
    if not isinstance(name, str):
        return ""
    if name in ("Lambda", "__lambda__"):
        return "a Lambda layer"
    module = str(part.get("module") or "")
    if module != "builtins" and module.partition(".")[0] not in ("keras", ""):
        return f"{module}.{_of_function(part) or name}"
    registered = part.get("registered_name")
    return "" if registered in (None, name) else str(registered)


def _of_function(part: dict[str, Any]) -> str:
    """Returns the name of a function, whose entry has it as its settings."""
    config = part.get("config")
    return config if part.get("class_name") == "function" and isinstance(config, str) else ""
