"""Applies gradients on two logical CPUs; TensorFlow sets their number once in a process.

Prints a line of JSON for each replica that overflows, and for none: the weights of both replicas
after one step, the scale and the number of steps that count.
"""

from __future__ import annotations

import json

import keras
import numpy as np
import tensorflow as tf

from tests.support.runs.train_configs import config
from trainer.train import optim
from trainer.train.loss_scaling import LossScale
from trainer.train.optim import Plan, Schedule

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(
    ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
)


def stepped(bad: int) -> dict[str, object]:
    """Returns what is there after a step in which one replica's gradient is infinite."""
    with strategy.scope():
        variable = keras.Variable(np.ones(3), name="kernel")
        optimizer = LossScale(optim.build_optimizer(config(), Plan((Schedule(0.1, 30),))))
        optimizer.build([variable])

    def step() -> None:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        value = tf.where(replica == bad, np.inf, 2.0**15)
        optimizer.apply([tf.fill([3], value)], [variable])

    tf.function(lambda: strategy.run(step))()
    weights = [
        each.numpy().tolist() for each in strategy.experimental_local_results(variable.value)
    ]
    return {
        "weights": weights,
        "scale": float(optimizer.dynamic_scale.numpy()),
        "steps": int(optimizer.iterations.numpy()),
    }


for bad in (-1, 0, 1):
    print(json.dumps(stepped(bad)))
