"""The project's own network."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.support.runs.train_configs import config
from trainer.models import springfield_cnn
from trainer.models.build import build

PIXELS = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", [(16, 16), (32, 32), (64, 48), (224, 224)])
def test_springfield_takes_any_size(size: tuple[int, int]) -> None:
    model = build(config(), size, 42)
    assert model.output_shape == (None, 42)
    assert 750_000 < model.count_params() < 1_000_000
    narrowest = min(layer.output.shape[1] for layer in model.layers if len(layer.output.shape) == 4)
    assert narrowest <= 7, "the costly layers work on small maps"


def _maps(size: tuple[int, int], **changes: int) -> list[tuple[int, ...]]:
    """Returns (height, width, filters) of each convolution."""
    model = build(config(), size, 42, **changes)
    of = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    return [tuple(layer.output.shape[1:]) for layer in of]


def test_small_pictures_are_seen_at_full_resolution() -> None:
    assert _maps((32, 32)) == [
        (32, 32, 32), (32, 32, 32), (16, 16, 32), (16, 16, 32), (16, 16, 64), (8, 8, 64),
        (8, 8, 64), (8, 8, 128), (4, 4, 128), (4, 4, 128), (4, 4, 256),
    ]  # fmt: skip
    assert _maps((48, 40))[0] == (48, 40, 32)
    assert _maps((49, 40))[:2] == [(25, 20, 16), (13, 10, 32)], "a quarter of each side"


def test_the_network_of_earlier_runs_is_still_built() -> None:
    assert _maps((32, 32), version=1)[:2] == [(16, 16, 32), (16, 16, 48)]
    assert build(config(), (32, 32), 42, version=1).count_params() == 939_242
    assert _maps((64, 64), version=1) == _maps((64, 64))
    assert springfield_cnn.is_current((64, 64), 1) and not springfield_cnn.is_current((48, 48), 1)
    assert springfield_cnn.is_current((32, 32), springfield_cnn.VERSION)


def test_the_wide_stage_has_512_filters() -> None:
    model = build(config(wide=True), (32, 32), 121)
    assert 512 in {v.shape[-1] for v in model.trainable_variables}
    assert model.count_params() < 2_100_000


def test_rescaling_is_inside() -> None:
    model = build(config(dropout=0.0), (32, 32), 5)
    assert float(np.std(model(PIXELS))) > 0
    scaled = keras.Model(model.input, model.layers[1].output)(PIXELS.astype(np.float32))
    assert -1 <= float(np.min(scaled)) < -0.9 and 0.9 < float(np.max(scaled)) <= 1
