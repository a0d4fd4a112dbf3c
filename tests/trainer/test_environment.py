"""Environment variables that change numbers: recorded, and compared when a run is resumed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tests.support.runs.runs import config
from trainer import environment
from trainer.runs.compare import surroundings
from trainer.runs.config_file import RunConfig
from trainer.runs.opening import SurroundingsWarning
from trainer.train.run import run


def test_only_what_changes_numbers_is_recorded() -> None:
    given = {
        "XLA_FLAGS": "--a", "HOME": "/h", "DNNL_VERBOSE": "1", "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONHASHSEED": "0", "NVIDIA_TF32_OVERRIDE": "0",
        "CUDA_VISIBLE_DEVICES": "1", "AWS_SECRET_ACCESS_KEY": "s",
    }  # fmt: skip
    assert list(environment.recorded(given)) == [
        "DNNL_VERBOSE", "NVIDIA_TF32_OVERRIDE", "PYTHONHASHSEED", "TF_ENABLE_ONEDNN_OPTS",
        "XLA_FLAGS",
    ]  # fmt: skip


def test_differences() -> None:
    assert environment.differences({"A": "1", "B": "2"}, {"B": "3", "C": "4"}) == [
        "A was '1', is now not set", "B was '2', is now '3'", "C was not set, is now '4'",
    ]  # fmt: skip
    assert environment.differences({"A": "1"}, {"A": "1"}) == []


def test_a_resume_under_others_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment.recorded():
        monkeypatch.delenv(name)
    fakes.write_dataset(tmp_path / "data")
    flags = config(tmp_path / "data", tmp_path / "r", epochs=2)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    run(config(tmp_path / "data", tmp_path / "r", epochs=2, stop_after_epoch=1), report=False)
    assert RunConfig.read(tmp_path / "r").environment == {"OMP_NUM_THREADS": "2"}
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.warns(SurroundingsWarning, match="OMP_NUM_THREADS was '2', is now '1'") as said:
        run(flags, report=False)
    assert len([each for each in said if each.category is SurroundingsWarning]) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", SurroundingsWarning)
        run(flags, report=False)


def test_what_an_earlier_version_did_not_record_is_not_compared(tmp_path: Path) -> None:
    fakes.write_dataset(tmp_path / "data")
    run(config(tmp_path / "data", tmp_path / "r", epochs=1), report=False)
    stored = RunConfig.read(tmp_path / "r")
    document = json.loads(stored.to_json())
    del document["environment"]
    earlier = RunConfig.from_json(json.dumps(document))
    assert earlier.environment is None and surroundings(earlier, stored) == []
    document["versions"]["keras"] = "3.0.0"
    found = surroundings(RunConfig.from_json(json.dumps(document)), stored)
    assert len(found) == 1 and found[0].startswith("keras was 3.0.0, is now ")
