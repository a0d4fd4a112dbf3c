"""The errors of all packages: one tree, each with a readable line and an exit code.

Errors that belong to one format (a damaged record, a manifest of another schema) are defined
beside that format and derive from `EvenshardError` too, so that one `except` covers all.
"""

from __future__ import annotations

import re
from typing import ClassVar


class EvenshardError(Exception):
    """What was asked for cannot be done.

    The text is one line: what was expected, what came, and what to do.

    Attributes:
      exit_code: of a command that ends with this error.
    """

    exit_code: ClassVar[int] = 1


class UsageError(EvenshardError, ValueError):
    """A flag or an argument is wrong, or contradicts another; the text names it."""

    exit_code: ClassVar[int] = 2


class TrainerError(EvenshardError):
    """A training, evaluation, prediction or export cannot go on."""


class EvenshardWarning(UserWarning):
    """Something is not as expected, and the command goes on; commands show it as one line."""


class UnknownPicturesWarning(EvenshardWarning):
    """Nothing says which pictures a run is trained on, so that evaluations cannot tell leaks."""


class SurroundingsWarning(EvenshardWarning):
    """A run is resumed with other versions or environment variables than it began with."""


class OtherPixelsWarning(EvenshardWarning):
    """A run was trained on pictures made by other rules than those that are applied now."""


class MendedRunWarning(EvenshardWarning):
    """A file of a run was damaged, and is written again from the rest."""


class MissingBestWarning(EvenshardWarning):
    """The checkpoint of the best epoch is gone; the last one is used."""


class DamagedCheckpointWarning(EvenshardWarning):
    """A checkpoint cannot be used; an earlier one is."""


class OutOfMemoryError(TrainerError):
    """The device does not have the memory for a step."""


class BakeError(EvenshardError):
    """Something outside the pictures is wrong, and the bake cannot go on.

    A runner hands an exception of a worker over as the text of its traceback, so `find`
    gets the line back out of whatever the runner raised.
    """

    @classmethod
    def find(cls, error: BaseException) -> BakeError | None:
        """Returns the error of this tree that is behind what a runner raised, or None."""
        seen: BaseException | None = error
        while seen is not None:
            if isinstance(seen, EvenshardError):
                return cls(_without_step(str(seen)))
            seen = seen.__cause__ or seen.__context__
        names = "|".join(sorted(_names(EvenshardError)))
        lines = re.findall(rf"\b(?:{names}): (.+)", str(error))
        return cls(_without_step(lines[-1])) if lines else None


def _names(error: type[EvenshardError]) -> set[str]:
    """Returns the names of an error and of all that derive from it."""
    return {error.__name__}.union(*map(_names, error.__subclasses__()))


def _without_step(text: str) -> str:
    """Drops the "[while running …]" that Beam appends."""
    return re.sub(r"\s*\[while running '.*", "", text, flags=re.DOTALL)
