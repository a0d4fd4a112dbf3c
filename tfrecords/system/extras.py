"""Optional dependencies: whether they are installed, and the pip line that installs them."""

from __future__ import annotations

import importlib.util

from tfrecords.errors import EvenshardError

# What the commands and the Python interface import of each extra.
_MODULES = {
    "beam": ("apache_beam",),
    "torch": ("torch",),
    "trainer": ("tensorflow", "keras", "yaml"),
}


class MissingExtraError(EvenshardError):
    """An optional dependency is not installed; the text says how to install it."""


def require(extra: str, *modules: str) -> None:
    """Checks that optional dependencies are installed, before any work is done.

    Nothing is imported: looking for TensorFlow takes milliseconds, importing it seconds.

    Args:
      extra: of this distribution, which brings the modules: "beam", "trainer", "export", ….
      modules: top-level names, as an import statement has them; by default those that the
        commands of the extra need.

    Raises:
      MissingExtraError: some are not installed.
    """
    missing = [name for name in modules or _MODULES[extra] if not _is_installed(name)]
    if missing:
        raise MissingExtraError(
            f"this needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
            f"installed; run: pip install 'evenshard[{extra}]'"
        )


def is_installed(extra: str) -> bool:
    """Returns whether all that the commands of an extra need is installed."""
    return all(map(_is_installed, _MODULES[extra]))


def _is_installed(name: str) -> bool:
    try:
        found = importlib.util.find_spec(name)
    except ValueError:  # A module without a spec stands in `sys.modules`, or None does.
        return False
    # A folder of that name on the path is a namespace package, which has no origin.
    return found is not None and found.origin is not None
