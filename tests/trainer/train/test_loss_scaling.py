"""Loss scaling without a branch against Keras' own, over steps of which some overflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.runs.train_configs import config
from trainer.data.stream import Batch
from trainer.devices import Devices
from trainer.models.build import build_network
from trainer.train import losses, optim
from trainer.train.loss_scaling import LossScale
from trainer.train.optim import Plan, Schedule
from trainer.train.step import Stepper

Apply = Callable[[list[tf.Tensor]], None]

# What is in a step's gradient, for a scale that doubles after three good steps in a row.
SERIES = (1.0, np.inf, 1.0, 1.0, 1.0, np.nan, np.nan, 1.0, -np.inf, 1.0, 1.0, 1.0, 1.0, np.inf, 1.0)
GROWTH = 3


@pytest.fixture(autouse=True)
def float32_again() -> Iterator[None]:
    yield
    keras.mixed_precision.set_global_policy("float32")


def gradients(step: int, value: float) -> list[tf.Tensor]:
    """Returns gradients of three variables as a scaled loss gives them, one number as asked."""
    rng = np.random.default_rng(step)
    made = [rng.normal(size=shape).astype(np.float32) * 2.0**15 for shape in ((3, 4), (4,), (2,))]
    made[step % 3].flat[0] *= value
    return [tf.constant(each) for each in made]


def built(name: str, kind: type[keras.optimizers.LossScaleOptimizer]) -> tuple[
    keras.optimizers.LossScaleOptimizer, list[keras.Variable]
]:  # fmt: skip
    flags = config(optimizer=name, weight_decay=0.5)
    inner = optim.build_optimizer(flags, Plan((Schedule(0.1, 30, 3),)))
    scaled = kind(inner, dynamic_growth_steps=GROWTH)
    shapes = (("kernel", (3, 4)), ("bias", (4,)), ("gamma", (2,)))
    variables = [keras.Variable(np.ones(shape), name=name) for name, shape in shapes]
    scaled.build(variables)
    return scaled, variables


def state(
    optimizer: keras.optimizers.Optimizer, variables: list[keras.Variable]
) -> list[np.ndarray]:
    return [np.asarray(each.numpy()) for each in (*optimizer.variables, *variables)]


def applied(
    optimizer: keras.optimizers.LossScaleOptimizer, variables: list[keras.Variable], jit: bool
) -> Apply:
    return tf.function(lambda grads: optimizer.apply(grads, variables), jit_compile=jit)


@pytest.mark.parametrize("jit", [False, True], ids=["kernels", "xla"])
@pytest.mark.parametrize("name", ["adamw", "sgd", "lamb", "lion"])
def test_every_step_is_that_of_keras(name: str, jit: bool) -> None:
    one, other = built(name, LossScale), built(name, keras.optimizers.LossScaleOptimizer)
    run, run_keras = applied(*one, jit), applied(*other, jit)
    scales = []
    for step, value in enumerate(SERIES):
        before = state(one[0].inner_optimizer, one[1])
        run(gradients(step, value))
        run_keras(gradients(step, value))
        for found, expected in zip(state(*one), state(*other), strict=True):
            if jit:  # XLA fuses the two programs in ways of its own.
                np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
            else:
                np.testing.assert_array_equal(found, expected)
        if not np.isfinite(value):  # The scale alone has changed.
            for found, expected in zip(state(one[0].inner_optimizer, one[1]), before, strict=True):
                np.testing.assert_array_equal(found, expected)
        scales.append(float(one[0].dynamic_scale))
    assert len(set(scales)) > 3 and max(scales) > scales[0] / 2  # It has grown and fallen.
    assert int(one[0].iterations) == sum(np.isfinite(SERIES))


def test_a_state_that_is_taken_over_goes_on_exactly() -> None:
    one, other = built("adamw", LossScale), built("adamw", LossScale)
    run, run_other = applied(*one, False), applied(*other, False)
    for step, value in enumerate(SERIES):
        if step == len(SERIES) // 2:
            for source, target in zip(
                (*one[0].variables, *one[1]), (*other[0].variables, *other[1]), strict=True
            ):
                target.assign(source.numpy())
        run(gradients(step, value))
        if step >= len(SERIES) // 2:
            run_other(gradients(step, value))
    for found, expected in zip(state(*other), state(*one), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_an_overflow_on_any_replica_skips_the_step_on_all() -> None:
    program = Path(__file__).parents[2] / "support" / "processes" / "mirrored_overflow.py"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    good, *overflows = map(json.loads, done.stdout.splitlines())
    assert good["steps"] == 1 and good["weights"][0] == good["weights"][1] != [1.0] * 3
    for found in overflows:
        assert found == {"weights": [[1.0] * 3] * 2, "scale": 2.0**14, "steps": 0}


def test_a_step_in_float16_asks_the_host_nothing() -> None:
    """No conditional in the whole graph: without XLA the host would wait to decide it."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    asked = config(
        model="tests.support.networks.tiny:network", batch_size="4", precision="mixed_float16",
        clip_norm=1.0, ema=0.9,
    )  # fmt: skip
    plan = optim.build(asked, 10)
    stepper = Stepper(
        build_network(asked, (16, 16), 3),
        optim.build_optimizer(asked, plan),
        losses.build(asked, [1] * 3, 10),
        asked,
        Devices("gpu", ("GPU",), "mixed_float16", tf.distribute.get_strategy(), False),
    )
    labels, ones = tf.zeros([4], tf.int32), tf.ones([4])
    batch = Batch(tf.zeros((4, 16, 16, 3), tf.uint8), labels, labels, ones, ones)
    graph = stepper._run.get_concrete_function(batch).graph.as_graph_def()
    functions = [graph.node, *(function.node_def for function in graph.library.function)]
    operations = {node.op for nodes in functions for node in nodes}
    assert "IsFinite" in operations
    assert not operations & {"If", "StatelessIf", "While", "Switch", "Merge"}
