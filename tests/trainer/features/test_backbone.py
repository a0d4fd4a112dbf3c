"""The part of a network before its head."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.support.runs.train_configs import config
from tfrecords.errors import UsageError
from trainer.features.backbone import (
    ONNX,
    ONNX_FROM,
    TENSORFLOW,
    Runtimes,
    backbone_of,
    digest,
    onnx_runtime,
    tensorflow_runtime,
)
from trainer.models.build import build

PIXELS = np.random.default_rng(3).integers(0, 256, (5, 48, 32, 3)).astype(np.uint8)
NAMES = (
    "springfield_cnn",
    "mobilenetv2",
    "efficientnet-lite0",
    "tests.support.networks.tiny:network",
)


@pytest.mark.parametrize("name", NAMES)
def test_head_of_features_gives_the_logits(name: str) -> None:
    model = build(config(model=name), (48, 32), 5)
    features = tensorflow_runtime(backbone_of(model))(PIXELS)
    kernel, bias = model.get_layer("head").get_weights()
    np.testing.assert_allclose(features @ kernel + bias, model(PIXELS), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_both_runtimes_give_the_same_features(name: str) -> None:
    for module in ("onnx", "onnxruntime", "tf2onnx"):
        pytest.importorskip(module)
    backbone = backbone_of(build(config(model=name), (48, 32), 5))
    np.testing.assert_allclose(
        onnx_runtime(backbone)(PIXELS), tensorflow_runtime(backbone)(PIXELS), atol=1e-4
    )


def test_onnxruntime_is_for_many_pictures_on_a_cpu() -> None:
    for module in ("onnx", "onnxruntime", "tf2onnx"):
        pytest.importorskip(module)
    backbone = backbone_of(build(config(), (32, 32), 5))
    on_cpu = Runtimes(backbone, on_cpu=True)
    assert on_cpu.quickest(ONNX_FROM - 1)[0] == TENSORFLOW
    assert on_cpu.quickest(ONNX_FROM)[0] == ONNX
    assert on_cpu.quickest(1)[0] == ONNX, "it is made already"
    assert Runtimes(backbone, on_cpu=False).quickest(10**6)[0] == TENSORFLOW


def test_the_digest_is_of_layers_and_weights() -> None:
    model = build(config(), (32, 32), 5)
    same = build(config(), (32, 32), 7)  # Keras numbers its layers on.
    for own, other in list(zip(same.weights, model.weights, strict=True))[:-2]:
        own.assign(other)
    one = digest(backbone_of(model), "springfield_cnn")
    assert digest(backbone_of(same), "springfield_cnn") == one
    assert digest(backbone_of(model), "other") != one
    model.weights[0].assign(model.weights[0] * 1.001)
    assert digest(backbone_of(model), "springfield_cnn") != one


def test_networks_whose_head_is_no_linear_layer_at_the_end() -> None:
    pixels = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(pixels)
    dense = keras.layers.Dense
    softmax = keras.Model(pixels, dense(3, activation="softmax", name="head")(flat))
    behind = keras.Model(pixels, keras.layers.Softmax()(dense(3, name="head")(flat)))
    maps = keras.Model(pixels, dense(3, name="head")(pixels))
    for model, said in ((softmax, "softmax"), (behind, "the last"), (maps, "n, channels")):
        with pytest.raises(UsageError, match=said):
            backbone_of(model)
