"""What a command and all its children cost: wall time, CPU seconds, peak memory, milestones.

Memory is PSS, the sum over the tree of each process's share: what the machine would have back
if all of it ended. (RSS counts a page once for each process that maps it.) Linux only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Before a child's last line of output that is a report to us: this word, then JSON.
REPORT = "BENCH "

# Wall clock at which the child was started, for children that report times since then.
START = "EVENSHARD_BENCH_START"

_MILESTONE_SECONDS = 0.01
_LEAST_SAMPLE_SECONDS = 0.1
# Walking the page tables of a GB takes milliseconds: sampling gets 2% of a core at most.
_SAMPLE_SHARE = 0.02
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Milestone:
    """Something on disk that tells how far a command has come.

    Attributes:
      name: as the report calls it.
      folder: to look in.
      pattern: of `Path.glob`.
      lines: that the first match must have; 0: it must have a byte.
    """

    name: str
    folder: Path
    pattern: str
    lines: int = 0

    def reached(self) -> bool:
        """Whether it is there."""
        for path in self.folder.glob(self.pattern):
            try:
                if self.lines:
                    return path.read_bytes().count(b"\n") >= self.lines
                if path.stat().st_size:
                    return True
            except OSError:  # Renamed between the listing and now.
                continue
        return False


@dataclass(frozen=True)
class Usage:
    """What one run of a command cost.

    Attributes:
      wall: seconds, interpreter start included.
      cpu: seconds of user and system time of the whole tree.
      peak_mib: highest sampled sum of PSS over the tree, MiB.
      milestones: name → seconds after the start, of those reached.
      cpu_at: name of a milestone → seconds of CPU time of the whole tree when it was reached.
      report: what the command printed behind `REPORT`.
      failure: why the run is worth nothing; empty if it ended well.
    """

    wall: float
    cpu: float
    peak_mib: float
    milestones: Mapping[str, float] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""
    cpu_at: Mapping[str, float] = field(default_factory=dict)


def run(
    argv: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    milestones: Sequence[Milestone] = (),
    timeout: float = 3600,
) -> Usage:
    """Runs a command to its end, in a session of its own, and returns what it cost.

    Args:
      argv: the command.
      log: takes its output.
      environment: added to ours.
      milestones: to wait for while it runs.
      timeout: seconds after which it is killed and counts as failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        began = time.perf_counter()
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {}), START: repr(time.time())},
            start_new_session=True,
        )
        watcher = _Watcher(child.pid, began, milestones, timeout)
        watcher.start()
        _, status, rusage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        watcher.stop()
    text = log.read_text(errors="replace")
    return Usage(
        wall=wall,
        # Children that were killed and never waited for are in the samples alone.
        cpu=max(rusage.ru_utime + rusage.ru_stime, watcher.cpu),
        peak_mib=watcher.peak / 2**20,
        milestones=watcher.reached,
        report=_report(text),
        failure=_failure(child.returncode, watcher.timed_out, timeout, text, log),
        cpu_at=watcher.cpu_at,
    )


class _Watcher(threading.Thread):
    """Samples a process tree until it is told to stop."""

    def __init__(
        self, pid: int, began: float, milestones: Sequence[Milestone], timeout: float
    ) -> None:
        super().__init__(daemon=True)
        self.peak = 0.0
        self.reached: dict[str, float] = {}
        self.cpu_at: dict[str, float] = {}
        self.timed_out = False
        self._pid = pid
        self._began = began
        self._waiting = list(milestones)
        self._timeout = timeout
        self._ended = threading.Event()
        self._known = {pid}
        self._ticks: dict[int, int] = {}

    @property
    def cpu(self) -> float:
        """Seconds of CPU time of all processes seen."""
        return sum(self._ticks.values()) / _TICK

    def run(self) -> None:
        next_sample = self._began
        while not self._ended.wait(
            _MILESTONE_SECONDS if self._waiting else self._rest(next_sample)
        ):
            self._look()
            now = time.perf_counter()
            if now >= next_sample:
                self._sample()
                took = time.perf_counter() - now
                next_sample = now + max(_LEAST_SAMPLE_SECONDS, took / _SAMPLE_SHARE)
            if now - self._began > self._timeout and not self.timed_out:
                self.timed_out = True
                os.killpg(self._pid, signal.SIGKILL)

    def stop(self) -> None:
        """Ends the thread; looks a last time for milestones."""
        self._ended.set()
        self.join()
        self._look()

    def _rest(self, next_sample: float) -> float:
        return max(_MILESTONE_SECONDS, next_sample - time.perf_counter())

    def _look(self) -> None:
        for milestone in [one for one in self._waiting if one.reached()]:
            self.reached[milestone.name] = time.perf_counter() - self._began
            self._tree()  # Reads the processes' times.
            self.cpu_at[milestone.name] = self.cpu
            self._waiting.remove(milestone)

    def _sample(self) -> None:
        total = 0
        for pid in self._tree():
            total += _pss(pid)
        self.peak = max(self.peak, total)

    def _tree(self) -> Iterable[int]:
        """Yields the tree's processes; one that changed its parent stays known."""
        found = dict(_processes())
        self._known &= found.keys()
        grown = True
        while grown:
            more = {
                pid
                for pid, (parent, session, _) in found.items()
                if pid not in self._known and (parent in self._known or session == self._pid)
            }
            self._known |= more
            grown = bool(more)
        for pid in self._known:
            self._ticks[pid] = found[pid][2]
        return tuple(self._known)


def tree_cpu() -> float:
    """Returns the CPU seconds so far of this process and its living children, to 10 ms."""
    found = dict(_processes())
    tree, grown = {os.getpid()}, True
    while grown:
        more = {pid for pid, (parent, _, _) in found.items() if parent in tree} - tree
        tree |= more
        grown = bool(more)
    return sum(found[pid][2] for pid in tree if pid in found) / _TICK


def _processes() -> Iterable[tuple[int, tuple[int, int, int]]]:
    """Yields pid → (parent, session, CPU ticks) of every process."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                # The name in parentheses may hold anything, spaces and parentheses too.
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        yield int(name), (int(fields[1]), int(fields[3]), int(fields[11]) + int(fields[12]))


def _pss(pid: int) -> int:
    """Returns the proportional set size in bytes; 0 of a process that has ended."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _report(text: str) -> dict[str, Any]:
    for line in reversed(text.splitlines()):
        if line.startswith(REPORT):
            return dict(json.loads(line[len(REPORT) :]))
    return {}


def _failure(code: int, timed_out: bool, timeout: float, text: str, log: Path) -> str:
    if timed_out:
        return f"killed after {timeout:.0f} s, see {log}"
    if code:
        lines = text.strip().splitlines() or ["no output"]
        return f"exit code {code}: {lines[-1][:200]}, see {log}"
    return ""
