"""Runs opened for use, also where the code of their network is not at hand."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import fakes
from tests.support.runs import run_configs
from tests.support.runs.runs import config
from tfrecords import manifest as manifests
from tfrecords.errors import TrainerError, UsageError
from trainer.config import TrainConfig
from trainer.models.build import build
from trainer.models.weights import model_state
from trainer.runs.checkpoints import Checkpoint, Store, capture
from trainer.runs.load import _without_weights, load_run
from trainer.runs.saved_network import code_in
from trainer.train.run import run

OWN = """
import keras

class {layer}(keras.layers.Layer):
    def call(self, x):
        return x / 255

def network(height, width, classes):
    pixels = keras.Input((height, width, 3))
    x = {first}(pixels)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.1)(x)
    return keras.Model(pixels, keras.layers.Dense(classes, name="head")(x))
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    fakes.write_dataset(folder)
    return folder


@pytest.fixture
def code_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path; what is imported from it is forgotten at the end."""
    folder = tmp_path / "code"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("own_"):
            del sys.modules[name]


def trained(data_dir: Path, run_dir: Path, code_dir: Path, module: str, first: str) -> Path:
    """Trains a network of a module that is gone afterwards; returns the run's folder."""
    (code_dir / f"{module}.py").write_text(OWN.format(layer="Scaled", first=first))
    run(config(data_dir, run_dir, model=f"{module}:network", epochs=1), report=False)
    shutil.rmtree(code_dir)
    del sys.modules[module]
    return run_dir


def test_a_finished_run_needs_only_its_directory(
    data_dir: Path, tmp_path: Path, code_dir: Path
) -> None:
    first = "keras.layers.Rescaling(1 / 255)"
    run_dir = trained(data_dir, tmp_path / "r", code_dir, "own_plain", first)
    best, last = load_run(run_dir), load_run(run_dir, "last")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    np.testing.assert_array_equal(best.model(pixels), last.model(pixels))
    assert best.model(pixels).shape == (2, 3)


def test_code_is_run_only_where_it_is_trusted(
    data_dir: Path, tmp_path: Path, code_dir: Path
) -> None:
    run_dir = trained(data_dir, tmp_path / "r", code_dir, "own_class", "Scaled()")
    code_dir.mkdir()
    module = code_dir / "own_class.py"
    module.write_text("raise SystemExit('this must not run')")
    said = r"the code of own_class:network, and model.keras holds code \(own_class.Scaled\): "
    with pytest.raises(TrainerError, match=said + "--trust_run_code runs"):
        load_run(run_dir)
    module.write_text(OWN.format(layer="Scaled", first="Scaled()"))
    run = load_run(run_dir, trust_run_code=True)
    assert run.model.output_shape == (None, 3)
    (run_dir / "model.keras").unlink()
    with pytest.raises(TrainerError, match="model.keras is not there yet: --trust_run_code"):
        load_run(run_dir)
    assert load_run(run_dir, trust_run_code=True).model.output_shape == (None, 3)


def test_what_is_missing_is_said(data_dir: Path, tmp_path: Path, code_dir: Path) -> None:
    run_dir = trained(data_dir, tmp_path / "r", code_dir, "own_gone", "Scaled()")
    with pytest.raises(TrainerError) as failed:
        load_run(run_dir, trust_run_code=True)
    text = str(failed.value)
    assert "No module named 'own_gone'" in text and "model.keras cannot be loaded alone" in text
    (run_dir / "model.keras").unlink()
    with pytest.raises(TrainerError, match="own_gone.*model.keras is not there yet"):
        load_run(run_dir, trust_run_code=True)


