"""What the end of an epoch waits for: streams with TensorFlow's autotuning, and as they are.

    python -m benchmarks.train.epoch_ends --data_dir=O [--epochs=12] [--rounds=3]

Epochs of training batches are read one behind another, as the trainer reads them, between steps
of matrix products on all cores. Both ways take turns. A stop is a batch that took over a second:
the iterator of the epoch before is deleted then, and joins the thread that tunes it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Read when TensorFlow is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from tfrecords import manifest
from trainer.data import epochs, selection, stream
from trainer.data.selection import Source

BATCH = 64

# A batch that takes longer has waited for something else than its pictures.
_STOP_SECONDS = 1.0


@dataclass(frozen=True)
class Reading:
    """Epochs that were read.

    Attributes:
      seconds: from the first batch to the last.
      stops: seconds of each batch that took over a second.
    """

    seconds: float
    stops: tuple[float, ...]


def read(source: Source, count: int, step: Callable[[], object]) -> Reading:
    """Returns how long `count` epochs took, with `step` after each batch."""
    of_epoch = epochs.epoch_streams(source, BATCH, seed=0)
    steps = stream.steps_per_epoch(source, BATCH)
    batches = epochs.Epochs(
        lambda epoch, first: iter(of_epoch(epoch, first)), (0, 0), count, steps, lead=steps
    )
    next(batches)
    waits, started = [], time.perf_counter()
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        waits.append(time.perf_counter() - asked)
        if batch is None:
            break
        step()
    batches.close()
    slow = tuple(wait for wait in waits if wait > _STOP_SECONDS)
    return Reading(time.perf_counter() - started, slow)


def products(seconds: float) -> Callable[[], object]:
    """Returns a step that multiplies matrices on all cores for about `seconds`."""
    matrix = tf.constant(np.random.default_rng(0).normal(size=(1024, 1024)).astype(np.float32))

    def step() -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            tf.linalg.matmul(matrix, matrix).numpy()

    return step


def _autotuned() -> tf.data.Options:
    options = stream.stream_options()
    options.autotune.enabled = True
    return options


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", type=Path, required=True, help="that a bake wrote")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--step", type=float, default=0.1, help="seconds of a step")
    flags = parser.parse_args()
    found = manifest.load(flags.data_dir)
    source = selection.open_split(found, flags.data_dir, "train", selection.select(found), None)
    ways = {"autotuned": _autotuned, "as it is": stream.stream_options}
    readings: dict[str, list[Reading]] = {name: [] for name in ways}
    for number in range(flags.rounds):
        for name, options in ways.items():
            epochs.stream_options = options
            readings[name].append(read(source, flags.epochs, products(flags.step)))
            last = readings[name][-1]
            print(f"round {number + 1}, {name}: {last.seconds:.1f} s, stops {last.stops}")
    for name, found_ in readings.items():
        stops = [stop for one in found_ for stop in one.stops]
        print(
            f"{name}: {len(stops)} stops in {flags.rounds * (flags.epochs - 1)} ends of epochs, "
            f"{sum(stops):.1f} s in all"
        )
    ratios = [
        ours.seconds / tuned.seconds
        for ours, tuned in zip(readings["as it is"], readings["autotuned"], strict=True)
    ]
    print(
        f"time as it is ÷ autotuned: {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
