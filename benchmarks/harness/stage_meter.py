"""Stages of one process: their seconds and their peak memory."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Stage:
    """What a stage took at one size.

    Attributes:
      name: of the stage.
      workers: whether it is done in parts by all workers; else in one place.
      seconds: of CPU.
      bytes: the most that the process held, less what it held before: before the part, or before
        the first stage in that place.
    """

    name: str
    workers: bool
    seconds: float
    bytes: int


@dataclass
class Meter:
    """Measures stages of this process. Linux only: it resets the kernel's high-water mark."""

    stages: dict[str, Stage] = field(default_factory=dict)
    before: int = 0

    def enter(self) -> None:
        """Notes what the process holds before the first stage of a place."""
        self.before = memory("VmRSS")

    def whole(self, name: str, work: Callable[[], Any]) -> Any:
        """Returns what `work` returns, and notes what it took in one place."""
        result, seconds, peak = _measured(work)
        self.stages[name] = Stage(name, False, seconds, max(0, peak - self.before))
        return result

    def part(self, name: str, work: Callable[..., Any], *of: Any) -> Any:
        """Returns `work(*of)`, and adds what it took to a stage of the workers."""
        held = memory("VmRSS")
        result, seconds, peak = _measured(lambda: work(*of))
        earlier = self.stages.get(name, Stage(name, True, 0.0, 0))
        most = max(earlier.bytes, peak - held)
        self.stages[name] = Stage(name, True, earlier.seconds + seconds, most)
        return result

    def scale(self, name: str, factor: float) -> None:
        """Multiplies the seconds of a stage of which only a part was run."""
        stage = self.stages[name]
        self.stages[name] = dataclasses.replace(stage, seconds=factor * stage.seconds)


def _measured(work: Callable[[], Any]) -> tuple[Any, float, int]:
    # Source: proc(5), "5" resets the peak of the resident set.
    Path("/proc/self/clear_refs").write_text("5")
    began = time.process_time()
    result = work()
    return result, time.process_time() - began, memory("VmHWM")


def memory(field_name: str) -> int:
    """Returns a field of this process's memory, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field_name + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"this kernel's /proc/self/status has no {field_name}")
