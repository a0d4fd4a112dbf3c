"""Records of JSON: objects as the rows of a table, their keys as its columns."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

# Made once: json.dumps makes an encoder for every call that gives ensure_ascii.
_to_json = json.JSONEncoder(ensure_ascii=False).encode

_LINE_BREAKS = re.compile(r"\s*[\r\n]+\s*")


@dataclass(frozen=True, slots=True)
class Records:
    """The content of a table.

    Attributes:
      header: names of the columns.
      rows: for each record, a field for each column.
      notes: what was understood and not told, for people.
    """

    header: tuple[str, ...]
    rows: Iterable[Sequence[str]]
    notes: tuple[str, ...] = ()


def load(text: str) -> object:
    """Returns what a JSON text says.

    Raises:
      ValueError: it is no JSON, is nested too deeply, or an object has a key twice, of which
        Python's reader would keep the last in silence.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"an object has the key {twice!r} twice")
    return found


def field(value: object) -> str:
    """Returns a value as a field of one line, without spaces around it."""
    if isinstance(value, str):
        return (_LINE_BREAKS.sub(" ", value) if "\n" in value or "\r" in value else value).strip()
    if type(value) is int:  # As most are; True is none.
        return str(value)
    return "" if value is None else _to_json(value)


def of_objects(objects: Sequence[Mapping[str, object] | None]) -> Records:
    """Returns the records of objects; those of None, for a blank line, are blank."""
    keys = tuple(dict.fromkeys(key for found in objects if found for key in found))
    return Records(tuple(map(field, keys)), _rows(objects, keys))


def _rows(
    objects: Iterable[Mapping[str, object] | None], keys: Sequence[str]
) -> Iterator[list[str]]:
    for found in objects:
        yield [field(found.get(key)) for key in keys] if found else []
