"""Which line of a person's own code an exception comes from.

Keras and TensorFlow wrap what fails inside a compiled function in texts of many lines, and hide
the line that a person can change among theirs.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

_LIBRARIES = ("keras", "tensorflow", "numpy", "trainer", "tfrecords", "evenshard")

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_WRAPPED = re.compile(
    r"Exception encountered when calling .*?\n\n(?P<reason>.*?)(?:\n\nArguments received|\Z)", re.S
)
# What Keras puts before an error: of a layer that it calls with no pictures, in order to learn the
# shape of what it gives, and of a file that it reads.
_INTRODUCTIONS = ("method. Error encountered:", "Exception encountered: ")
_IN_TEXT = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')


def told(error: BaseException, module: str) -> str | None:
    """Returns "FILE, line N: Kind: reason" of an exception in a person's code.

    Args:
      error: as it was caught.
      module: name of the person's; its import may have failed.

    Returns:
      None if the exception did not pass through the person's code.
    """
    root = _root(module)
    places = [place for place in _places(error) if _is_theirs(place[0], root)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno or 0))
    if not places:
        return None
    file, line = places[-1]
    return f"{file}, line {line}: {type(error).__name__}: {reason(error)}"


def reason(error: BaseException) -> str:
    """Returns what an exception says, on one line, without what Keras and AutoGraph add."""
    metadata = getattr(error, "ag_error_metadata", None)
    text = str(getattr(metadata, "cause_message", "") or error)
    text = _COLOUR.sub("", text)
    if found := _WRAPPED.search(text):
        text = found["reason"]
    for introduction in _INTRODUCTIONS:
        text = text.rpartition(introduction)[2]
    text = text.partition(" Full object config:")[0]
    if text.startswith("Graph execution error"):
        lines = [line for line in text.splitlines()[1:] if line and not line.startswith(" ")]
        text = next((line for line in reversed(lines) if "[[{{node" not in line), text)
    if isinstance(error, SyntaxError):
        text = error.msg
    return " ".join(text.split()) or type(error).__name__


def _places(error: BaseException) -> Iterator[tuple[str, int]]:
    """Yields the file and line of each frame that an exception passed, outermost first."""
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield frame.f_code.co_filename, line
    # Where AutoGraph has translated a function, the frames are of a file that it generated.
    metadata = getattr(error, "ag_error_metadata", None)
    for translated in getattr(metadata, "translated_stack", ()):
        yield translated.filename, translated.lineno
    for found in _IN_TEXT.finditer(str(error)):
        yield found["file"], int(found["line"])


def _root(module: str) -> Path | None:
    """Returns the folder of the package around a module, or else of the module itself."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except ValueError:
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve()
    return Path(spec.origin).resolve().parent if spec.origin else None


def _is_theirs(file: str, root: Path | None) -> bool:
    """Returns whether a file lies in the folder of the person's code."""
    path = Path(file)
    if root is None or not path.is_file() or _of_a_library(path):
        return False
    path = path.resolve()
    return root in path.parents and "site-packages" not in path.relative_to(root).parts


def _of_a_library(path: Path) -> bool:
    for name in _LIBRARIES:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and Path(file).parent in path.parents:
            return True
    return False
