"""What the plan of millions takes: seconds and bytes of each stage, on synthetic facts.

    python -m benchmarks.bake.planning [--sizes=1000000,2000000,4000000] [--memory_gb=8]

Facts are made up (`benchmarks.bake.synthetic_facts`): no picture is read. Each size runs in a
process of its own, which calls what the pipeline calls, one stage after the other, on one core.
Stages of the *workers* go part by part, through files in place of a shuffle: their seconds are
those of all parts, their memory is the most that one part takes. Stages in *one place* hold all
facts: their memory is all that the process holds, earlier results included. Near duplicates are
looked for under some of the masks (--masks), and the seconds are scaled to all; 0 looks under all.

Sizes that would take more than --memory_gb are not run. 1, 10, 50 and 100 million are
extrapolated from the slope between the smallest and the largest size that ran.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.harness import compare, processes
from benchmarks.harness.machine import describe_machine
from benchmarks.harness.paths import ROOT
from benchmarks.harness.stage_meter import Stage

# Sizes that the table speaks of, measured or not.
ASKED = (1_000_000, 10_000_000, 50_000_000, 100_000_000)


@dataclass(frozen=True)
class Line:
    """A stage over sizes: cost = fixed + slope × facts, through the smallest and largest size.

    Attributes:
      name: of the stage.
      workers: whether it is done in parts by all workers.
      sizes: facts.
      seconds, bytes: at each size.
    """

    name: str
    workers: bool
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
            stages[0].workers,
            sizes,
            tuple(stage.seconds for stage in stages),
            tuple(stage.bytes for stage in stages),
        )
        for stages in by_stage
    ]


def show(found: list[Line]) -> Iterator[str]:
    """Yields the lines of the tables."""
    sizes = found[0].sizes
    yield f"{'':<22}" + "".join(f"{size:>18,} facts" for size in sizes) + f"{'a further fact':>24}"
    for workers, title, held in (
        (True, "by workers", "MB of a part"),
        (False, "in one place", "MB"),
    ):
        yield f"{title:<22}" + f"{'µs/fact':>9} {held:>14}" * len(sizes) + f"{'µs':>14}{'B':>10}"
        for line in found:
            if line.workers == workers:
                yield _row(line)
    yield ""
    yield from _outlook(found)


def _row(line: Line) -> str:
    cells = "".join(
        f"{1e6 * seconds / size:9.2f} {held / 1e6:14,.0f}"
        for size, seconds, held in zip(line.sizes, line.seconds, line.bytes, strict=True)
    )
    grown = "" if line.workers else f"{line.bytes_a_fact():10.0f}"
    return f"  {line.name:<20}{cells}{line.microseconds():14.2f}{grown}"


def _outlook(found: list[Line]) -> Iterator[str]:
    """Yields what the sizes that were asked for take."""
    yield f"{'':>12}  {'by workers':>24}  {'in the command':>20}  {'by the planner':>20}"
    yield f"{'facts':>12}  {'CPU s':>9} {'GB of a part':>14}" + f"  {'CPU s':>9} {'GB':>10}" * 2
    for size in ASKED:
        by_workers = [line.at(size) for line in found if line.workers]
        command, planner = (
            [line.at(size) for line in found if not line.workers and _is_command(line) == wanted]
            for wanted in (True, False)
        )
        cells = "".join(
            f"  {sum(seconds for seconds, _ in of):9,.0f}"
            f" {max((held for _, held in of), default=0) / 1e9:{width}.2f}"
            for of, width in ((by_workers, 14), (command, 10), (planner, 10))
        )
        yield f"{size:>12,}{cells}" + ("" if size in found[0].sizes else "  extrapolated")


def _is_command(line: Line) -> bool:
    return line.name.startswith("list")


def run(sizes: list[int], memory_gb: float, masks: int) -> dict[int, list[Stage]]:
    """Measures each size that fits, ascending, in processes of their own."""
    runs: dict[int, list[Stage]] = {}
    for size in sorted(sizes):
        if runs:
            expected = max(line.at(size)[1] for line in lines(runs)) / 1e9
            if expected > memory_gb:
                print(f"{size:,} facts would take {expected:.1f} GB: not run", file=sys.stderr)
                continue
        print(f"{size:,} facts", file=sys.stderr, flush=True)
        runs[size] = _child(size, masks)
    return runs


def _child(size: int, masks: int) -> list[Stage]:
    done = subprocess.run(
        compare.python("benchmarks.bake.planning", f"--measure={size}", f"--masks={masks}"),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    reports = [line for line in done.stdout.splitlines() if line.startswith(processes.REPORT)]
    if done.returncode or not reports:
        raise SystemExit(f"planning {size:,} facts failed with exit code {done.returncode}")
    stages = json.loads(reports[-1].removeprefix(processes.REPORT))["stages"]
    return [Stage(**stage) for stage in stages]


def _report(size: int, masks: int) -> None:
    from tfrecords.system.allocator import release_early

    # As in a bake: before anything imports Arrow.
    release_early()
    from benchmarks.bake import planning_stages

    stages = planning_stages.measure(size, masks)
    compare.report(stages=[dataclasses.asdict(stage) for stage in stages])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--sizes", type=_sizes, default=[1_000_000, 2_000_000, 4_000_000])
    parser.add_argument("--memory_gb", type=float, default=8, help="that a size may take")
    parser.add_argument("--masks", type=int, default=6, help="to look under; 0 for all")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.measure:
        _report(flags.measure, flags.masks)
        return
    compare.warn_if_busy()
    runs = run(flags.sizes, flags.memory_gb, flags.masks)
    print(json.dumps(describe_machine()))
    print("\n".join(show(lines(runs))))


def _sizes(text: str) -> list[int]:
    sizes = [int(part.replace("_", "")) for part in text.split(",")]
    if min(sizes) < 1_000:
        raise argparse.ArgumentTypeError("at least 1,000 facts: fewer say nothing about more")
    return sizes


if __name__ == "__main__":
    main()
