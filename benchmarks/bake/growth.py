"""Peak memory of our bake as the data set grows, and how soon it decodes its first picture.

    python -m benchmarks.bake.growth [--counts=10000,40000,100000] [--rounds=1]

Pictures are synthetic 96x96 JPEGs of its own, no two alike, baked to 64 px: what grows is
their number, not their size. Facts (a row a file, which the planner holds) are the part that
may grow; "bytes/picture" is the growth from the smallest count, all processes together.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from benchmarks import datasets
from benchmarks.harness import compare
from benchmarks.harness.compare import Claim, Column, Competitor
from benchmarks.harness.paths import BENCH
from benchmarks.harness.processes import Milestone

FIRST = "first picture"
OUT = BENCH / "out" / "memory"
START = "start, raw 224 px"

# From 10,000 to 100,000 pictures the peak may grow by this, facts apart.
GROWTH = 1.15


def bake(count: int) -> Competitor:
    """Returns a bake of `count` pictures."""
    output = OUT / str(count)
    root = datasets.synthetic(count, (96, 96))
    argv = compare.python(
        "beam_pipelines.prepare", f"--input_dir={root}", f"--output_dir={output}",
        "--image_size=64",
    )  # fmt: skip
    return Competitor(f"{count:,} pictures", argv, clears=(output,), timeout=7200)


def start(count: int) -> Competitor:
    """Returns a bake that shows when its first pictures are decoded.

    A bundle's file is buffered by 1 MiB: raw pictures of 224 px, 147 KiB each, appear in it
    as the seventh is done.
    """
    output = OUT / "start"
    root = datasets.synthetic(count, (96, 96))
    argv = compare.python(
        "beam_pipelines.prepare", f"--input_dir={root}", f"--output_dir={output}",
        "--encoding=raw",
    )  # fmt: skip
    seen = Milestone(FIRST, output / ".cache", "**/*.pack*")
    return Competitor(START, argv, clears=(output,), milestones=(seen,))


def growth(runs: compare.Runs, counts: list[int]) -> str:
    """Returns a line about each count above the first."""
    peaks = [
        statistics.median(usage.peak_mib for usage in runs[f"{count:,} pictures"])
        for count in counts
    ]
    lines = []
    for count, peak in zip(counts[1:], peaks[1:], strict=True):
        grown = (peak - peaks[0]) * 2**20 / (count - counts[0])
        lines.append(
            f"{counts[0]:,} → {count:,}: {peak / peaks[0]:.2f} times the peak, "
            f"{grown:,.0f} bytes/picture"
        )
    return "\n".join(lines)


def main() -> int:
    parser = compare.parser(__doc__, rounds=1)
    parser.add_argument("--counts", type=_counts, default=[10_000, 40_000, 100_000], metavar="N,…")
    flags = parser.parse_args()
    compare.warn_if_busy()
    counts = flags.counts
    runs = compare.compete(
        [*(bake(count) for count in counts), start(min(1000, counts[0]))], flags.rounds, "memory"
    )
    columns = [
        Column("peak MiB", compare.peak_mib, 0),
        Column("wall s", compare.wall),
        Column("CPU s", compare.cpu),
        Column("first picture s", compare.milestone(FIRST)),
    ]
    first = f"{counts[0]:,} pictures"
    claims = [
        Claim(f"peak, {count:,} / {counts[0]:,}", f"{count:,} pictures", first,
              compare.peak_mib, compare.peak_mib, at_most=GROWTH)
        for count in counts[1:]
    ] + [
        Claim("seconds from start to the first pictures", START, START,
              compare.milestone(FIRST), lambda usage: 1.0, at_most=2.0)
    ]  # fmt: skip
    kept = compare.show("bake memory", runs, columns, claims, compare.peak_mib)
    if not any(usage.failure for usages in runs.values() for usage in usages):
        print("\n" + growth(runs, counts))
    compare.remove(OUT)
    return int(flags.strict and not kept)


def _counts(text: str) -> list[int]:
    counts = sorted(int(part) for part in text.split(","))
    if counts[0] < 100:
        raise argparse.ArgumentTypeError("at least 100 pictures: fewer give no split")
    return counts


if __name__ == "__main__":
    sys.exit(main())
