"""Trains on one logical CPU and on two; TensorFlow sets their number once in a process."""

from __future__ import annotations

import sys

import tensorflow as tf

from trainer.config import TrainConfig
from trainer.train.run import run

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
for variant, options in enumerate(
    (
        {"model": "springfield_cnn", "dropout": 0.0, "optimizer": "sgd", "learning_rate": 0.01},
        {
            "model": "tests.support.networks.tiny:plain",
            "clip_norm": 0.1,
            "ema": 0.5,
            "grad_accum": 2,
        },
    )
):
    for distribute in ("none", "mirrored"):
        result = run(
            TrainConfig(
                data_dir=sys.argv[1],
                run_dir=f"{sys.argv[2]}/{variant}-{distribute}",
                epochs=1,
                batch_size="8",
                distribute=distribute,
                progress="none",
                **options,  # type: ignore[arg-type]  # Values of a table.
            ),
            report=False,
        )
        print("loss", result.best["val_loss"])
