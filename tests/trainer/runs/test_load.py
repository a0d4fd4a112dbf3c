"""Runs opened for use, also where the code of their network is not at hand."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support import fakes
from tests.support.runs import config
from tfrecords.errors import TrainerError
from trainer.runs.load import load_run
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


def test_what_is_missing_is_said(data_dir: Path, tmp_path: Path, code_dir: Path) -> None:
    run_dir = trained(data_dir, tmp_path / "r", code_dir, "own_class", "Scaled()")
    with pytest.raises(TrainerError) as failed:
        load_run(run_dir)
    text = str(failed.value)
    assert "No module named 'own_class'" in text and "model.keras cannot be loaded alone" in text
    (run_dir / "model.keras").unlink()
    with pytest.raises(TrainerError, match="own_class.*model.keras is not there yet"):
        load_run(run_dir)
