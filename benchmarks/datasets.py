"""Pictures to measure on: part of a folder, or synthetic; and data sets baked from them."""

from __future__ import annotations

import argparse
import functools
import io
import multiprocessing
import os
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.harness.paths import BENCH, ROOT
from tfrecords import manifest
from tfrecords.sharding import stable_hash

# As decoded by our bake; other files in a folder are no pictures.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")

CLASSES = 42

_SAMPLE_HASH = re.compile("-[0-9a-f]{16}-")


def add_flags(parser: argparse.ArgumentParser, limit: int) -> None:
    """Adds the flags that choose the pictures."""
    parser.add_argument(
        "--input", type=Path, metavar="DIR",
        help="class folders with pictures; synthetic pictures of 416x409 without it",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=int, default=limit, metavar="N",
        help="pictures at most, a fixed random sample of all classes",
    )  # fmt: skip


def pictures(flags: argparse.Namespace) -> Path:
    """Returns the folder of pictures that the flags ask for, in the page cache.

    Reading all of it first makes the first competitor's disk no slower than the others'.
    """
    root = sample(flags.input, flags.limit) if flags.input else synthetic(flags.limit, (416, 409))
    for path in listed(root):
        path.read_bytes()
    return root


def title(root: Path) -> str:
    """Returns what tables call a folder of pictures, the hash in a sample's name left out."""
    return _SAMPLE_HASH.sub("-", root.name)


def listed(root: Path) -> list[Path]:
    """Returns the pictures under a folder, in the order of their names."""
    found = []
    for folder, _, names in os.walk(root, followlinks=True):
        found += [Path(folder, name) for name in names if name.lower().endswith(SUFFIXES)]
    return sorted(found)


def sample(root: Path, limit: int) -> Path:
    """Returns a folder with links to `limit` pictures of `root`, or `root` if it has no more."""
    root = root.resolve()
    found = listed(root)
    if not found:
        raise SystemExit(f"--input={root}: no pictures in it; class folders are expected")
    if len(found) <= limit:
        return root
    target = BENCH / "inputs" / f"{root.name}-{stable_hash(str(root)):016x}-{limit}"
    if not target.exists():
        building = target.with_name(target.name + ".building")
        chosen = sorted(found, key=lambda path: stable_hash(path.relative_to(root).as_posix()))
        for path in chosen[:limit]:
            link = building / path.relative_to(root)
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(path)
        building.rename(target)
    return target


def synthetic(count: int, size: tuple[int, int]) -> Path:
    """Returns class folders with `count` JPEGs, no two alike; made once, on all cores.

    Classes are unequal, as everywhere: class k holds about 1 / (k + 1) of the largest.

    Args:
      count: of pictures.
      size: (width, height).
    """
    target = BENCH / "inputs" / f"synthetic-{size[0]}x{size[1]}-{count}"
    if not target.exists():
        building = target.with_name(target.name + ".building")
        for label in range(CLASSES):
            (building / f"class{label:02d}").mkdir(parents=True, exist_ok=True)
        print(f"drawing {count:,} pictures", file=sys.stderr)
        parts = [range(start, min(start + 500, count)) for start in range(0, count, 500)]
        with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
            list(pool.map(functools.partial(_draw, building, size), parts))
        building.rename(target)
    return target


def _draw(root: Path, size: tuple[int, int], numbers: range) -> None:
    for number in numbers:
        path = root / f"class{_label(number):02d}" / f"{number:07d}.jpg"
        path.write_bytes(picture(number, size))


def _label(number: int) -> int:
    shares = np.cumsum(1 / np.arange(1, CLASSES + 1))
    # The first pictures go one to each class, so that few pictures are of all classes too.
    if number < 3 * CLASSES:
        return number % CLASSES
    place = stable_hash("label", number) / 2**64 * shares[-1]
    return int(np.searchsorted(shares, place, side="right"))


def picture(number: int, size: tuple[int, int]) -> bytes:
    """Returns a JPEG of smooth shapes with noise, a function of `number`."""
    rng = np.random.default_rng(stable_hash("picture", number))
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.int16)
    noise = rng.integers(-12, 13, smooth.shape[:2], dtype=np.int16)[..., None]
    buffer = io.BytesIO()
    image = Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def baked(root: Path, side: int, encoding: str, *flags: str) -> Path:
    """Returns the data set that our bake makes of `root`; made once.

    Args:
      root: class folders.
      side: pixels.
      encoding: "jpeg", "png" or "raw".
      flags: further ones of `beam_pipelines.prepare`.
    """
    key = stable_hash(str(root.resolve()), *flags)
    target = BENCH / "data" / f"{root.name}-{side}-{encoding}-{key:016x}"
    if not (target / manifest.MANIFEST).exists():
        print(f"baking {target.name}", file=sys.stderr)
        done = subprocess.run(
            [
                sys.executable, "-m", "beam_pipelines.prepare", f"--input_dir={root}",
                f"--output_dir={target}", f"--image_size={side}", f"--encoding={encoding}", *flags,
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"baking {root} failed: {done.stderr.strip().splitlines()[-1]}")
    return target
