"""Commands read and write UTF-8, whatever the locale that they are started under.

File names are bytes. Python takes them as text in the encoding of the locale, and cannot change
that while it runs. Under a locale that is not UTF-8 the folder `Möwe` would be a class of another
name, or of none; so a command then starts itself again in Python's UTF-8 mode (PEP 540).
"""

from __future__ import annotations

import os
import sys
import warnings

from tfrecords.errors import EvenshardWarning

_MODE = "PYTHONUTF8"


def is_needed() -> bool:
    """Returns whether this process takes file names in another encoding than UTF-8."""
    return sys.getfilesystemencoding().lower().replace("-", "") != "utf8"


def restart_if_needed() -> None:
    """Replaces this process by the same command in UTF-8 mode, if it is in another encoding.

    Its children inherit the mode. Does not return where it restarts.
    """
    if not is_needed() or sys.flags.utf8_mode or not sys.executable or len(sys.orig_argv) < 2:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    environment = {**os.environ, _MODE: "1"}
    os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)


def warn_if_needed() -> None:
    """Warns a program, which cannot be started again, that names of files may come out wrong."""
    if is_needed():
        warnings.warn(
            f"Python takes names of files as {sys.getfilesystemencoding()} here: other names than "
            "ASCII come out wrong. Start it with PYTHONUTF8=1, or under a locale such as C.UTF-8",
            EvenshardWarning,
            stacklevel=3,
        )


def print_anything() -> None:
    r"""Makes standard output take every text: what its encoding lacks is shown as \xf6.

    Without this, a class name that the terminal cannot show would end the command.
    """
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
