"""What --model names."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest

from tests.support.runs.train_configs import config
from tfrecords.errors import UsageError
from trainer.models.build import build

PIXELS = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)


@pytest.fixture
def half_precision() -> Iterator[None]:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    yield
    keras.mixed_precision.set_global_policy("float32")


def test_logits_are_float32_whatever_the_precision(half_precision: None) -> None:
    for flags in (config(), config(model="mobilenetv2")):
        model = build(flags, (32, 32), 5)
        assert model.layers[2].compute_dtype == "bfloat16"
        assert model(PIXELS).dtype == "float32"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet51", "did you mean 'resnet50'"),
        ("springfeld_cnn", "did you mean 'springfield_cnn'"),
        ("no.such.module:network", "No module named"),
        ("tests.support.networks.tiny:nothing", "no attribute 'nothing'"),
        ("tests.support.datasets.fakes:picture", "expected a keras.Model"),
        ("inceptionv3", "inceptionv3 at 32x32"),
    ],
)
def test_impossible_models(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build(config(model=name), (32, 32), 5)


def test_own_models() -> None:
    model = build(config(model="tests.support.networks.tiny:network"), (32, 32), 5)
    assert model.output_shape == (None, 5)


def test_dropout_reaches_own_models_that_take_it() -> None:
    flags = config(model="tests.support.networks.tiny:with_dropout", dropout=0.3)
    model = build(flags, (32, 32), 5)
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.3]
    with pytest.raises(UsageError, match=r"--dropout=0.3: .*:network takes none"):
        build(config(model="tests.support.networks.tiny:network", dropout=0.3), (32, 32), 5)


@pytest.mark.parametrize("name", ["springfield_cnn", "mobilenetv2", "efficientnet-lite0"])
def test_dropout_reaches_every_head_of_ours(name: str) -> None:
    model = build(config(model=name, dropout=0.3), (32, 32), 5)
    dropout = model.layers[-2]
    assert isinstance(dropout, keras.layers.Dropout) and dropout.rate == 0.3
