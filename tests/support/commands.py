"""Running the commands as their user does."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path


def run(module: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m module flags` to its end, whatever its exit code."""
    return subprocess.run(
        [sys.executable, "-m", module, *flags], capture_output=True, text=True, timeout=600
    )


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
