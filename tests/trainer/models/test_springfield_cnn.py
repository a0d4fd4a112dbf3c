"""The project's own network."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.support.train_configs import config
from trainer.models.build import build

PIXELS = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", [(16, 16), (32, 32), (64, 48), (224, 224)])
def test_springfield_takes_any_size(size: tuple[int, int]) -> None:
    model = build(config(), size, 42)
    assert model.output_shape == (None, 42)
    assert model.count_params() < 1_000_000
    narrowest = min(layer.output.shape[1] for layer in model.layers if len(layer.output.shape) == 4)
    assert narrowest <= 7, "the costly layers work on small maps"


def test_the_wide_stage_has_512_filters() -> None:
    model = build(config(wide=True), (32, 32), 121)
    assert 512 in {v.shape[-1] for v in model.trainable_variables}
    assert model.count_params() < 2_000_000


def test_rescaling_is_inside() -> None:
    model = build(config(dropout=0.0), (32, 32), 5)
    assert float(np.std(model(PIXELS))) > 0
    scaled = keras.Model(model.input, model.layers[1].output)(PIXELS.astype(np.float32))
    assert -1 <= float(np.min(scaled)) < -0.9 and 0.9 < float(np.max(scaled)) <= 1
