"""What the plan of millions takes: seconds and bytes a fact of each stage, on synthetic facts.

    python -m benchmarks.scale [--sizes=250000,500000,1000000] [--memory_gb=8]

Facts are made up (`benchmarks.synthetic_facts`): no picture is read. Each size runs in a process
of its own, which calls what the pipeline calls, one stage after the other, on one core. "bytes a
fact" is the most that the process holds during a stage, what earlier stages left included, less
what it held before the first. Sizes beyond --memory_gb are not run; 1, 10, 50 and 100 million
are extrapolated from the slope between the smallest and the largest size that ran.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import harness, processes
from benchmarks.machine import describe_machine

if TYPE_CHECKING:
    from beam_pipelines.plan import Plan

# Sizes that the table speaks of, measured or not.
ASKED = (1_000_000, 10_000_000, 50_000_000, 100_000_000)

_LENGTH_BYTES = 8


@dataclass(frozen=True)
class Stage:
    """What a stage took at one size.

    Attributes:
      name: of the stage.
      seconds: of CPU.
      bytes: the most that the process held, less what it held before the first stage.
    """

    name: str
    seconds: float
    bytes: int


@dataclass
class Meter:
    """Measures stages of this process. Linux only: it resets the kernel's high-water mark."""

    stages: list[Stage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._before = memory("VmRSS")

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        """Returns what `work` returns, and notes what it took."""
        # Source: proc(5), "5" resets the peak of the resident set.
        Path("/proc/self/clear_refs").write_text("5")
        began = time.process_time()
        result = work()
        seconds = time.process_time() - began
        self.stages.append(Stage(name, seconds, max(0, memory("VmHWM") - self._before)))
        return result


def memory(field_name: str) -> int:
    """Returns a field of this process's memory, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field_name + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"this kernel's /proc/self/status has no {field_name}")


def measure(pictures: int) -> list[Stage]:
    """Plans `pictures` made-up pictures in this process."""
    from beam_pipelines.memory import release_early

    release_early()
    from beam_pipelines import tables, tasks
    from beam_pipelines.config import PrepareConfig
    from beam_pipelines.plan import make_plan
    from benchmarks import synthetic_facts

    config = PrepareConfig("in", "out", min_per_class=400, max_per_class=400)
    shape = synthetic_facts.Shape(pictures)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "blocks"
        _write(path, synthetic_facts.blocks(shape))
        layout = dataclasses.replace(tasks.Layout.of(config), output_dir=folder)
        meter = Meter()
        facts = meter.run("gather", lambda: tables.facts_table(_read(path)))
        plan = meter.run("plan", lambda: make_plan(facts, config))
        meter.run("ledger", lambda: _write_ledger(Path(folder) / "ledger", plan))
        meter.run("digest", plan.sources_digest)
        order = meter.run("copy order", lambda: tasks.CopyOrder.of(plan, shape.bundles))
        packs = meter.run(
            "copies", lambda: [task.pack for task in tasks.copy_tasks(plan, order, layout)]
        )
        meter.run("shards", lambda: _count(tasks.shard_tasks(plan, order, packs, layout)))
    return meter.stages


def _write(path: Path, blocks: Iterator[bytes]) -> None:
    """Blocks wait on disk, as in an engine's shuffle, so that only what a stage holds counts."""
    with path.open("wb") as file:
        for block in blocks:
            file.write(len(block).to_bytes(_LENGTH_BYTES, "little") + block)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while length := file.read(_LENGTH_BYTES):
            yield file.read(int.from_bytes(length, "little"))


def _write_ledger(path: Path, plan: Plan) -> None:
    from beam_pipelines import tables

    with path.open("wb") as file:
        tables.write_ledger(file, plan.ledger(tables.LEDGER_ROWS))


def _count(tasks: Iterator[Any]) -> int:
    """Returns how many there are; each is gone before the next is made."""
    return sum(1 for _ in tasks)


@dataclass(frozen=True)
class Line:
    """A stage over sizes: cost = fixed + slope × facts, through the smallest and largest size.

    Attributes:
      name: of the stage.
      sizes: facts.
      seconds, bytes: at each size.
    """

    name: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    bytes: tuple[int, ...]

    def microseconds(self) -> float:
        """CPU a further fact."""
        return 1e6 * _slope(self.sizes, self.seconds)

    def bytes_a_fact(self) -> float:
        """Peak bytes a further fact."""
        return _slope(self.sizes, self.bytes)

    def at(self, facts: int) -> tuple[float, float]:
        """Returns seconds and bytes at a number of facts."""
        if facts in self.sizes:
            place = self.sizes.index(facts)
            return self.seconds[place], self.bytes[place]
        more = facts - self.sizes[-1]
        return (
            max(0.0, self.seconds[-1] + more * self.microseconds() / 1e6),
            max(0.0, self.bytes[-1] + more * self.bytes_a_fact()),
        )


def _slope(sizes: tuple[int, ...], costs: tuple[float, ...]) -> float:
    if len(sizes) == 1:
        return costs[0] / sizes[0]
    return (costs[-1] - costs[0]) / (sizes[-1] - sizes[0])


def lines(runs: dict[int, list[Stage]]) -> list[Line]:
    """Returns each stage over the sizes that ran, ascending."""
    sizes = tuple(sorted(runs))
    by_stage = zip(*(runs[size] for size in sizes), strict=True)
    return [
        Line(
            stages[0].name,
            sizes,
            tuple(stage.seconds for stage in stages),
            tuple(stage.bytes for stage in stages),
        )
        for stages in by_stage
    ]


def show(found: list[Line]) -> Iterator[str]:
    """Yields the lines of the tables."""
    sizes = found[0].sizes
    yield "measured" + " " * 6 + "".join(f"{size:>26,}" for size in sizes) + f"{'slope':>24}"
    yield f"{'stage':<14}" + "     CPU s  µs/fact  B/fact" * len(sizes) + "      µs/fact  B/fact"
    for line in found:
        cells = "".join(
            f"{seconds:10.1f} {1e6 * seconds / size:8.2f} {held / size:7.0f}"
            for size, seconds, held in zip(sizes, line.seconds, line.bytes, strict=True)
        )
        yield f"{line.name:<14}{cells} {line.microseconds():12.2f} {line.bytes_a_fact():7.0f}"
    yield ""
    yield f"{'facts':>12}  {'CPU s':>9}  {'peak GB':>8}"
    for size in ASKED:
        seconds = sum(line.at(size)[0] for line in found)
        held = max(line.at(size)[1] for line in found)
        mark = "" if size in sizes else "  extrapolated"
        yield f"{size:>12,}  {seconds:9,.0f}  {held / 1e9:8.2f}{mark}"


def run(sizes: list[int], memory_gb: float) -> dict[int, list[Stage]]:
    """Measures each size that fits, ascending, in processes of their own."""
    runs: dict[int, list[Stage]] = {}
    for size in sorted(sizes):
        if runs:
            expected = max(line.at(size)[1] for line in lines(runs)) / 1e9
            if expected > memory_gb:
                print(f"{size:,} facts would take {expected:.1f} GB: not run", file=sys.stderr)
                continue
        print(f"{size:,} facts", file=sys.stderr, flush=True)
        runs[size] = _child(size)
    return runs


def _child(size: int) -> list[Stage]:
    done = subprocess.run(
        harness.python("benchmarks.scale", f"--measure={size}"),
        cwd=harness.ROOT,
        env={**os.environ, "PYTHONPATH": str(harness.ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    reports = [line for line in done.stdout.splitlines() if line.startswith(processes.REPORT)]
    if done.returncode or not reports:
        raise SystemExit(f"planning {size:,} facts failed with exit code {done.returncode}")
    stages = json.loads(reports[-1].removeprefix(processes.REPORT))["stages"]
    return [Stage(**stage) for stage in stages]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--sizes", type=_sizes, default=[250_000, 500_000, 1_000_000])
    parser.add_argument("--memory_gb", type=float, default=8, help="that a size may take")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.measure:
        harness.report(stages=[dataclasses.asdict(stage) for stage in measure(flags.measure)])
        return
    harness.warn_if_busy()
    runs = run(flags.sizes, flags.memory_gb)
    print(json.dumps(describe_machine()))
    print("\n".join(show(lines(runs))))


def _sizes(text: str) -> list[int]:
    sizes = [int(part.replace("_", "")) for part in text.split(",")]
    if min(sizes) < 1_000:
        raise argparse.ArgumentTypeError("at least 1,000 facts: fewer say nothing about more")
    return sizes


if __name__ == "__main__":
    main()
