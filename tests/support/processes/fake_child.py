"""Stands in for trainer.sweep.child: a trial without TensorFlow, in a third of a second.

It keeps to the same contract: flags in, metrics.csv and config.json out, --stop_after_epoch,
resume, SIGTERM ends it with 143, an error is the last line and exit code 1.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from tests.support.runs import run_configs
from tfrecords import manifest as manifests
from tfrecords.cli import parsing
from trainer.config import TrainConfig
from trainer.sweep import child

COLUMNS = ("epoch", "val_macro_f1", "val_top1", "val_loss", "seconds")


def score(config: TrainConfig, epoch: int) -> float:
    """Returns the macro-F1 after an epoch: better with more pictures, worse at the end."""
    return round(1 - 1 / (config.per_class or 1) - 1 / (1 + epoch) ** 2, 6)


def rows(config: TrainConfig, epochs: int) -> list[str]:
    """Returns the lines of metrics.csv after some epochs."""
    body = [
        f"{epoch},{score(config, epoch)},{score(config, epoch)},{2 - score(config, epoch)},1.5"
        for epoch in range(1, epochs + 1)
    ]
    return [",".join(COLUMNS), *body]


def train(config: TrainConfig) -> None:
    """Adds epochs to metrics.csv up to --epochs or --stop_after_epoch."""
    folder = Path(config.run_dir)
    run_configs.write(folder, run_configs.describe(config, manifests.load(config.data_dir)))
    metrics = folder / "metrics.csv"
    done = len(metrics.read_text().splitlines()) - 1 if metrics.exists() else 0
    last = min(config.epochs, config.stop_after_epoch or config.epochs)
    for epoch in range(done + 1, last + 1):
        if config.model == "fake:slow" and epoch == 2:
            time.sleep(600)
        temporary = folder / "metrics.tmp"
        temporary.write_text("\n".join(rows(config, epoch)) + "\n")
        os.replace(temporary, metrics)
    if last == config.epochs:
        (folder / "report").mkdir(exist_ok=True)
        (folder / "report" / "index.html").write_text("<title>a trial</title>")


def main(argv: list[str]) -> int:
    """Returns the exit code."""
    parent, cores, *given = argv
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    child.stop_without(int(parent))
    config = parsing.parse(TrainConfig, given)
    print("cores", cores, "of", os.environ.get("OMP_NUM_THREADS"), flush=True)
    if config.model == "fake:fails":
        print("error: it went wrong")
        return 1
    if config.model == "fake:stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (Path(config.run_dir) / "deaf").touch()
        time.sleep(600)
    if config.model == "fake:killed":
        os.kill(os.getpid(), signal.SIGKILL)
    train(config)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
