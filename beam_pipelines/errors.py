"""The error a person reads when a bake cannot go on."""

from __future__ import annotations

import re

from tfrecords.cli import CommandError


class BakeError(CommandError):
    """Something outside the pictures is wrong: one line with what to do about it.

    A runner hands an exception of a worker over as the text of its traceback, so `find`
    gets the line back out of whatever the runner raised.
    """

    @classmethod
    def find(cls, error: BaseException) -> BakeError | None:
        """Returns the BakeError behind what a runner raised, or None."""
        seen: BaseException | None = error
        while seen is not None:
            if isinstance(seen, cls):
                return cls(_without_step(str(seen)))
            seen = seen.__cause__ or seen.__context__
        lines = re.findall(rf"\b{cls.__name__}: (.+)", str(error))
        return cls(_without_step(lines[-1])) if lines else None


def _without_step(text: str) -> str:
    """Drops the "[while running …]" that Beam appends."""
    return re.sub(r"\s*\[while running '.*", "", text, flags=re.DOTALL)
