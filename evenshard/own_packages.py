"""Whether `import trainer` finds our package, and not a folder of that name beside a script.

Python looks beside the script (or, with `-m`, in the working directory) before it looks among what
is installed. A `trainer/` with an `__init__.py` there would be run in place of ours, in silence.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tfrecords.errors import EvenshardError

_PACKAGES = ("tfrecords", "beam_pipelines", "trainer")
_ROOT = Path(__file__).resolve().parents[1]


class ForeignPackageError(EvenshardError, ImportError):
    """Another package has the name of one of ours, and comes first; the text says where."""


def check() -> None:
    """Checks that the packages of this distribution are those that an import would find.

    Raises:
      ForeignPackageError: one of them is hidden by another of its name.
    """
    for name in _PACKAGES:
        found = importlib.util.find_spec(name)
        origin = found.origin if found is not None else None
        if origin is not None and Path(origin).resolve().parents[1] != _ROOT:
            raise ForeignPackageError(
                f"`import {name}` finds {Path(origin).parent}, which hides the package {name} of "
                "evenshard: rename that folder, or start from another one (the command `evenshard` "
                "works from anywhere)"
            )
