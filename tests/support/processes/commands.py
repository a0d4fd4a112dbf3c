"""Running the commands as their user does, and more cheaply within this process."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import subprocess
import sys
from pathlib import Path


def run(module: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m module flags` to its end, whatever its exit code."""
    return subprocess.run(
        [sys.executable, "-m", module, *flags], capture_output=True, text=True, timeout=600
    )


def call(module: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Does what `run` does, in this process: for what does not depend on having one of its own.

    A start costs 2 seconds of a core for a bake and 6 where TensorFlow is imported, most of
    which is imports; each command is still started by one test at least.
    """
    found = importlib.import_module(module)
    if hasattr(found, "__path__"):  # Of a package it is this module that `python -m` runs.
        found = importlib.import_module(f"{module}.__main__")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = found.COMMAND.run(flags)
    return subprocess.CompletedProcess([module, *flags], code, out.getvalue(), err.getvalue())


def start(module: str, *flags: str) -> subprocess.Popen[bytes]:
    """Starts `python -m module flags` and leaves it to its caller."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def digests(data_dir: Path) -> dict[str, str]:
    """Returns file name → sha256 of all that a bake publishes, its report apart."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(data_dir.iterdir())
        if path.is_file()
    }
