"""Measures near-duplicate search; numbers of docs/duplicates.md.

    python -m benchmarks.bake.near_duplicates recall FOLDER     changed copies found again
    python -m benchmarks.bake.near_duplicates groups FOLDER     groups at each distance
    python -m benchmarks.bake.near_duplicates pairs FOLDER OUT  pairs side by side, a PNG
    python -m benchmarks.bake.near_duplicates speed N           N synthetic fingerprints

FOLDER holds class folders.
"""

from __future__ import annotations

import argparse
import functools
import io
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from beam_pipelines.planning import split
from beam_pipelines.similarity import banding, duplicates
from tfrecords.images import canonicalise, fingerprints
from tfrecords.schema import ImageSpec

FRACTIONS = (0.8, 0.1, 0.1)
SPEC = ImageSpec(224, 224)


@dataclass(frozen=True, eq=False)
class Pictures:
    """A folder's pictures, in key order, and what the bake would know of them."""

    paths: tuple[Path, ...]
    class_ids: np.ndarray
    words: np.ndarray
    phash: np.ndarray


def read(folder: Path) -> Pictures:
    paths, names, marks, phash = [], [], [], []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            image, _ = canonicalise.decode(path.read_bytes(), SPEC, canonicalise.PixelLimits())
        except canonicalise.ImageError:
            continue
        resized = canonicalise.resize(image, SPEC)
        paths.append(path)
        names.append(path.parent.name)
        marks.append(fingerprints.fingerprint(resized))
        phash.append(fingerprints.difference_hash(resized))
    class_ids = np.unique(names, return_inverse=True)[1].astype(np.int32)
    if not paths:
        raise SystemExit(
            f"{folder} has no picture that can be read; give a folder of class folders"
        )
    table = fingerprints.words(marks)
    return Pictures(tuple(paths), class_ids, table, np.array(phash, np.uint64))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def scaled(image: Image.Image, factor: float) -> Image.Image:
    width, height = (max(1, round(side * factor)) for side in image.size)
    return jpeg(image.resize((width, height), Image.Resampling.LANCZOS), 80)


def cropped(image: Image.Image, share: float) -> Image.Image:
    left, top = (round(side * share / 2) for side in image.size)
    return image.crop((left, top, image.width - left, image.height - top))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG 50": functools.partial(jpeg, quality=50),
    "JPEG 20": functools.partial(jpeg, quality=20),
    "half size": functools.partial(scaled, factor=0.5),
    "double size": functools.partial(scaled, factor=2.0),
    "crop 4%": functools.partial(cropped, share=0.04),
    "crop 8%": functools.partial(cropped, share=0.08),
    "brightness 1.2": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "grey": lambda image: image.convert("L").convert("RGB"),
}


def recall(pictures: Pictures, sample: int = 600) -> None:
    """Prints how many changed copies lie within each distance of their originals."""
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(len(pictures.paths), min(sample, len(pictures.paths)), False))
    images = [Image.open(pictures.paths[i]).convert("RGB") for i in chosen]
    print(f"{'change':16} {'<=16':>6} {'<=24':>6} {'<=32':>6} {'<=40':>6}   dHash {'<=4':>6}")
    for name, change in CHANGES.items():
        changed = [canonicalise.resize(change(image), SPEC) for image in images]
        table = fingerprints.words([fingerprints.fingerprint(image) for image in changed])
        originals = pictures.words[chosen]
        bits = banding.distances(originals, table)
        lookup = np.bitwise_count(originals[:, 0] ^ table[:, 0]) <= banding.LOOKUP_DISTANCE
        hashes = np.array([fingerprints.difference_hash(image) for image in changed], np.uint64)
        found = [((bits <= limit) & lookup).mean() for limit in (16, 24, 32, 40)]
        old = (np.bitwise_count(pictures.phash[chosen] ^ hashes) <= 4).mean()
        shares = " ".join(f"{share:6.1%}" for share in found)
        print(f"{name:16} {shares}         {old:6.1%}")


def groups(pictures: Pictures) -> None:
    """Prints the groups at each distance, without the guard against chains and with it."""
    print("hash         distance  groups  pictures  largest  of its class  classes cut  seconds")
    for limit in (0, 8, 16, 24, 32, 40, 48):
        _print_groups("fingerprint", pictures.words, pictures.class_ids, limit)
    for limit in (0, 1, 2, 3, 4):
        _print_groups("dHash", pictures.phash, pictures.class_ids, limit)


def _print_groups(name: str, table: np.ndarray, class_ids: np.ndarray, limit: int) -> None:
    start = time.perf_counter()
    free = duplicates.near_groups(table, class_ids, limit, max_group_fraction=1.0).group
    seconds = time.perf_counter() - start
    cut = len(duplicates.near_groups(table, class_ids, limit).tightened)
    sizes = np.bincount(free)
    cells, counts = np.unique(free * (class_ids.max() + 1) + class_ids, return_counts=True)
    shares = counts / np.bincount(class_ids)[cells % (class_ids.max() + 1)]
    largest = shares[counts >= duplicates.MIN_GUARDED_GROUP].max(initial=0)
    print(
        f"{name:12} {limit:8} {(sizes > 1).sum():7} {sizes[sizes > 1].sum():9} {sizes.max():8} "
        f"{largest:13.0%} {cut:12} {seconds:8.1f}"
    )


def pairs(pictures: Pictures, out: Path) -> None:
    """Draws eight pairs for each band of distance, to judge by eye."""
    distinct, first = np.unique(pictures.words, axis=0, return_index=True)
    left, right, bits = banding.near_pairs(distinct, 40)
    rng = np.random.default_rng(1)
    sheet = Image.new("RGB", (8 * 210, 5 * 110), "grey")
    for row, (low, high) in enumerate(((-1, 16), (16, 20), (20, 24), (24, 32), (32, 40))):
        inside = np.flatnonzero((bits > low) & (bits <= high))
        for column, pair in enumerate(rng.permutation(inside)[:8]):
            for side, node in enumerate((left[pair], right[pair])):
                image = Image.open(pictures.paths[first[node]]).convert("RGB").resize((98, 98))
                sheet.paste(image, (column * 210 + side * 100, row * 110))
    sheet.save(out)


def speed(count: int) -> None:
    """Times the planners on random fingerprints of which 5% have a near copy."""
    rng = np.random.default_rng(0)
    table = rng.integers(0, 2**64, (count, 4), np.uint64)
    table[count - count // 20 :] = table[: count // 20] ^ np.array([0, 0, 1, 6], np.uint64)
    class_ids = rng.integers(0, 100, count).astype(np.int32)
    order = rng.integers(0, 2**64, count, np.uint64)
    start = time.perf_counter()
    group = duplicates.near_groups(table, class_ids).group
    middle = time.perf_counter()
    split.assign(group, class_ids, order, FRACTIONS)
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} pictures: groups {middle - start:.1f} s, split {end - middle:.1f} s")
    print(f"peak memory {peak:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("recall", "groups", "pairs", "speed"))
    parser.add_argument("argument", help="FOLDER, or N for speed")
    parser.add_argument("out", nargs="?", type=Path, help="PNG, for pairs")
    options = parser.parse_args()
    if options.what == "speed":
        speed(int(options.argument))
        return
    pictures = read(Path(options.argument))
    if options.what == "pairs":
        pairs(pictures, options.out or Path("pairs.png"))
    else:
        {"recall": recall, "groups": groups}[options.what](pictures)


if __name__ == "__main__":
    main()
