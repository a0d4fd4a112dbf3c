"""How many cores there are to use."""

from __future__ import annotations

import os
from pathlib import Path


def usable(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Returns the cores this process may use: those it is bound to, or its container's quota."""
    bound = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        allowed, period = quota.read_text(encoding="ascii").split()
        return max(1, min(bound, int(allowed) // int(period)))
    except (OSError, ValueError):  # No such file, or "max".
        return bound