def test_a_lambda_layer_is_code(data_dir: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "r"
    name = "tests.support.networks.own_networks:with_lambda"
    run(config(data_dir, run_dir, model=name, epochs=1), report=False)
    assert code_in(run_dir / "model.keras") == ("a Lambda layer",)
    with pytest.raises(TrainerError, match="holds code .a Lambda layer"):
        load_run(run_dir)
    assert load_run(run_dir, trust_run_code=True).model.output_shape == (None, 3)


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"module": "keras.layers", "class_name": "Dense", "registered_name": None}, ()),
        ({"module": "builtins", "class_name": "function", "config": "relu"}, ()),
        ({"module": "keras.layers", "class_name": "Lambda"}, ("a Lambda layer",)),
        ({"module": "os", "class_name": "function", "config": "system"}, ("os.system",)),
        ({"module": "kerasish.layers", "class_name": "Evil"}, ("kerasish.layers.Evil",)),
        ({"module": None, "class_name": "X", "registered_name": "p>X"}, ("p>X",)),
        ({"class_name": "__lambda__", "config": {"value": "…"}}, ("a Lambda layer",)),
    ],
)
def test_what_is_code_in_a_keras_file(
    entry: dict[str, object], found: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": [entry, entry]}}))
    assert code_in(path) == found


def test_a_run_of_an_earlier_network_is_used_and_not_trained_on(
    data_dir: Path, tmp_path: Path
) -> None:
    settings = config(data_dir, tmp_path / "r", model="springfield_cnn", epochs=1)
    described = run_configs.describe(settings, manifests.load(data_dir))
    assert described.network_version == 1, "as a file that does not say"
    run_configs.write(tmp_path / "r", described)
    model = build(settings, (16, 16), 3, version=1)
    store = Store(tmp_path / "r" / "checkpoints")
    checkpoint = Checkpoint(1, 0, 4, capture(model_state(model)), fingerprint=described.fingerprint)
    store.save(checkpoint)
    store.save_best(checkpoint)

    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    loaded = load_run(tmp_path / "r").model
    np.testing.assert_array_equal(loaded(pixels), model(pixels))
    for again in (settings, dataclasses.replace(settings, epochs=2)):
        with pytest.raises(UsageError, match="earlier evenshard.*--noresume") as caught:
            run(again)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"its network is another: .* --weights="):
        run(
            config(data_dir, tmp_path / "f", model="springfield_cnn", fork_from=str(tmp_path / "r"))
        )


OF_RECIPES = [
    {},
    {"recipe": "scratch", "wide": True},
    {"model": "resnet50", "weights": "w.keras", "freeze_epochs": 2},
    {"recipe": "head"},
    {"recipe": "head", "model": "resnet50", "feature_views": 3},
    {"recipe": "head", "head_features": "last"},
    {"freeze": "backbone", "model": "efficientnet-lite1", "weights": "imagenet"},
    *({"recipe": "finetune", "unfreeze_epochs": n} for n in (0, 1, 2, 3, 4, 9)),
    {"recipe": "finetune", "head_features": "multilevel", "unfreeze_epochs": 1, "dropout": 0.3},
    {"recipe": "finetune", "freeze_epochs": 2, "epochs": 7},
    {"recipe": "finetune", "weights": "w.keras", "unfreeze_epochs": 1},
]


@pytest.mark.parametrize("given", OF_RECIPES, ids=str)
def test_a_run_of_any_recipe_is_built_as_it_was_with_nothing_loaded(
    given: dict[str, object],
) -> None:
    trained = TrainConfig("d", "r", **given)  # type: ignore[arg-type]  # Values of a table.
    fresh = _without_weights(trained)
    assert (fresh.weights, fresh.freeze, fresh.frozen_epochs) == ("none", "none", 0)
    for name in ("model", "wide", "dropout", "head_features"):
        assert getattr(fresh, name) == getattr(trained, name), name
    assert TrainConfig.from_dict(fresh.to_dict()) == fresh


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_checkpoint_of_another_run_is_refused(data_dir: Path, tmp_path: Path, name: str) -> None:
    """Weights of the same shapes would give the answers of one run under the classes of another."""
    settings = config(data_dir, tmp_path / "r", model="springfield_cnn", epochs=1)
    described = run_configs.describe(settings, manifests.load(data_dir), network_version=2)
    run_configs.write(tmp_path / "r", described)
    other = dataclasses.replace(described, flags=dataclasses.replace(settings, seed=7))
    model = build(settings, (16, 16), 3, version=2)
    own, foreign = (
        Checkpoint(1, 0, 4, capture(model_state(model)), fingerprint=each.fingerprint)
        for each in (described, other)
    )
    store = Store(tmp_path / "r" / "checkpoints")
    store.save(foreign if name == "last" else own)
    store.save_best(foreign if name == "best" else own)
    with pytest.raises(TrainerError, match=f"its {name} checkpoint is of another run than its con"):
        load_run(tmp_path / "r", name)
    load_run(tmp_path / "r", "last" if name == "best" else "best")
