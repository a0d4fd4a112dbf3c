"""The floor of a bake: our decode, resize and encode in a bare pool, records to plain files.

No Beam, no list, no plan, no hash, no checks, no temporary names: nothing that makes the same
images can take less, short of another codec. `--hashes` adds the fingerprints that a bake
finds duplicates by.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# As many pictures as a bundle of the bake holds; a file a part, as a worker writes one.
PART = 192


def records(paths: list[Path], side: int, hashes: bool) -> Iterator[bytes]:
    """Yields the framed records of source files; skips what cannot be decoded."""
    from PIL import Image

    from tfrecords import example, framing
    from tfrecords.images import canonicalise
    from tfrecords.schema import ImageRecord, ImageSpec

    spec, limits = ImageSpec(side, side), canonicalise.PixelLimits()
    for path in paths:
        try:
            if hashes:
                image = canonicalise.canonicalise(path.read_bytes(), spec, limits).data
            else:
                # The steps inside `canonicalise`; `decode` would not pass the box on.
                source = canonicalise._decode(path.read_bytes(), spec, limits)
                resized = canonicalise.fitted(source.picture, spec, source.box)
                rgb = Image.fromarray(canonicalise.three_channels(resized))
                image = canonicalise.encode(rgb, spec)
        except canonicalise.ImageError:
            continue
        yield framing.frame(example.encode(ImageRecord(image, 0, path.name, 0, 0)))


def write(output: Path, side: int, hashes: bool, part: tuple[int, list[Path]]) -> int:
    """Writes one part and returns its number of records."""
    number, paths = part
    count = 0
    with (output / f"{number:05d}.tfrecord").open("wb", buffering=1 << 20) as file:
        for record in records(paths, side, hashes):
            file.write(record)
            count += 1
    return count


def main() -> None:
    from benchmarks import datasets
    from benchmarks.harness import compare

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--hashes", action="store_true")
    flags = parser.parse_args()
    flags.output.mkdir(parents=True)
    found = datasets.listed(flags.input)
    # Smaller parts where there are few pictures, so that no worker waits for the last.
    part = max(1, min(PART, len(found) // (8 * flags.workers)))
    parts = [(i, found[i : i + part]) for i in range(0, len(found), part)]
    work = functools.partial(write, flags.output, flags.side, flags.hashes)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(flags.workers, mp_context=context) as pool:
        compare.report(pictures=sum(pool.map(work, parts)))


if __name__ == "__main__":
    main()
