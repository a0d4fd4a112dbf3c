"""Keras' own settings: none of them trains another network, or ends in a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest

from tests.support.datasets import fakes
from tests.support.runs.runs import assert_same_end, command, config
from tfrecords.errors import TrainerError
from trainer import keras_settings
from trainer.devices import set_up_devices
from trainer.keras_settings import KerasSettings
from trainer.train.run import run

ODD = {
    "image_data_format": "channels_first", "floatx": "float64", "epsilon": 0.1, "backend": "torch",
}  # fmt: skip


@pytest.fixture
def unchanged() -> Iterator[None]:
    yield
    KerasSettings().apply()


def test_ours_are_keras_defaults() -> None:
    assert KerasSettings.current() == KerasSettings()


def test_a_run_under_any_keras_json_ends_with_the_same_weights(tmp_path: Path) -> None:
    fakes.write_dataset(tmp_path / "data")
    flags = {"epochs": 1}
    run(config(tmp_path / "data", tmp_path / "usual", **flags), report=False)
    home = tmp_path / "keras"
    home.mkdir()
    (home / "keras.json").write_text(json.dumps(ODD))
    done = subprocess.run(
        command(config(tmp_path / "data", tmp_path / "odd", **flags)),
        env={**os.environ, "KERAS_HOME": str(home)}, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Keras is set to the backend 'torch' on this machine" in done.stderr
    assert_same_end(tmp_path / "usual", tmp_path / "odd")


@pytest.mark.parametrize("settings", [{"image_data_format": "sideways"}, {"epsilon": "small"}])
def test_settings_that_keras_refuses_are_one_line(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    flags = ("--run_dir=absent", "--input=absent", "--output=out.csv")
    done = subprocess.run(
        [sys.executable, "-m", "trainer.predict", *flags],
        env={**os.environ, "KERAS_HOME": str(tmp_path)}, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    said = done.stderr.splitlines()[-1]
    assert said.startswith("error: Keras cannot be imported: Invalid `")
    assert str(tmp_path / "keras.json") in said


def test_a_process_that_set_keras_otherwise_is_pinned(unchanged: None) -> None:
    KerasSettings("channels_first", "float64", 1e-3).apply()
    set_up_devices(config(Path("d"), Path("r")))
    assert KerasSettings.current() == KerasSettings()


def test_another_backend_in_this_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(TrainerError, match="imported in this process with the backend 'jax'"):
        keras_settings.pin()
