"""How far the bake scales, and what stops it: cores, slow storage, the process that drives it.

    python -m benchmarks.bake.scaling [--input=DIR] [--limit=5000] [--side=224] [--rounds=3]

Three tables. The bake on one core and on all (`taskset`), with more workers than cores beside.
The bake, and its floor, from storage that is played slow: each file waits, one file at a time
as on a disk that seeks, or many at a time as from a network; 1,000 of the pictures at most.
And what the driving process takes for each further picture, of which follows how many workers
it can feed.
"""

from __future__ import annotations

import os
import statistics
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks import datasets
from benchmarks.bake.competitors import OUT, baseline, ours, ready
from benchmarks.harness import compare
from benchmarks.harness.compare import Claim, Column, Competitor
from benchmarks.harness.paths import ROOT
from benchmarks.harness.processes import Usage

SLOW = Path(__file__).resolve().parent / "slow_storage"

# Waits of ms a file and streams: a disk's head, a network file system, an object store.
STORAGES = {"disk, 8 ms": (8, 1), "network, 5 ms": (5, 64), "objects, 30 ms": (30, 64)}

# A slow bake of more pictures takes longer and says the same.
SLOW_PICTURES = 1000

DRIVER_CPU = compare.reported("driver_cpu")


def pinned(one: Competitor, cores: int) -> Competitor:
    """Returns the command on so many cores."""
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    argv = ("taskset", "-c", ",".join(map(str, allowed)), *one.argv)
    return replace(one, name=f"{one.name}; cores {cores}", argv=argv)


def slowed(one: Competitor, name: str, root: Path) -> Competitor:
    """Returns the command reading from storage of a kind."""
    milliseconds, streams = STORAGES[name]
    paths = os.pathsep.join((str(SLOW), str(ROOT)))
    environment = {
        **one.environment,
        "PYTHONPATH": paths,
        "EVENSHARD_SLOW_STORAGE": f"{root}|{milliseconds}|{streams}",
    }
    return replace(one, name=f"{one.name}; {name}", environment=environment)


def columns(root: Path) -> list[Column]:
    """Returns what the tables show."""
    count = len(datasets.listed(root))

    def rate(usage: Usage) -> float | None:
        seconds = ready(usage)
        return count / seconds if seconds else None

    return [
        Column("ready s", ready, spread=True),
        Column("pictures/s", rate, 0),
        Column("CPU s", compare.cpu),
        Column("peak MiB", compare.peak_mib, 0),
    ]


def cores_table(root: Path, side: int, rounds: int) -> bool:
    """Cores and workers."""
    cores = len(os.sched_getaffinity(0))
    competitors = [
        pinned(ours(root, side, 1), 1),
        pinned(ours(root, side, 2), 1),
        *(ours(root, side, workers) for workers in (1, cores, 2 * cores)),
    ]
    one, several, more = (competitors[i].name for i in (2, 3, 4))
    claims = [
        _claim(f"{one} → {several}", one, several),
        _claim(f"{several} → {more}", several, more),
        _claim("one core: 1 → 2 workers", competitors[0].name, competitors[1].name),
    ]
    return _show(f"bake by cores, {datasets.title(root)}", root, competitors, rounds, claims)


def storage_table(root: Path, side: int, rounds: int) -> bool:
    """Slow storage: our bake fetches ahead, the floor's workers read one file at a time."""
    workers = len(os.sched_getaffinity(0))
    mine = ours(root, side, workers)
    floor = baseline(f"floor, {workers}", "floor", root, side, f"--workers={workers}", "--hashes")
    competitors, claims = [mine, floor], []
    for name in STORAGES:
        slow, slow_floor = slowed(mine, name, root), slowed(floor, name, root)
        competitors += [slow, slow_floor]
        claims += [
            _claim(f"{name}: ours / ours from memory", slow.name, mine.name),
            _claim(f"{name}: floor / ours", slow_floor.name, slow.name),
        ]
    return _show(
        f"bake from slow storage, {datasets.title(root)}", root, competitors, rounds, claims
    )


def driver_table(few: Path, many: Path, side: int, rounds: int) -> bool:
    """What the driving process takes itself for each further picture."""
    workers = len(os.sched_getaffinity(0))
    counts = [len(datasets.listed(root)) for root in (few, many)]
    driven = [driver(root, side, workers, f"{n:,} pictures")
              for root, n in zip((few, many), counts, strict=True)]  # fmt: skip
    shown = [
        Column("ready s", ready, spread=True),
        Column("CPU s", compare.cpu),
        Column("driver CPU s", DRIVER_CPU),
    ]
    title = f"the driver of a bake, {datasets.title(many)}"
    runs = compare.compete(driven, rounds, compare.slug(title))
    kept = compare.show(title, runs, shown, (), compare.cpu, {"pictures": counts})
    pairs = [pair for pair in zip(*runs.values(), strict=False) if not any(u.failure for u in pair)]
    if pairs and counts[1] > counts[0]:
        further = counts[1] - counts[0]
        alone = [b.report["driver_cpu"] - a.report["driver_cpu"] for a, b in pairs]
        whole = [b.cpu - a.cpu for a, b in pairs]
        serial = 1e3 * statistics.median(alone) / further
        shared = 1e3 * statistics.median(whole) / further - serial
        print(
            f"\na further picture: {serial:.3f} ms in the driver, {shared:.2f} ms in workers, "
            f"so that {shared / serial:.0f} of them keep the driver busy"
        )
    return kept


def driver(root: Path, side: int, workers: int, name: str) -> Competitor:
    """Returns our bake, its driving process measured."""
    mine = ours(root, side, workers)
    flags = mine.argv[3:]  # Behind python -m beam_pipelines.prepare.
    return replace(mine, name=name, argv=compare.python("benchmarks.baselines.driver", *flags))


def _claim(text: str, top: str, bottom: str) -> Claim:
    return Claim(text, top, bottom, ready, ready)


def _show(
    title: str, root: Path, competitors: list[Competitor], rounds: int, claims: list[Claim]
) -> bool:
    runs = compare.compete(competitors, rounds, compare.slug(title))
    about = {"pictures": len(datasets.listed(root)), "storages": STORAGES}
    return compare.show(title, runs, columns(root), claims, ready, about)


def main() -> int:
    parser = compare.parser(__doc__, rounds=3)
    datasets.add_flags(parser, limit=5000)
    parser.add_argument("--side", type=int, default=224, help="pixels of the result")
    flags = parser.parse_args()
    compare.warn_if_busy()
    root = datasets.pictures(flags)
    flags.limit = min(flags.limit, SLOW_PICTURES)
    few = datasets.pictures(flags)
    kept = cores_table(root, flags.side, flags.rounds)
    kept &= driver_table(few, root, flags.side, flags.rounds)
    kept &= storage_table(few, flags.side, flags.rounds)
    compare.remove(OUT)
    return int(flags.strict and not kept)


if __name__ == "__main__":
    sys.exit(main())
