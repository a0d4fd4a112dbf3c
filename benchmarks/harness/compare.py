"""Competitors in turn (A B A B …), medians and spread, ratios against targets, JSON.

A benchmark names its competitors, what it compares them by, and its claims: ratios of two
competitors with the bound that the project promises. A ratio is the median of the ratios
within each round, so that a machine that slows down for a while slows down both.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import processes
from benchmarks.harness.machine import describe_machine
from benchmarks.harness.paths import BENCH, ROOT
from benchmarks.harness.processes import Milestone, Usage

# Of a run directory. `trainer.runs.directory` has it too, and TensorFlow, which we do without.
METRICS = "metrics.csv"

# Busier than this when it starts, and a machine's times are not worth publishing.
_QUIET_LOAD = 0.5


@dataclass(frozen=True)
class Competitor:
    """A command that is measured.

    Attributes:
      name: as the table shows it.
      argv: the command.
      clears: files and folders removed before each run.
      environment: added to ours.
      milestones: to time.
      collect: reads, after a run that ended well, numbers that it left on disk.
      timeout: seconds.
    """

    name: str
    argv: tuple[str, ...]
    clears: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    milestones: tuple[Milestone, ...] = ()
    collect: Callable[[], Mapping[str, float]] | None = None
    timeout: float = 3600


# A run → the number to compare by, or None where the run has none.
Metric = Callable[[Usage], float | None]


def wall(usage: Usage) -> float | None:
    """Seconds from start to end."""
    return usage.wall


def cpu(usage: Usage) -> float | None:
    """CPU seconds."""
    return usage.cpu


def peak_mib(usage: Usage) -> float | None:
    """Peak memory."""
    return usage.peak_mib


def milestone(name: str) -> Metric:
    """Seconds from start to a milestone."""
    return lambda usage: usage.milestones.get(name)


def reported(name: str) -> Metric:
    """A number that the command reports."""
    return lambda usage: usage.report.get(name)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
      title: of the column.
      metric: median of it over the rounds.
      digits: behind the point.
      spread: also show (largest - smallest) / median.
    """

    title: str
    metric: Metric
    digits: int = 2
    spread: bool = False


@dataclass(frozen=True)
class Claim:
    """A promise: the ratio of two competitors by one metric.

    Attributes:
      text: what is promised.
      top, bottom: names of competitors.
      top_metric, bottom_metric: of each.
      at_most, at_least: the bound; None for none.
    """

    text: str
    top: str
    bottom: str
    top_metric: Metric = wall
    bottom_metric: Metric = wall
    at_most: float | None = None
    at_least: float | None = None

    def judged(self, runs: Mapping[str, Sequence[Usage]]) -> Verdict:
        """Returns what became of it."""
        rounds = zip(runs.get(self.top, ()), runs.get(self.bottom, ()), strict=False)
        pairs = [(self.top_metric(a), self.bottom_metric(b)) for a, b in rounds
                 if not a.failure and not b.failure]  # fmt: skip
        ratios = tuple(a / b for a, b in pairs if a is not None and b)
        return Verdict(self.text, ratios, self.at_most, self.at_least)


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
      text: of the claim.
      ratios: of each round that has one.
      at_most, at_least: the bound.
    """

    text: str
    ratios: tuple[float, ...]
    at_most: float | None = None
    at_least: float | None = None

    @property
    def ratio(self) -> float | None:
        """Median of the rounds."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the bound; None without a bound or a ratio."""
        if self.ratio is None or (self.at_most is None and self.at_least is None):
            return None
        above = self.at_least is None or self.ratio >= self.at_least
        return above and (self.at_most is None or self.ratio <= self.at_most)

    def __str__(self) -> str:
        if self.ratio is None:
            return f"{'-':>6}  {self.text}: not measured"
        parts = [f"{self.ratio:6.2f}  {self.text} ({min(self.ratios):.2f}–{max(self.ratios):.2f})"]
        if self.met is not None:
            bound = f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"
            parts.append(f"target {bound}: {'met' if self.met else 'MISSED'}")
        return "  ".join(parts)


Runs = dict[str, list[Usage]]


def compete(competitors: Sequence[Competitor], rounds: int, name: str) -> Runs:
    """Runs each competitor once a round and returns its runs; failed ones are not run again.

    Args:
      competitors: in the order of each round.
      rounds: number of them.
      name: of the benchmark; its logs stand in .bench/logs/name.
    """
    runs: Runs = {one.name: [] for one in competitors}
    logs = BENCH / "logs" / name
    for number in range(rounds):
        for place, one in enumerate(competitors):
            if any(usage.failure for usage in runs[one.name]):
                continue
            for path in one.clears:
                remove(path)
            print(f"round {number + 1} of {rounds}: {one.name}", file=sys.stderr, flush=True)
            runs[one.name].append(_run(one, logs / f"{place:02d}-{number}.log"))
    return runs


