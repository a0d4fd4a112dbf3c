"""What people write with Ray Data: read_images, a map that encodes with Pillow, TFRecords.

`read_images` decodes and resizes with Pillow in Ray's workers. What it leaves out: hashes, the
split, the ledger, reasons of files that fail: the first one ends it.
"""

from __future__ import annotations

import argparse
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import ray
from PIL import Image

from benchmarks import datasets
from benchmarks.baselines.records import Shards
from benchmarks.harness import compare


def encoded(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row whose image is a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(row["image"])).save(buffer, "JPEG", quality=95, subsampling="4:2:0")
    return {"image": buffer.getvalue(), "path": row["path"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--processes", type=int, default=2)
    flags = parser.parse_args()
    paths = [str(path.resolve()) for path in datasets.listed(flags.input)]
    ray.init(num_cpus=flags.processes, include_dashboard=False, logging_level=logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    pictures = ray.data.read_images(
        paths, size=(flags.side, flags.side), mode="RGB", include_paths=True
    ).map(encoded)
    with Shards(flags.output, flags.shards) as shards:
        for row in pictures.iter_rows():
            shards.write(row["image"], row["path"])
    compare.report(pictures=shards.count)


if __name__ == "__main__":
    main()
