"""How much memory the machine has left."""

from __future__ import annotations

from pathlib import Path

from tfrecords import sizes

_MEMINFO = "/proc/meminfo"


def available_bytes(meminfo: str | Path = _MEMINFO) -> int | None:
    """Returns what a process can still take without swapping; None where that is unknown.

    The kernel's own estimate, `MemAvailable`: free memory and the caches it would give back.
    A container's limit may be lower.
    """
    try:
        lines = Path(meminfo).read_text(encoding="ascii").splitlines()
    except OSError:
        return None  # Not Linux.
    for line in lines:
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return None


def cache_cost(kind: str, cost: int, available: int | None) -> str:
    """Returns the line that tells what --cache is going to take, before it takes it.

    Args:
      kind: of the cache, as in --cache.
      cost: bytes.
      available: bytes, None where unknown.
    """
    text = f"--cache={kind} will hold about {sizes.readable(cost)} in memory"
    if available is None:
        return text
    text += f", of {sizes.readable(available)} available"
    if cost > available:
        text += ": more than there is; --cache=none streams from disk"
    return text
