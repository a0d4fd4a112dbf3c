"""The fields of a JSON document, each checked as it is read."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_MAX_COUNT = 2**63 - 1
_SHOWN = 60  # Characters of a wrong value in a message.


@dataclass(frozen=True, slots=True)
class JsonObject:
    """An object of a JSON document.

    All methods raise a ValueError that names the wrong field by its path in the document, as in
    "splits[0].name is 3, a text expected".

    Attributes:
      fields: name → value.
      path: of the object in the document; empty for the document itself.
    """

    fields: Mapping[str, Any]
    path: str = ""

    @classmethod
    def of(cls, value: object, path: str = "") -> JsonObject:
        """Returns a value that must be an object."""
        if not isinstance(value, dict):
            raise ValueError(f"{path or 'it'} is {shown(value)}, an object expected")
        return cls(value, path)

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def path_of(self, name: str) -> str:
        """Returns the path of a field in the document."""
        return f"{self.path}.{name}" if self.path else name

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Refuses an object that has other fields than the known ones."""
        for name in self.fields:
            if name not in known:
                raise ValueError(f"{self.path or 'it'} has an unknown field {name!r}")

    def value(self, name: str) -> Any:
        """Returns a field that must be there, whatever it holds."""
        if name not in self.fields:
            raise ValueError(f"{self.path or 'it'} has no {name!r}")
        return self.fields[name]

    def text(self, name: str) -> str:
        """Returns a field that must be a text with at least one character."""
        return _text(self.value(name), self.path_of(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Returns a field that must be a list of texts."""
        return tuple(_text(value, path) for path, value in self._items(name))

    def count(self, name: str) -> int:
        """Returns a field that must be a whole number from 0 to 2⁶³ - 1."""
        return _count(self.value(name), self.path_of(name))

    def counts(self, name: str) -> tuple[int, ...]:
        """Returns a field that must be a list of such numbers."""
        return tuple(_count(value, path) for path, value in self._items(name))

    def child(self, name: str) -> JsonObject:
        """Returns a field that must be an object of its own."""
        return JsonObject.of(self.value(name), self.path_of(name))

    def children(self, name: str) -> Iterator[JsonObject]:
        """Yields the objects of a field that must be a list of them."""
        return (JsonObject.of(value, path) for path, value in self._items(name))

    def _items(self, name: str) -> Iterator[tuple[str, object]]:
        """Yields (path, value) of each item of a field that must be a list."""
        values, path = self.value(name), self.path_of(name)
        if not isinstance(values, list):
            raise ValueError(f"{path} is {shown(values)}, a list expected")
        return ((f"{path}[{i}]", value) for i, value in enumerate(values))


def shown(value: object) -> str:
    """Returns a value as JSON, shortened for a message."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{path} is {shown(value)}, a text expected")
    return value


def _count(value: object, path: str) -> int:
    # True and False are numbers to Python, and no counts.
    if type(value) is not int or not 0 <= value <= _MAX_COUNT:
        raise ValueError(f"{path} is {shown(value)}, a number from 0 to {_MAX_COUNT} expected")
    return value
