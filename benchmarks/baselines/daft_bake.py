"""What people write with Daft: decode, resize and encode in its engine, then write its batches.

What it leaves out: hashes, the split, the ledger, reasons of files that fail, the quality of the
JPEGs (its encoder has no such setting).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import daft

from benchmarks import datasets
from benchmarks.baselines.records import Shards
from benchmarks.harness import compare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--shards", type=int, default=8)
    flags = parser.parse_args()
    paths = [str(path) for path in datasets.listed(flags.input)]
    pictures = (
        daft.col("path")
        .download(on_error="null")
        .decode_image(on_error="null", mode="RGB")
        .resize(flags.side, flags.side)
        .encode_image("jpeg")
    )
    frame = daft.from_pydict({"path": paths}).select("path", pictures.alias("image"))
    with Shards(flags.output, flags.shards) as shards:
        for batch in frame.to_arrow_iter():
            for path, data in zip(batch["path"], batch["image"], strict=True):
                if data.is_valid:
                    shards.write(data.as_py(), path.as_py())
    compare.report(pictures=shards.count)


if __name__ == "__main__":
    main()
