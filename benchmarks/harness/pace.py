"""The pace of a stream of batches, as every competitor measures it. Standard library only."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.harness import compare, processes

# The part of the time given that goes by before measuring: buffers fill, threads settle.
_WARM = 0.4


def measure(
    batches: Callable[[], Iterator[Any]], count: Callable[[Any], int], seconds: float
) -> None:
    """Takes batches for some time and reports pictures a second, and CPU ms a picture.

    Args:
      batches: gives the stream; called again when one ends.
      count: batch → its pictures.
      seconds: to measure, in whole batches, after warming up.
    """
    began_process = float(os.environ.get(processes.START, time.time()))
    stream = _endless(batches)
    next(stream)
    first = time.time() - began_process
    end = time.perf_counter() + _WARM * seconds
    while time.perf_counter() < end:
        next(stream)
    cpu, began, pictures = processes.tree_cpu(), time.perf_counter(), 0
    while (wall := time.perf_counter() - began) < seconds or not pictures:
        pictures += count(next(stream))
    compare.report(
        rate=pictures / wall,
        cpu_ms=1e3 * (processes.tree_cpu() - cpu) / pictures,
        first_batch=first,
        pictures=pictures,
    )


def _endless(batches: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    while True:
        yield from batches()