def _run(competitor: Competitor, log: Path) -> Usage:
    usage = processes.run(
        competitor.argv,
        log,
        environment={"PYTHONPATH": str(ROOT), **competitor.environment},
        milestones=competitor.milestones,
        timeout=competitor.timeout,
    )
    if competitor.collect is None or usage.failure:
        return usage
    return dataclasses.replace(usage, report={**usage.report, **competitor.collect()})


def table(runs: Mapping[str, Sequence[Usage]], columns: Sequence[Column], ratio: Metric) -> str:
    """Returns the runs as text: a row a competitor, ratios against the first by `ratio`."""
    width = max(24, *(len(name) + 1 for name in runs))
    first = next(iter(runs))
    heads = [column.title for column in columns]
    lines = [f"{'':{width}}" + "".join(f"{head:>16}" for head in heads) + f"{'ratio':>8}"]
    for name, usages in runs.items():
        failure = next((usage.failure for usage in usages if usage.failure), "")
        if failure or not usages:
            lines.append(f"{name:{width}}  {failure or 'not run'}")
            continue
        cells = "".join(f"{_cell(column, usages):>16}" for column in columns)
        against = Claim("", name, first, ratio, ratio).judged(runs).ratio
        lines.append(f"{name:{width}}{cells}" + (f"{against:8.2f}" if against else f"{'-':>8}"))
    return "\n".join(lines)


def _cell(column: Column, usages: Sequence[Usage]) -> str:
    values = [value for value in map(column.metric, usages) if value is not None]
    if not values:
        return "-"
    median = statistics.median(values)
    text = f"{median:,.{column.digits}f}"
    if column.spread and len(values) > 1 and median:
        text += f" ±{(max(values) - min(values)) / median / 2:.0%}"
    return text


def show(
    title: str,
    runs: Runs,
    columns: Sequence[Column],
    claims: Sequence[Claim] = (),
    ratio: Metric = wall,
    about: Mapping[str, Any] | None = None,
) -> bool:
    """Prints a table and its claims, and writes .bench/results/TITLE.json.

    Returns:
      Whether no claim was missed.
    """
    verdicts = [claim.judged(runs) for claim in claims]
    print(f"\n## {title}\n\n{table(runs, columns, ratio)}")
    if verdicts:
        print("\n" + "\n".join(map(str, verdicts)))
    if any(usage.failure for usages in runs.values() for usage in usages):
        print("\nratios are of the runs that ended well")
    write_json(title, runs, verdicts, about or {})
    return all(verdict.met is not False for verdict in verdicts)


def write_json(
    title: str, runs: Runs, verdicts: Iterable[Verdict], about: Mapping[str, Any]
) -> Path:
    """Writes everything measured, with the machine."""
    path = BENCH / "results" / f"{slug(title)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "title": title,
        "machine": describe_machine(),
        "about": dict(about),
        "claims": [
            dataclasses.asdict(verdict) | {"ratio": verdict.ratio, "met": verdict.met}
            for verdict in verdicts
        ],
        "runs": {
            name: [dataclasses.asdict(usage) for usage in usages] for name, usages in runs.items()
        },
    }
    path.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
    return path


def slug(title: str) -> str:
    """Returns a title as a file name."""
    kept = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    return "-".join(part for part in kept.split("-") if part)


def warn_if_busy() -> None:
    """Says so where other work shares the machine."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > _QUIET_LOAD * cores:
        print(
            f"note: the load is {load:.1f} on {cores} cores: something else runs here, and the "
            "times below are not worth publishing",
            file=sys.stderr,
        )


def parser(module: Any, rounds: int) -> argparse.ArgumentParser:
    """Returns a parser with the flags that all benchmarks share.

    Args:
      module: its docstring is the help.
      rounds: default of --rounds.
    """
    made = argparse.ArgumentParser(
        description=module,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--rounds", type=int, default=rounds, help="runs of each competitor")
    made.add_argument("--strict", action="store_true", help="exit 1 where a target is missed")
    return made


def python(module: str, *flags: str, interpreter: str | Path = sys.executable) -> tuple[str, ...]:
    """Returns the command line of a module of ours."""
    return (str(interpreter), "-m", module, *flags)


def remove(path: Path) -> None:
    """Removes a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def report(**numbers: Any) -> None:
    """Prints a child's numbers for the harness; the last call counts."""
    print(processes.REPORT + json.dumps(numbers), flush=True)
