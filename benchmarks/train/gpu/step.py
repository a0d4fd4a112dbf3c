"""Steps of ours and of Keras' fit: `python -m benchmarks.train.gpu.step SECONDS CASE …`."""

from __future__ import annotations

import gc
import sys
import time
from collections import deque

import keras
import numpy as np
import tensorflow as tf

from benchmarks.train.gpu import layout
from benchmarks.train.gpu.cases import CLASSES, Case, measure_each, result, timed
from trainer.config import TrainConfig
from trainer.data.augment import Augmenter
from trainer.data.on_device import Chooser
from trainer.data.stream import Batch
from trainer.devices import Devices, set_up_devices
from trainer.models.build import build_network
from trainer.train import losses, optim
from trainer.train.loop import LATE
from trainer.train.step import Stepper, to_host

AUGMENTED = Augmenter(("flip", "crop", "color"))


def config_of(case: Case) -> TrainConfig:
    """Returns the configuration of a case."""
    stacked = int(case.way[3:]) if case.way.startswith("spe") else 1
    return TrainConfig(
        data_dir="-",
        run_dir="-",
        model=case.model,
        batch_size=case.batch,
        precision=case.precision,
        jit_compile=case.jit if case.way != "fit" else "off",
        deterministic="off",
        steps_per_execution=stacked,
    )


def pictures(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Returns uint8[B, side, side, 3] and int32[B], random."""
    rng = np.random.default_rng(0)
    shape = (case.batch, case.side, case.side, 3)
    labels = rng.integers(0, CLASSES, case.batch, np.int32)
    return rng.integers(0, 256, shape, np.uint8), labels


def memory(devices: Devices, which: str) -> int:
    """Returns what the process holds of the GPU, or the most it did: "current", "peak"; bytes."""
    if devices.kind != "gpu":
        return 0
    return int(tf.config.experimental.get_memory_info("GPU:0")[which])


def of_fit(case: Case, seconds: float, devices: Devices) -> dict[str, object]:
    """Measures `Model.fit`, a call of as many steps as fill the time."""
    images, labels = pictures(case)
    config = config_of(case)
    began = time.perf_counter()
    model = build_network(config, images.shape[1:3], CLASSES).model
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=config.decay)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile="auto")
    one = tf.data.Dataset.from_tensors((tf.constant(images), tf.one_hot(labels, CLASSES)))
    data = one.repeat().prefetch(2)

    def fit(steps: int) -> float:
        started = time.perf_counter()
        model.fit(data, steps_per_epoch=steps, epochs=1, verbose=0)
        return time.perf_counter() - started

    fit(1)
    first = time.perf_counter() - began
    steps = max(3, int(seconds / max(1e-4, fit(3) / 3)))
    return result(case.batch, steps, fit(steps), first)


def of_ours(case: Case, seconds: float, devices: Devices) -> dict[str, object]:
    """Measures our step on one batch that lies in the device's memory."""
    images, labels = pictures(case)
    config = config_of(case)
    began = time.perf_counter()
    network = build_network(config, images.shape[1:3], CLASSES)
    plan = optim.build(config, 1000)
    loss = losses.build(config, [1] * CLASSES, plan.total_steps)
    if case.way == "unfused":  # What a CPU runs, placed on the GPU.
        devices = Devices("cpu", devices.names, devices.precision, devices.strategy, False)
    stepper = Stepper(network, optim.build_optimizer(config, plan), loss, config, devices)
    ones = np.ones(case.batch, np.float32)
    batch = Batch(*map(tf.constant, (images, labels, labels, ones, ones)))
    if case.way == "augment":
        *_, choices = Chooser(AUGMENTED)(batch.images, batch.labels, tf.constant([1, 2]))
        batch = batch._replace(choices=choices)
    stacked = config.steps_per_execution
    if stacked > 1:
        batch = tf.nest.map_structure(lambda part: tf.stack([part] * stacked), batch)
    with tf.device("/GPU:0" if tf.config.list_physical_devices("GPU") else "/CPU:0"):
        batch = tf.nest.map_structure(tf.identity, batch)
    found: dict[str, object] = {}
    if case.jit == "off" and case.way in ("ours", "nolayout"):
        found["layout"] = layout.of_first_run(lambda: to_host(stepper.run(batch)))
    else:
        to_host(stepper.run(batch))
    first = time.perf_counter() - began
    held: deque[tf.Tensor] = deque()

    def run() -> None:
        held.append(stepper.run(batch))
        while len(held) > (0 if case.way == "sync" else LATE):
            to_host(held.popleft())

    count, spent = timed(run, lambda: [to_host(each) for each in held], seconds)
    return {**result(case.batch, count * stacked, spent, first), **found}


def measured(case: Case, seconds: float) -> dict[str, object]:
    """Measures a case in a process that may have measured others."""
    keras.backend.clear_session()
    gc.collect()
    tf.config.optimizer.set_experimental_options({"layout_optimizer": case.way != "nolayout"})
    devices = set_up_devices(config_of(case))
    if devices.kind == "gpu":
        tf.config.experimental.reset_memory_stats("GPU:0")
    before = memory(devices, "current")
    found = (of_fit if case.way == "fit" else of_ours)(case, seconds, devices)
    return {**found, "peak_mib": (memory(devices, "peak") - before) >> 20}


def main() -> int:
    seconds = float(sys.argv[1])
    measure_each(sys.argv[2:], lambda case: measured(case, seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
