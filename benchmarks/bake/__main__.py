"""Our whole bake against the floor, against what people would write, and against itself.

    python -m benchmarks.bake [--input=DIR] [--limit=5000] [--side=224] [--rounds=5]

Ours is the command as its user runs it: list, hashes, duplicates, split, plan, shards, ledger
and manifest, without balancing (no copies). Its report on the data set is written after the
manifest; the "manifest" column is the time until then, what the claims are about, and "wall"
the time with the report. The floor (`baselines/floor.py`) decodes, resizes and encodes the same
files by the same functions and writes them to plain files: nothing else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks import datasets
from benchmarks.harness import compare
from benchmarks.harness.compare import BENCH, Claim, Column, Competitor
from benchmarks.harness.processes import Milestone, Usage
from tfrecords import manifest

MANIFEST = "manifest"
OUT = BENCH / "out" / "bake"


def ready(usage: Usage) -> float | None:
    """Seconds until the data set is complete: the manifest of ours, the end of the others."""
    return usage.milestones.get(MANIFEST, usage.wall)


def ours(root: Path, side: int, workers: int) -> Competitor:
    """Returns our bake on `workers` processes."""
    output = OUT / f"ours-{workers}"
    return Competitor(
        f"ours, {workers}",
        compare.python(
            "beam_pipelines.prepare", f"--input_dir={root}", f"--output_dir={output}",
            f"--image_size={side}", f"--workers={workers}",
        ),
        clears=(output,),
        milestones=(Milestone(MANIFEST, output, manifest.MANIFEST),),
    )  # fmt: skip


def rival(name: str, module: str, root: Path, side: int, *flags: str) -> Competitor:
    """Returns a program of `benchmarks/baselines`."""
    output = OUT / compare.slug(name)
    argv = compare.python(
        f"benchmarks.baselines.{module}", str(root), str(output), f"--side={side}", *flags
    )
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    return Competitor(name, argv, clears=(output,), environment=quiet)


def floor_table(root: Path, side: int, rounds: int, workers: list[int]) -> bool:
    """Ours against the floor, and how both scale."""
    competitors = []
    for count in workers:
        flag = f"--workers={count}"
        competitors += [
            rival(f"floor, {count}", "floor", root, side, flag),
            rival(f"floor with hashes, {count}", "floor", root, side, flag, "--hashes"),
            ours(root, side, count),
        ]
    claims = []
    for count in workers:
        claims += [
            _claim(f"ours / floor, {count}", f"ours, {count}", f"floor, {count}", at_most=1.10),
            _claim(
                f"ours / floor with hashes, {count}",
                f"ours, {count}",
                f"floor with hashes, {count}",
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


def rivals_table(root: Path, side: int, rounds: int, workers: int) -> bool:
    """Ours against what people would write."""
    processes = f"--direct_num_workers={workers}"
    default, several = "plain Beam", f"plain Beam, {workers} processes"
    script, builder = "tf.data script", "TFDS builder"
    mine = ours(root, side, workers)
    competitors = [
        mine,
        rival(default, "beam_plain", root, side),
        rival(several, "beam_plain", root, side,
              "--direct_running_mode=multi_processing", processes),
        rival(script, "tfdata_bake", root, side),
        rival(builder, "tfds_bake", root, side),
    ]  # fmt: skip
    claims = [_claim(f"{default} / ours", default, mine.name, at_least=1.9)]
    claims += [
        _claim(f"{name} / ours", name, mine.name, at_least=1.4)
        for name in (several, script, builder)
    ]
    claims += [
        Claim(f"memory: ours / {name}", mine.name, name, compare.peak_mib, compare.peak_mib,
              at_most=0.2 if name == several else None)
        for name in (default, several, script, builder)
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
    parser.add_argument("--only", choices=("floor", "rivals"), help="one of the two tables")
    flags = parser.parse_args()
    compare.warn_if_busy()
    root = datasets.pictures(flags)
    cores = len(os.sched_getaffinity(0))
    kept = True
    if flags.only != "rivals":
        kept &= floor_table(root, flags.side, flags.rounds, sorted({1, min(2, cores), cores}))
    if flags.only != "floor":
        kept &= rivals_table(root, flags.side, flags.rounds, max(2, cores))
    compare.remove(OUT)
    return int(flags.strict and not kept)


if __name__ == "__main__":
    sys.exit(main())
