"""Our whole bake against the floor, against what people would write, and against itself.

    python -m benchmarks.bake [--input=DIR] [--limit=5000] [--side=224] [--rounds=5]

Ours is the command as its user runs it: list, hashes, duplicates, split, plan, shards, ledger
and manifest, without balancing (no copies). Its report on the data set is written after the
manifest; the "manifest" column is the time until then, what the claims are about, and "wall"
the time with the report. The floor (`benchmarks.baselines.floor`) decodes, resizes and encodes
the same files by the same functions and writes them to plain files: nothing else.

Daft, img2dataset and Ray Data are installed into environments of their own. Each module of
`benchmarks.baselines` says what it leaves out of what a bake does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import datasets
from benchmarks.bake.competitors import OUT, baseline, ours, ready
from benchmarks.harness import compare, peers
from benchmarks.harness.compare import Claim, Column, Competitor
from benchmarks.harness.processes import Usage


def floor_table(root: Path, side: int, rounds: int, workers: list[int]) -> bool:
    """Ours against the floor, and how both scale."""
    competitors = []
    for count in workers:
        flag = f"--workers={count}"
        competitors += [
            baseline(f"floor, {count}", "floor", root, side, flag),
            baseline(f"floor with hashes, {count}", "floor", root, side, flag, "--hashes"),
            ours(root, side, count),
        ]
    claims = []
    for count in workers:
        claims += [
            _claim(f"ours / floor, {count}", f"ours, {count}", f"floor, {count}"),
            _claim(
                f"ours / floor with hashes, {count}",
                f"ours, {count}",
                f"floor with hashes, {count}",
                at_most=1.15,
            ),
        ]
    few, many = workers[0], workers[-1]
    if many > few:
        least = 1.85 if (few, many) == (1, 2) else None
        claims += [
            _claim(f"ours, {few} → {many}", f"ours, {few}", f"ours, {many}", at_least=least),
            _claim(f"floor, {few} → {many}", f"floor, {few}", f"floor, {many}"),
        ]
    return _show(
        f"bake against the floor, {datasets.title(root)}", root, competitors, rounds, claims
    )


# Title, module of `benchmarks.baselines`, flag for the number of processes.
PEERS = {
    "daft": ("Daft", "daft_bake", ""),
    "img2dataset": ("img2dataset", "img2dataset_bake", "--processes"),
    "ray": ("Ray Data", "ray_bake", "--processes"),
}


def alternatives_table(
    root: Path, side: int, rounds: int, workers: int, asked: Sequence[str]
) -> bool:
    """Ours against what people would write."""
    processes = f"--direct_num_workers={workers}"
    default, several = "plain Beam", f"plain Beam, {workers} processes"
    script, builder = "tf.data script", "TFDS builder"
    mine = ours(root, side, workers)
    competitors = [
        mine,
        baseline(default, "beam_plain", root, side),
        baseline(several, "beam_plain", root, side,
              "--direct_running_mode=multi_processing", processes),
        baseline(script, "tfdata_bake", root, side),
        baseline(builder, "tfds_bake", root, side),
    ]  # fmt: skip
    for name in asked:
        title, module, flag = PEERS[name]
        python = peers.interpreter(name)
        if python is not None:
            flags = [f"{flag}={workers}"] if flag else []
            competitors.append(baseline(title, module, root, side, *flags, interpreter=python))
    others = [one.name for one in competitors[2:]]
    claims = [_claim(f"{default} / ours", default, mine.name, at_least=2.5)]
    claims += [_claim(f"{name} / ours", name, mine.name, at_least=1.0) for name in others]
    claims += [
        Claim(f"memory: ours / {name}", mine.name, name, compare.peak_mib, compare.peak_mib,
              at_most=0.2 if name == several else None)
        for name in (default, *others)
    ]  # fmt: skip
    title = f"bake against what people would write, {datasets.title(root)}"
    return _show(title, root, competitors, rounds, claims)


def _claim(
    text: str, top: str, bottom: str, at_most: float | None = None, at_least: float | None = None
) -> Claim:
    return Claim(text, top, bottom, ready, ready, at_most, at_least)


def _show(
    title: str, root: Path, competitors: list[Competitor], rounds: int, claims: list[Claim]
) -> bool:
    count = len(datasets.listed(root))

    def per_picture(usage: Usage) -> float:
        return 1e3 * usage.cpu / count

    columns = [
        Column("ready s", ready, spread=True),
        Column("wall s", compare.wall),
        Column("CPU s", compare.cpu),
        Column("CPU ms/picture", per_picture),
        Column("peak MiB", compare.peak_mib, 0),
    ]
    runs = compare.compete(competitors, rounds, compare.slug(title))
    return compare.show(title, runs, columns, claims, ready, {"pictures": count, "root": str(root)})


def main() -> int:
    parser = compare.parser(__doc__, rounds=5)
    datasets.add_flags(parser, limit=5000)
    parser.add_argument("--side", type=int, default=224, help="pixels of the result")
    parser.add_argument("--peers", nargs="*", choices=peers.BAKES, default=list(peers.BAKES))
    parser.add_argument("--only", choices=("floor", "alternatives"), help="one of the two tables")
    flags = parser.parse_args()
    compare.warn_if_busy()
    root = datasets.pictures(flags)
    cores = len(os.sched_getaffinity(0))
    kept = True
    if flags.only != "alternatives":
        kept &= floor_table(root, flags.side, flags.rounds, sorted({1, min(2, cores), cores}))
    if flags.only != "floor":
        kept &= alternatives_table(root, flags.side, flags.rounds, max(2, cores), flags.peers)
    compare.remove(OUT)
    return int(flags.strict and not kept)


if __name__ == "__main__":
    sys.exit(main())
