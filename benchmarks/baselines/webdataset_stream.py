"""WebDataset on tars of the same encoded images, with PyTorch's worker processes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import webdataset as wds

from benchmarks.harness import pace


def stream(folder: Path, side: int, batch: int) -> Iterator[Any]:
    """Yields (images, labels) without end."""
    names = sorted(str(path) for path in folder.glob("*.tar"))
    workers = min(len(os.sched_getaffinity(0)), len(names))
    samples = wds.WebDataset(names, shardshuffle=len(names), empty_check=False).repeat()
    samples = samples.shuffle(1000)
    if any(path.endswith("-raw") for path in (folder.name,)):
        shape = (side, side, 3)
        pairs = samples.to_tuple("raw", "cls").map_tuple(
            lambda data: np.frombuffer(data, np.uint8).reshape(shape), int
        )
    else:
        pairs = samples.decode("rgb8").to_tuple("jpg", "cls")
    loader = wds.WebLoader(pairs.batched(batch), batch_size=None, num_workers=workers)
    return iter(loader)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--side", type=int, default=224)
    flags = parser.parse_args()
    pace.measure(
        lambda: stream(flags.folder, flags.side, flags.batch),
        lambda batch: len(batch[0]),
        flags.seconds,
    )


if __name__ == "__main__":
    main()
