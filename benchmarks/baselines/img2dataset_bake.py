"""img2dataset on files of this machine: it downloads file:// addresses, resizes and writes tars.

It has no mode that squashes, so pictures are cut to a square; its TFRecords would need
tensorflow-io, which is not built for today's TensorFlow. What it leaves out: labels, hashes, the
split; reasons of files that fail are in its own statistics.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from img2dataset import download

from benchmarks import datasets
from benchmarks.harness import compare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--processes", type=int, default=2)
    flags = parser.parse_args()
    paths = datasets.listed(flags.input)
    flags.output.mkdir(parents=True)
    addresses = flags.output / "addresses.txt"
    addresses.write_text("".join(f"{path.resolve().as_uri()}\n" for path in paths))
    download(
        url_list=str(addresses),
        input_format="txt",
        output_folder=str(flags.output / "tars"),
        output_format="webdataset",
        image_size=flags.side,
        resize_mode="center_crop",
        encode_quality=95,
        processes_count=flags.processes,
        thread_count=8,
        number_sample_per_shard=-(-len(paths) // flags.shards),
        retries=0,
    )
    statistics = (flags.output / "tars").glob("*_stats.json")
    compare.report(pictures=sum(json.loads(one.read_text())["successes"] for one in statistics))


if __name__ == "__main__":
    main()
