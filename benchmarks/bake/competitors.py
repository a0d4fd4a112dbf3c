"""Our bake and the programs it is measured against, as the harness runs them."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.harness import compare
from benchmarks.harness.compare import Competitor
from benchmarks.harness.paths import BENCH
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


def baseline(
    name: str, module: str, root: Path, side: int, *flags: str,
    interpreter: str | Path = sys.executable,
) -> Competitor:  # fmt: skip
    """Returns a program of `benchmarks.baselines`."""
    output = OUT / compare.slug(name)
    argv = compare.python(
        f"benchmarks.baselines.{module}", str(root), str(output), f"--side={side}", *flags,
        interpreter=interpreter,
    )  # fmt: skip
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    return Competitor(name, argv, clears=(output,), environment=quiet)
