"""The input alone: `python -m benchmarks.train.gpu.input SECONDS DIR WHERE …`.

WHERE: none, host or device, where the stream's pictures are augmented by flip and crop.
"""

from __future__ import annotations

import sys
import time

from benchmarks.train.gpu.cases import report, timed
from trainer import remote
from trainer.config import TrainConfig
from trainer.data.augment import Augmenter
from trainer.data.on_device import Chooser
from trainer.data.selection import Selection, open_configured
from trainer.data.stream import training_stream

BATCH = 128


def of_stream(data_dir: str, where: str, seconds: float) -> dict[str, object]:
    """Measures the stream, on all cores, after some batches to warm up."""
    config = TrainConfig(data_dir=data_dir, run_dir="-", recipe="scratch", batch_size=BATCH)
    manifest = remote.load(data_dir)
    source = open_configured(config, manifest, config.train_split, Selection.of(config, manifest))
    augmenter = Augmenter(("flip", "crop"))
    augment = {"none": None, "host": augmenter, "device": Chooser(augmenter)}[where]
    began = time.perf_counter()
    stream = iter(training_stream(source, BATCH, 1000, 0, augment=augment))
    next(stream)
    first, cpu = time.perf_counter() - began, time.process_time()
    count, spent = timed(lambda: next(stream), lambda: None, seconds)
    core_ms = 1e3 * (time.process_time() - cpu) / ((count + 2) * BATCH)
    return {
        "rate": round(count * BATCH / spent),
        "first_s": round(first, 2),
        "core_ms": round(core_ms, 3),
    }


def main() -> int:
    seconds, data_dir, *places = sys.argv[1:]
    for where in places:
        report(f"input, augment {where}", of_stream(data_dir, where, float(seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
