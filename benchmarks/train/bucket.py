"""What distance costs the trainer's input: megabytes a second from a bucket that is far.

    python -m benchmarks.train.bucket [--latency_ms=0,50,200] [--read_parallelism=1,8,32]

The bucket is `benchmarks.train.fake_gcs` on this machine: TensorFlow's own client of gs:// asks it,
each answer comes after the latency and then at the pace of one stream (--stream_mb_per_s; slow, so
that streams are the limit and not this machine, which computes both ends' TLS). An epoch is
read, shuffled and batched as in training, and its raw pixels unpacked; nothing trains. Opening
counts: the manifest, the sizes of all shards, the first records. Memory is the peak of the reading
process above what it had before it opened the data set.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.harness.paths import BENCH
from benchmarks.train import fake_gcs
from tfrecords import example, framing, manifest
from tfrecords.manifest import Manifest, ShardInfo, SplitInfo
from tfrecords.schema import TRAIN, Encoding, ImageRecord, ImageSpec
from tfrecords.sharding import shard_name

SIDE = 64
SHARDS = 32
RECORDS = 512  # Of a shard: 6.3 MB.


def write(folder: Path) -> None:
    """Writes a data set of two classes of noise, 200 MB, unless it is there."""
    if (folder / manifest.MANIFEST).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    shards = tuple(_write_shard(folder, number) for number in range(SHARDS))
    half = SHARDS * RECORDS // 2
    split = SplitInfo(TRAIN, (half, half), (0, 0), shards)
    found = Manifest(
        name="far", classes=("even", "odd"), image=ImageSpec(SIDE, SIDE, encoding=Encoding.RAW),
        splits=(split,), statuses={"kept": 2 * half}, config={},
        digests={
            "sources": manifest.digest_of_config({"noise": SHARDS}),
            "config": manifest.digest_of_config({}),
            "dataset": manifest.digest_of_shards((split,)),
        },
    )  # fmt: skip
    (folder / manifest.MANIFEST).write_text(found.to_json(), encoding="utf-8")


def _write_shard(folder: Path, number: int) -> ShardInfo:
    rng = np.random.default_rng(number)
    records = (
        ImageRecord(rng.bytes(SIDE * SIDE * 3), i % 2, f"{number}/{i}", number * RECORDS + i, 0)
        for i in range(RECORDS)
    )
    data = b"".join(framing.frame(example.encode(record)) for record in records)
    name = shard_name("far", TRAIN, number, SHARDS)
    (folder / name).write_bytes(data)
    return ShardInfo(name, RECORDS, len(data), hashlib.sha256(data).hexdigest())


def read(url: str, parallel: int) -> dict[str, float]:
    """Reads an epoch, in this process; returns its MB a second and MB of memory."""
    from trainer import tensorflow_import  # Here, for the parent needs no TensorFlow.

    tensorflow_import.import_tensorflow(verbose=False)
    from trainer import remote
    from trainer.data import selection
    from trainer.data import stream as data

    before, began = _peak_mb(), time.perf_counter()
    found = remote.load(url)
    source = selection.open_split(
        found, url, TRAIN, selection.select(found), read_parallelism=parallel
    )
    count = sum(1 for _ in data.training_stream(source, 64, 1, 0, shuffle_buffer_mb=16))
    seconds = time.perf_counter() - began
    if count != data.steps_per_epoch(source, 64):
        raise RuntimeError(f"{count} batches of {data.steps_per_epoch(source, 64)}")
    return {"rate": source.split.bytes / 1e6 / seconds, "memory": _peak_mb() - before}


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def measure(url: str, parallel: int, environment: dict[str, str]) -> dict[str, float]:
    """Returns what `read` says in a process of its own."""
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.train.bucket",
            f"--read={url}", f"--read_parallelism={parallel}",
        ],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def _row(where: str, parallel: int, runs: list[dict[str, float]]) -> str:
    rates = [run["rate"] for run in runs]
    memory = statistics.median(run["memory"] for run in runs)
    return (
        f"{where:>12} {parallel:>16} {statistics.median(rates):8.0f} "
        f"{min(rates):5.0f}–{max(rates):<5.0f} {memory:8.0f}"
    )


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency_ms", type=_numbers, default=[0, 50, 200])
    parser.add_argument("--read_parallelism", type=_numbers, default=[1, 8, 32])
    parser.add_argument("--stream_mb_per_s", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    if flags.read:
        print(json.dumps(read(flags.read, flags.read_parallelism[0])))
        return 0
    folder = BENCH / "data" / "far"
    write(folder)
    print(f"{'where':>12} {'read_parallelism':>16} {'MB/s':>8} {'range':>11} {'MB more':>8}")
    for parallel in flags.read_parallelism:
        runs = [measure(str(folder), parallel, {}) for _ in range(flags.rounds)]
        print(_row("disk", parallel, runs), flush=True)
    for latency in flags.latency_ms:
        distance = fake_gcs.Distance(latency / 1e3, flags.stream_mb_per_s * 1e6)
        with fake_gcs.serving(folder.parent, distance) as environment:
            for parallel in flags.read_parallelism:
                url = f"gs://bucket/{folder.name}"
                runs = [measure(url, parallel, dict(environment)) for _ in range(flags.rounds)]
                print(_row(f"{latency} ms", parallel, runs), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
