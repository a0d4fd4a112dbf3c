"""The machine a number was measured on. Standard library only."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.harness.paths import ROOT

# Installed versions that decide speed; peers in environments of their own report theirs.
PACKAGES = (
    "apache-beam", "array_record", "keras", "numpy", "pillow", "protobuf", "pyarrow",
    "tensorflow", "tensorflow-datasets",
)  # fmt: skip


def describe_machine(packages: Sequence[str] = PACKAGES) -> dict[str, object]:
    """Returns what a reader needs to judge the numbers, ready for JSON.

    Args:
      packages: distributions whose installed versions matter.
    """
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "commit": _commit(),
        "load": os.getloadavg()[0],
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"
