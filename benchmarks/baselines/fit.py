"""A bare `keras.Model.fit` on tensors in memory: the network, optimizer and loss of ours.

python -m benchmarks.baselines.fit ARRAYS.npz --epochs=3 [--jit=off|auto]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.harness import compare, processes
from trainer.config import TrainConfig
from trainer.models import build
from trainer.train import optim


class Clock(keras.callbacks.Callback):
    """Notes when the first step and each epoch, with its validation, ended."""

    def __init__(self) -> None:
        super().__init__()
        self.first_step: float | None = None
        self.epochs: list[float] = []
        self.cpu: list[float] = []

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if self.first_step is None:
            self.first_step = time.time() - float(os.environ.get(processes.START, time.time()))

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.epochs.append(time.perf_counter())
        self.cpu.append(time.process_time())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("arrays", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--jit", choices=("off", "auto"), default="off")
    flags = parser.parse_args()
    with np.load(flags.arrays) as arrays:
        train = arrays["train_images"], arrays["train_labels"]
        validation = arrays["validation_images"], arrays["validation_labels"]
    classes = int(train[1].max()) + 1
    config = TrainConfig(data_dir="", run_dir="", batch_size=str(flags.batch), epochs=flags.epochs)
    model = build.build(config, train[0].shape[1:3], classes)
    per_epoch = -(-len(train[0]) // flags.batch)
    schedule = optim.build(config, per_epoch)
    model.compile(
        optimizer=optim.build_optimizer(config, schedule),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        metrics=["accuracy"],
        jit_compile="auto" if flags.jit == "auto" else False,
    )
    clock = Clock()
    targets, checks = (tf.one_hot(labels, classes) for _, labels in (train, validation))
    model.fit(
        tf.constant(train[0]), targets, batch_size=flags.batch, epochs=flags.epochs,
        validation_data=(tf.constant(validation[0]), checks), callbacks=[clock], verbose=0,
    )  # fmt: skip
    steps = per_epoch * (flags.epochs - 1)
    wall, cpu = (1e3 * (ends[-1] - ends[0]) / steps if steps else None
                 for ends in (clock.epochs, clock.cpu))  # fmt: skip
    compare.report(
        step_ms=wall,
        step_cpu_ms=cpu,
        first_step=clock.first_step,
        pictures=len(train[0]),
    )


if __name__ == "__main__":
    main()
