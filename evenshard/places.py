"""Paths of a Python caller: what is one, and where it leads when the working directory changes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from tfrecords import locations
from tfrecords.cli import flags
from tfrecords.errors import UsageError


@dataclass(frozen=True, slots=True)
class Place:
    """A directory as it was given, which stays the same one wherever the program goes.

    Notebooks and scripts change the working directory between two calls.

    Attributes:
      given: path or URL.
      absolute: the same from any directory.
    """

    given: str
    absolute: str

    @classmethod
    def of(cls, name: str, value: Any) -> Place:
        """Returns the place that an argument names now.

        Args:
          name: of the argument.
          value: a path, or a URL.

        Raises:
          UsageError: it is neither.
        """
        given = path_of(name, value)
        return cls(given, given if locations.is_url(given) else os.path.abspath(given))

    @property
    def now(self) -> str:
        """The path as given while that leads there, and else the absolute one."""
        if locations.is_url(self.given):
            return self.given
        return self.given if os.path.abspath(self.given) == self.absolute else self.absolute


def path_of(name: str, value: Any) -> str:
    """Returns a path as text, with `~` replaced.

    Raises:
      UsageError: it is none.
    """
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise UsageError(f"{name}={flags.shown(value)}: a path is expected, as text or a Path")
    return os.path.expanduser(os.fsdecode(value))
