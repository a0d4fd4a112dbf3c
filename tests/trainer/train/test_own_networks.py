"""Training a person's own network: penalties, frozen layers, errors inside a step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.datasets import fakes
from tests.support.runs.runs import config
from tests.support.runs.train_configs import config as flags
from tfrecords.errors import TrainerError
from trainer.data.stream import Batch
from trainer.devices import Devices
from trainer.models.build import build_network
from trainer.runs.load import load_run
from trainer.train import losses, optim
from trainer.train.run import run
from trainer.train.step import Stepper, to_host

MODULE = "tests.support.networks.own_networks"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    fakes.write_dataset(folder)
    return folder


@pytest.fixture(params=["float32", "mixed_bfloat16", "mixed_float16"])
def precision(request: pytest.FixtureRequest) -> Iterator[str]:
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("parts", [1, 2])
def test_a_penalty_enters_the_gradient_whatever_the_precision(precision: str, parts: int) -> None:
    """SGD at 0.01 with 10·‖W‖² leaves 0.8 of a kernel, whose loss alone has a tiny gradient."""
    settings = flags(
        model=f"{MODULE}:penalised", optimizer="sgd", momentum=0.0, learning_rate=0.01,
        weight_decay=0.0, schedule="constant", warmup_epochs=0, batch_size=4, grad_accum=parts,
        label_smoothing=0.0, loss="cross_entropy",
    )  # fmt: skip
    network = build_network(settings, (8, 8), 3)
    plan = optim.build(settings, steps_per_epoch=4)
    stepper = Stepper(
        network,
        optim.build_optimizer(settings, plan),
        losses.build(settings, [1, 1, 1], plan.total_steps),
        settings,
        Devices("cpu", ("cpu",), precision, tf.distribute.get_strategy(), deterministic=True),
    )
    kernel = network.model.get_layer("head").kernel
    before = np.array(kernel.numpy())
    labels = tf.constant([0, 1, 2, 0])
    ones = tf.ones(4)
    to_host(stepper.run(Batch(tf.zeros((4, 8, 8, 3), tf.uint8), labels, labels, ones, ones)))
    np.testing.assert_allclose(kernel.numpy(), 0.8 * before, rtol=1e-4)


def test_frozen_layers_end_as_they_began(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = config(
        data_dir, tmp_path / "r", model=f"{MODULE}:partly_frozen", epochs=1, progress="lines"
    )
    run(settings, report=False)
    assert "(20 in layers that it freezes)" in capsys.readouterr().err
    keras.utils.set_random_seed(1)
    fresh = build_network(settings, (16, 16), 3).model
    model = load_run(tmp_path / "r", trust_run_code=True).model
    assert len(fresh.weights) == len(model.weights) == 8
    assert [v.trainable for v in model.weights] == [v.trainable for v in fresh.weights]


def test_a_subclassed_network_is_trained_and_read_back(data_dir: Path, tmp_path: Path) -> None:
    settings = config(data_dir, tmp_path / "r", model=f"{MODULE}:subclassed", epochs=1)
    assert run(settings).status == "completed"
    opened = load_run(tmp_path / "r", trust_run_code=True)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    read = keras.saving.load_model(tmp_path / "r" / "model.keras", compile=False)
    np.testing.assert_allclose(read(pixels), opened.model(pixels), rtol=1e-5, atol=1e-5)


def test_an_error_inside_a_step_names_the_line(data_dir: Path, tmp_path: Path) -> None:
    settings = config(data_dir, tmp_path / "r", model=f"{MODULE}:failing_when_run", epochs=1)
    with pytest.raises(TrainerError, match=r"own_networks.py, line \d+: ") as failed:
        run(settings, report=False)
    assert "\n" not in str(failed.value) and "in user code" not in str(failed.value)
