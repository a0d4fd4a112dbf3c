from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.train_configs import config
from trainer.train import optim
from trainer.train.optim import KerasSchedule, Schedule


@pytest.mark.parametrize("kind", ["cosine", "step", "constant"])
@pytest.mark.parametrize("warmup", [0, 10])
def test_the_graph_computes_what_python_does(kind: str, warmup: int) -> None:
    schedule = Schedule(0.1, 100, warmup, kind)
    in_graph = KerasSchedule(schedule)
    found = [float(in_graph(tf.constant(step, tf.int64))) for step in range(101)]
    np.testing.assert_allclose(found, [schedule.at(step) for step in range(101)], atol=1e-7)


def test_cosine_rises_to_its_peak_and_falls_to_zero() -> None:
    rates = [Schedule(1.0, 100, 10).at(step) for step in range(101)]
    assert rates[10] == 1.0 == max(rates)
    assert rates[:11] == sorted(rates[:11]) and rates[0] > 0
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[100] == pytest.approx(0)


def test_step_falls_tenfold_three_times() -> None:
    rates = [Schedule(1.0, 100, kind="step").at(step) for step in range(100)]
    assert sorted({round(rate, 6) for rate in rates}) == [0.001, 0.01, 0.1, 1.0]


def test_warm_up_is_at_most_a_fifth() -> None:
    assert optim.build(config(epochs=5, warmup_epochs=4.0), 10).warmup_steps == 10
    assert optim.build(config(epochs=100, warmup_epochs=4.0), 10).warmup_steps == 40


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lamb", "lion"])
def test_decay_shrinks_kernels_and_spares_the_rest(optimizer: str) -> None:
    layers = [keras.layers.Dense(3), keras.layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((2,)), *layers])
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    flags = config(optimizer=optimizer, schedule="constant", warmup_epochs=0.0, weight_decay=0.5)
    built = optim.build_optimizer(flags, Schedule(0.1, 100, 0, "constant"))
    built.apply([tf.zeros(v.shape) for v in model.trainable_variables], model.trainable_variables)
    for variable in model.trainable_variables:
        if variable.name == "kernel":
            assert (variable.numpy() < 1).all()
        else:
            np.testing.assert_array_equal(variable.numpy(), 1)
