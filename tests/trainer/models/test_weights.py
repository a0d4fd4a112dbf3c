"""Weights loaded from a file."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.runs.train_configs import config
from tfrecords.errors import TrainerError, UsageError
from trainer.models.build import build, build_network
from trainer.models.weights import load_matching_weights, match


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
@pytest.mark.parametrize("name", ["springfield_cnn", "mobilenetv2"])
def test_weights_of_another_head_fit_but_for_the_head(
    tmp_path: Path, suffix: str, name: str
) -> None:
    source = build(config(model=name), (32, 32), 7)
    path = tmp_path / f"w{suffix}"
    (source.save if suffix == ".keras" else source.save_weights)(path)
    network = build_network(config(model=name, weights=str(path)), (32, 32), 5)
    ours, theirs = network.model.weights, source.weights
    for own, other in list(zip(ours, theirs, strict=True))[:-2]:
        np.testing.assert_array_equal(own, other, err_msg=own.path)
    assert ours[-1].shape == (5,)
    assert network.loaded is not None and network.loaded.new == ("head",)
    count = len(ours)
    assert (
        network.loaded.describe() == f"loaded {count - 2} of {count} weights from {path}; new: head"
    )


def stack(filters: tuple[int, ...], classes: int = 5) -> keras.Model:
    """Returns a network of 3x3 convolutions, every kernel of which has values of its own."""
    pixels = x = keras.Input((16, 16, 3))
    for number in filters:
        x = keras.layers.Conv2D(number, 3, padding="same", use_bias=False)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, keras.layers.Dense(classes, name="head")(x))


def test_a_layer_more_moves_nothing_into_the_place_of_another(tmp_path: Path) -> None:
    """By position, the new layer would get the weights of its successor, and so on."""
    source, path = stack((8, 16, 16, 16, 24)), tmp_path / "w.keras"
    source.save(path)
    target = stack((8, 12, 16, 16, 16, 24))
    loaded = load_matching_weights(target, str(path))
    before = {tuple(w.shape): np.asarray(w) for w in source.weights}
    np.testing.assert_array_equal(target.weights[0], source.weights[0])
    np.testing.assert_array_equal(target.weights[3], source.weights[2])
    np.testing.assert_array_equal(target.weights[4], source.weights[3])
    np.testing.assert_array_equal(target.weights[5], before[3, 3, 16, 24])
    assert len(loaded.new) == 2  # The new layer, and the one behind it, whose input differs.


def test_the_file_of_another_network_is_refused_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "w.weights.h5"
    stack((8, 32, 64, 96)).save_weights(path)
    flags = config(weights=str(path), model="tests.trainer.models.test_weights:other")
    with pytest.raises(TrainerError, match="only 1 of 6 weights .*--partial_weights"):
        build(flags, (16, 16), 7)
    partial = build_network(
        config(weights=str(path), model=flags.model, partial_weights=True), (16, 16), 7
    )
    assert partial.loaded is not None and len(partial.loaded.variables) == 1


def other(height: int, width: int, classes: int) -> keras.Model:
    """Returns a network that shares the first layer with that of the test."""
    del height, width
    return stack((8, 9, 10, 11), classes)


def test_refused_weights_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "w.weights.h5"
    stack((8, 32, 64, 96)).save_weights(path)
    target = other(16, 16, 7)
    before = [np.array(weight) for weight in target.weights]
    with pytest.raises(TrainerError, match="only 1 of 6"):
        load_matching_weights(target, str(path))
    for weight, value in zip(target.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_layers_are_ordered_by_number_not_by_text() -> None:
    keys = {f"layers/conv2d{f'_{i}' if i else ''}/vars/0": (i + 1,) for i in range(12)}
    assert match(keys, keys) == {key: key for key in keys}


def test_weights_that_do_not_exist_or_fit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        build(config(weights=str(tmp_path / "absent.keras")), (32, 32), 5)
    junk = tmp_path / "junk.weights.h5"
    junk.write_bytes(b"junk")
    with pytest.raises(TrainerError, match="cannot load"):
        build(config(weights=str(junk)), (32, 32), 5)
    stack((4,)).save_weights(tmp_path / "small.weights.h5")
    with pytest.raises(TrainerError, match="nothing in .* fits"):
        build(config(weights=str(tmp_path / "small.weights.h5")), (32, 32), 7)
