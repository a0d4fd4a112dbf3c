"""Bakes a folder with 1 worker, with 2, and under random kills, and compares every byte.

    python -m benchmarks.bake.kills FOLDER [--kills=10] [prepare's flags…]

The killed bake is started again after each SIGKILL, as its user would; the kills are spread over
the time that the first bake took. Prints the digests and exits 1 if any file differs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def command(folder: Path, out: Path, flags: list[str]) -> list[str]:
    return [
        sys.executable, "-m", "beam_pipelines.prepare", f"--input_dir={folder}",
        f"--output_dir={out}", *flags,
    ]  # fmt: skip


def digests(out: Path) -> dict[str, str]:
    """Returns file → sha256 of everything that a bake promises to be the same."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.iterdir())
        if path.is_file()
    }


def bake(folder: Path, out: Path, flags: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command(folder, out, flags), check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def bake_killed(folder: Path, out: Path, flags: list[str], kills: int, seconds: float) -> int:
    """Bakes under SIGKILLs and returns how many hit a bake that ran."""
    chance, hits = random.Random(0), 0
    for _ in range(kills):
        process = subprocess.Popen(
            command(folder, out, flags), stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            # Each run carries on, so that kills at up to a sixth of the whole reach every stage
            # and hardly one comes too late.
            process.wait(1 + chance.random() * seconds / 6)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            hits += 1
        process.wait()
    if not (out / "manifest.json").exists():
        bake(folder, out, flags)
    return hits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    options, flags = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        seconds = {
            workers: bake(options.folder, root / str(workers), [*flags, f"--workers={workers}"])
            for workers in (1, 2)
        }
        hits = bake_killed(
            options.folder, root / "killed", [*flags, "--workers=2"], options.kills, seconds[2]
        )
        expected = digests(root / "1")
        files = len(expected)
        print(f"{files} files; manifest {expected['manifest.json'][:16]}…")
        same = True
        for name in ("2", "killed"):
            found = digests(root / name)
            different = sorted(
                key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)
            )
            what = f"after {hits} kills" if name == "killed" else "2 workers"
            print(f"{what}: {different or 'identical to 1 worker'}")
            same = same and not different
    print(f"1 worker {seconds[1]:.1f} s, 2 workers {seconds[2]:.1f} s, report included")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
