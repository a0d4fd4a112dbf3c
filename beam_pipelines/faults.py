"""What went wrong in a bake, in one line, whichever engine ran it."""

from __future__ import annotations

from tfrecords.errors import BakeError
from tfrecords.system import disk


def bake_error(error: BaseException) -> BakeError | None:
    """Returns the line for a person that is behind what was raised, or None.

    Every runner of Beam wraps what a worker raised in errors of its own.
    """
    found = BakeError.find(error)
    if found is not None:
        return found
    fault = disk.find(error)
    return BakeError(f"{fault.line()}; the same command carries on") if fault else None
