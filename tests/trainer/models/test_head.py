"""The head, and which layers are trained beside it."""

from __future__ import annotations

import keras
import pytest

from tests.support.runs.train_configs import config
from tfrecords.errors import UsageError
from trainer.models.build import build
from trainer.models.head import Trainability, head_of, leaves
from trainer.models.weights import Loaded


def trained_layers(model: keras.Model) -> list[str]:
    """Returns the names of the layers whose variables are trained, from input to output."""
    return list(dict.fromkeys(v.path.rpartition("/")[0] for v in model.trainable_variables))


@pytest.mark.parametrize("name", ["springfield_cnn", "mobilenetv2"])
def test_freezing_spares_the_head(name: str) -> None:
    model = build(config(model=name), (32, 32), 5)
    every = len(model.trainable_variables)
    trainability = Trainability(model)
    trainability.head_only()
    assert trained_layers(model) == ["head"]
    trainability.everything()
    assert len(model.trainable_variables) == every


@pytest.mark.parametrize("name", ["springfield_cnn", "mobilenetv2"])
def test_loaded_normalisation_stays_and_new_normalisation_is_trained(name: str) -> None:
    model = build(config(model=name), (32, 32), 5)
    norms = [x for x in leaves(model) if isinstance(x, keras.layers.BatchNormalization)]
    every = len(model.trainable_variables)
    loaded = Loaded.of("w", model, (w for layer in norms[1:] for w in layer.weights))
    trainability = Trainability(model)
    trainability.all_but_norms(loaded.variables)
    assert [layer.trainable for layer in norms] == [True] + [False] * (len(norms) - 1)
    assert len(model.trainable_variables) == every - 2 * (len(norms) - 1)


def test_layers_that_were_frozen_stay_so() -> None:
    model = build(config(), (32, 32), 5)
    first = next(layer for layer in leaves(model) if layer.weights)
    first.trainable = False
    trainability = Trainability(model)
    trainability.head_only()
    trainability.everything()
    assert not first.trainable


def test_a_network_without_a_head_is_refused() -> None:
    pixels = keras.Input((8, 8, 3))
    logits = keras.layers.Dense(5, name="logits")(keras.layers.Flatten()(pixels))
    with pytest.raises(UsageError, match="--freeze_epochs: .* no layer named 'head'"):
        head_of(keras.Model(pixels, logits), "--freeze_epochs")
    with pytest.raises(UsageError, match="no layer named 'head'"):
        flags = config(
            model="tests.support.networks.tiny:headless", weights="w.keras", freeze_epochs=1
        )
        build(flags, (16, 16), 5)
