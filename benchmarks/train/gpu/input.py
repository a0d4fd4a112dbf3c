"""The input of a data set: `python -m benchmarks.train.gpu.input DIR WHAT SECONDS|SIDE`.

WHAT: none, host or device, where the stream's pictures are augmented (by flip and crop), for the
pace of the stream alone; run-host or run-device for two epochs of `trainer.train`, ResNet-50 at
SIDE pixels (springfield_cnn below 64), and the part of the time that the second waits for input.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness.compare import METRICS

BATCH = 128


def of_stream(data_dir: str, where: str, seconds: float) -> dict[str, float]:
    """Measures the stream alone, on all cores, after some batches to warm up."""
    from benchmarks.train.gpu.cases import timed
    from trainer import remote
    from trainer.config import TrainConfig
    from trainer.data.augment import Augmenter
    from trainer.data.on_device import Chooser
    from trainer.data.selection import Selection, open_configured
    from trainer.data.stream import training_stream

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


def of_run(data_dir: str, where: str, side: int) -> dict[str, float]:
    """Measures two epochs of the command."""
    model = "resnet50" if side >= 64 else "springfield_cnn"
    with tempfile.TemporaryDirectory() as folder:
        argv = [
            sys.executable, "-m", "trainer.train", f"--data_dir={data_dir}",
            f"--run_dir={folder}/r", "--epochs=2", f"--batch_size={min(BATCH, side)}",
            f"--model={model}", f"--image_size={side}", "--augment=flip,crop",
            f"--augment_on={where}", "--recipe=scratch", "--deterministic=off", "--progress=none",
        ]  # fmt: skip
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        with Path(folder, "r", METRICS).open(encoding="utf-8", newline="") as file:
            last = list(csv.DictReader(file))[-1]
    return {"rate": float(last["images_per_second"]), "input_wait": float(last["input_wait"])}


def main() -> int:
    data_dir, what, amount = sys.argv[1:]
    if what.startswith("run-"):
        found = of_run(data_dir, what.removeprefix("run-"), int(amount))
    else:
        found = of_stream(data_dir, what, float(amount))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
