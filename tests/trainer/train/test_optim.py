from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.runs.train_configs import config
from trainer.models.build import Network, build
from trainer.models.weights import Loaded
from trainer.train import optim
from trainer.train.optim import KerasSchedule, Plan, Schedule


@pytest.mark.parametrize("kind", ["cosine", "step", "constant"])
@pytest.mark.parametrize("warmup", [0, 10])
def test_the_graph_computes_what_python_does(kind: str, warmup: int) -> None:
    schedule = Schedule(0.1, 100, warmup, kind)
    in_graph = KerasSchedule(Plan((schedule,)))
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
    (short,) = optim.build(config(epochs=5, warmup_epochs=4.0), 10).phases
    (long,) = optim.build(config(epochs=100, warmup_epochs=4.0), 10).phases
    assert (short.warmup_steps, long.warmup_steps) == (10, 40)


def test_frozen_epochs_have_a_schedule_of_their_own() -> None:
    flags = config(epochs=5, freeze_epochs=2, weights="w.keras", warmup_epochs=1.0)
    plan = optim.build(flags, 10)
    assert [(p.total_steps, p.warmup_steps) for p in plan.phases] == [(20, 4), (30, 6)]
    assert plan.total_steps == 50 == optim.build(config(epochs=5), 10).total_steps
    assert [optim.phase_of(flags, epoch) for epoch in range(5)] == [0, 0, 1, 1, 1]
    in_graph = KerasSchedule(plan)
    in_graph.phase = 1
    assert float(in_graph(tf.constant(6))) == pytest.approx(plan.phases[1].peak)
    assert len(optim.build(config(epochs=2, freeze_epochs=9, weights="w"), 10).phases) == 1


def test_new_layers_have_the_whole_rate_and_loaded_ones_less_towards_the_input() -> None:
    model = build(config(dropout=0.0), (32, 32), 5)
    head = [variable for variable in model.weights if variable.path.startswith("head/")]
    rest = [variable for variable in model.weights if not variable.path.startswith("head/")]
    network = Network(model, Loaded.of("w", model, rest))
    flags = config(weights="w", backbone_rate=0.2, layer_decay=0.5)
    factors = optim.rate_factors(network, flags)
    assert not any(id(variable) in factors for variable in head)
    rates = [factors[id(variable)] for variable in rest]
    assert rates == sorted(rates) and rates[-1] == 0.2
    assert rates[0] == pytest.approx(0.2 * 0.5 ** (optim.LAYER_GROUPS - 1))
    assert set(optim.rate_factors(network, config(weights="w")).values()) == {0.1}
    assert optim.rate_factors(Network(model), flags) == {}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lamb", "lion"])
def test_a_factor_scales_update_and_decay(optimizer: str) -> None:
    flags = config(optimizer=optimizer, schedule="constant", warmup_epochs=0.0, weight_decay=0.5)
    variables = [keras.Variable(np.ones((2, 2)), name="kernel") for _ in range(2)]
    plan = Plan((Schedule(0.01, 100, 0, "constant"),))
    built = optim.build_optimizer(flags, plan, {id(variables[0]): 0.1})
    built.build(variables)
    built.apply([tf.ones((2, 2)), tf.ones((2, 2))], variables)
    moved = [1 - variable.numpy() for variable in variables]
    np.testing.assert_allclose(moved[0], 0.1 * moved[1], rtol=0.03)


def test_forgetting_leaves_nothing_of_the_phase_before() -> None:
    variable = keras.Variable(np.ones((2, 2)), name="kernel")
    built = optim.build_optimizer(config(), Plan((Schedule(0.1, 100),)))
    built.build([variable])
    built.apply([tf.ones((2, 2))], [variable])
    assert any(np.any(each.numpy()) for each in built.variables)
    built.forget()
    assert not any(np.any(each.numpy()) for each in built.variables)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lamb", "lion"])
def test_decay_shrinks_kernels_and_spares_the_rest(optimizer: str) -> None:
    layers = [keras.layers.Dense(3), keras.layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((2,)), *layers])
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    flags = config(optimizer=optimizer, schedule="constant", warmup_epochs=0.0, weight_decay=0.5)
    built = optim.build_optimizer(flags, Plan((Schedule(0.1, 100, 0, "constant"),)))
    built.apply([tf.zeros(v.shape) for v in model.trainable_variables], model.trainable_variables)
    for variable in model.trainable_variables:
        if variable.name == "kernel":
            assert (variable.numpy() < 1).all()
        else:
            np.testing.assert_array_equal(variable.numpy(), 1)
