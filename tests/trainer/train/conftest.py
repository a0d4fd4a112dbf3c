"""What trainings are tried on, made once for all files that a process has of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import pytest

from tests.support.datasets import fakes
from tests.support.networks import tiny
from tests.support.runs import tiny_run
from tests.support.runs.runs import config
from trainer.train.loop import RunResult
from trainer.train.run import run


@pytest.fixture(scope="package")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 31 train records, 4 steps of 8; for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("data")
    fakes.write_dataset(folder, tiny_run.COUNTS, copies=2)
    return folder


@pytest.fixture(scope="package")
def finished(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run of three epochs with its report; for tests that leave it as it is."""
    return run(config(data_dir, tmp_path_factory.mktemp("run") / "r"))


@pytest.fixture(scope="package")
def parent(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs with its report, to go on from; for tests that leave it as it is."""
    return run(config(data_dir, tmp_path_factory.mktemp("p") / "parent", epochs=2)).run_dir


@pytest.fixture(scope="package")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of weights of the tiny network, for other classes."""
    path = tmp_path_factory.mktemp("weights") / "w.keras"
    keras.utils.set_random_seed(3)
    tiny.network(16, 16, 7).save(path)
    return str(path)


@pytest.fixture(autouse=True)
def float32_again() -> Iterator[None]:
    """Undoes the policy that a run of another precision sets for its whole process."""
    yield
    keras.mixed_precision.set_global_policy("float32")
