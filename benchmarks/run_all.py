"""Every benchmark at one scale, one after another: what `make bench` runs.

    python -m benchmarks.run_all [--scale=5000] [--input=DIR] [--only=bake,input,…]

The scale is the number of pictures. 5,000 gives numbers to publish, on a machine that does
nothing else, in about an hour; 500 shows in ten minutes that everything runs. A benchmark
that fails does not stop the others. Tables go to the terminal, numbers to .bench/results.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.harness import peers
from benchmarks.harness.paths import ROOT

# From this scale on everything is measured in full.
FULL = 5000


def commands(scale: int, folder: Path | None) -> dict[str, list[str]]:
    """Returns name → module and flags of each benchmark."""
    full = scale >= FULL
    pictures = [f"--limit={scale}", *([f"--input={folder}"] if folder else [])]
    rounds = ["--rounds=3" if full else "--rounds=1"]
    counts = ",".join(str(scale * times) for times in ((2, 8, 20) if full else (1, 4)))
    forms = ["--seconds=4"] if full else ["--forms=224-jpeg", "--peers=", "--seconds=2"]
    step = ["--side=64"] if full else ["--side=32", "--epochs=2"]
    codecs = [str(folder)] if folder else []
    return {
        "codecs": ["benchmarks.bake.codecs", *codecs, *([] if full else ["--count=10"])],
        "bake": ["benchmarks.bake", *pictures, *rounds],
        "scaling": ["benchmarks.bake.scaling", *pictures, *rounds],
        "growth": ["benchmarks.bake.growth", f"--counts={counts}"],
        "input": ["benchmarks.train.input", *pictures, *rounds, *forms],
        "kernels": ["benchmarks.train.kernels"],
        "step": ["benchmarks.train.step", *pictures, *rounds, *step],
        "gpu": ["benchmarks.train.gpu"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=int, default=FULL, metavar="PICTURES", help="100 or more")
    parser.add_argument("--input", type=Path, metavar="DIR", help="synthetic without it")
    parser.add_argument("--only", metavar="NAME,…", help="some of the benchmarks")
    flags = parser.parse_args()
    if flags.scale < 100:
        parser.error("--scale: at least 100 pictures, fewer give no split")
    chosen = commands(flags.scale, flags.input)
    names = flags.only.split(",") if flags.only else list(chosen)
    unknown = [name for name in names if name not in chosen]
    if unknown:
        parser.error(f"--only: no benchmark {unknown[0]!r}; there are {', '.join(chosen)}")
    failed = []
    for name in names:
        print(f"\n# {name}: python -m {' '.join(chosen[name])}", flush=True)
        began = time.monotonic()
        python = peers.interpreter("codecs") if name == "codecs" else None
        code = subprocess.run(
            [str(python or sys.executable), "-m", *chosen[name]],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        ).returncode
        print(f"\n({name}: {time.monotonic() - began:.0f} s)", flush=True)
        if code:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
