"""Tries cases of each kind for its share of the time, and counts what became of them."""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture import bench, damages, disks, hostile, kills, many, pairs
from tests.torture.case import Case, Kind, Lost
from tests.torture.config import TortureConfig
from tfrecords.errors import UsageError
from tfrecords.system import cores, processes

KINDS: tuple[Kind, ...] = (
    *damages.KINDS, *hostile.KINDS, *many.KINDS, *kills.KINDS, *disks.KINDS, *pairs.KINDS,
)  # fmt: skip

# What each kind compares with.
_NEEDS = {
    "kill-bake": {"bake"},
    "kill-train": {"train"},
    "kill-sweep": {"sweep"},
    "full-bake": {"bake"},
    "full-train": {"train"},
    "full-use": {"train"},
    "two-bakes": {"bake"},
    "two-trainings": {"train"},
    "bake-and-verify": {"bake"},
    "changing": {"bake"},
}

# Seeds of one run stand apart from those of another.
_SEEDS = 100_000


@dataclass
class Tally:
    """What became of the cases of a kind.

    Attributes:
      ends: how a case ended that was survived → how often.
      lost: seed → what was lost.
      seconds: wall time.
    """

    ends: Counter[str] = field(default_factory=Counter)
    lost: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0


def attempt(kind: Kind, seed: int, work: str) -> tuple[int, str, str]:
    """Tries one case; returns its seed, how it ended, and what was lost, if anything."""
    folder = Path(tempfile.mkdtemp(prefix=f"{kind.name}-", dir=work))
    try:
        return seed, kind.attempt(Case(seed, folder, Path(work, "bench"))), ""
    except Lost as lost:
        return seed, "", str(lost)
    except Exception as error:  # Of the torture itself, or of ours in this process: both lose.
        return seed, "", f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(config: TortureConfig, kinds: Sequence[Kind], work: str) -> dict[str, Tally]:
    """Tries cases of each kind for its share of the time; returns kind → tally."""
    needs: set[str] = set().union(*(_NEEDS.get(kind.name, set()) for kind in kinds))
    bench.make(Path(work, "bench"), frozenset(needs))
    workers = config.workers or cores.usable()
    deadline = time.monotonic() + 60 * config.minutes
    tallies: dict[str, Tally] = {}
    with ProcessPoolExecutor(workers, mp_context=processes.spawn_context()) as pool:
        for place, kind in enumerate(kinds):
            shares = sum(other.share for other in kinds[place:])
            now = time.monotonic()
            until = now + max(0.0, deadline - now) * kind.share / shares
            tallies[kind.name] = _try_kind(kind, config, work, pool, workers, until)
    return tallies


def _try_kind(
    kind: Kind,
    config: TortureConfig,
    work: str,
    pool: ProcessPoolExecutor,
    workers: int,
    until: float,
) -> Tally:
    tally, started = Tally(), time.monotonic()
    seeds = iter(_seeds(kind, config))
    waiting: set[Future[tuple[int, str, str]]] = set()
    while True:
        while len(waiting) < workers and (time.monotonic() < until or not (waiting or tally.ends)):
            seed = next(seeds, None)
            if seed is None:
                break
            waiting.add(pool.submit(attempt, kind, seed, work))
        if not waiting:
            break
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            seed, ended, lost = future.result()
            if lost:
                tally.lost[seed] = lost
                print(f"lost: --only={kind.name} --case={seed}: {lost}", file=sys.stderr)
            else:
                tally.ends[ended] += 1
                if config.verbose:
                    print(f"{kind.name} {seed}: {ended}", file=sys.stderr)
    tally.seconds = time.monotonic() - started
    print(f"{kind.name}: {_counts(tally)}, {tally.seconds:.0f} s", file=sys.stderr, flush=True)
    return tally


def _seeds(kind: Kind, config: TortureConfig) -> Iterator[int]:
    if config.case is not None:
        return iter([config.case])
    most = min(filter(None, (kind.most, config.most)), default=0)
    first = config.seed * _SEEDS
    return itertools.count(first) if not most else iter(range(first, first + most))


def chosen(only: str) -> tuple[Kind, ...]:
    """Returns the kinds that --only names, by their names or by how several begin.

    Raises:
      UsageError: a name is of no kind.
    """
    names = [name for name in only.split(",") if name]
    for name in names:
        if not any(kind.name.startswith(name) for kind in KINDS):
            known = ", ".join(kind.name for kind in KINDS)
            raise UsageError(f"--only={name} is none of {known}")
    exact = {kind.name for kind in KINDS} & set(names)
    begins = [name for name in names if name not in exact]
    return tuple(
        kind
        for kind in KINDS
        if not names or kind.name in exact or any(map(kind.name.startswith, begins))
    )


def table(kinds: Sequence[Kind], tallies: dict[str, Tally], seed: int) -> Iterator[str]:
    """Yields the lines of a table for docs/reliability.md."""
    yield "| kind | what is done | seeds | tried | survived | lost |"
    yield "|---|---|---|---:|---:|---:|"
    for kind in kinds:
        tally = tallies[kind.name]
        survived, lost = tally.ends.total(), len(tally.lost)
        first, tried = seed * _SEEDS, survived + lost
        seeds = f"{first} to {first + tried - 1}" if tried > 1 else f"{first}"
        yield f"| `{kind.name}` | {kind.what} | {seeds} | {tried:,} | {survived:,} | {lost:,} |"


def _counts(tally: Tally) -> str:
    survived, lost = tally.ends.total(), len(tally.lost)
    common = ", ".join(f"{count:,} {end}" for end, count in tally.ends.most_common(6))
    return f"{survived + lost:,} tried, {lost:,} lost ({common})"
