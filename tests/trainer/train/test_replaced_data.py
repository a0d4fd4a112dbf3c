"""A data set that is replaced while a run reads it: the run stops, and keeps nothing of a mix."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.datasets import fakes
from tests.support.runs.runs import assert_same_end, config, final_state, read_metrics
from tfrecords import manifest as manifests
from tfrecords.errors import UsageError
from trainer.data.version import ReplacedDataError
from trainer.evaluate import run as evaluation
from trainer.evaluate.config import EvaluateConfig
from trainer.runs.checkpoints import Store
from trainer.train import loop
from trainer.train.run import run

COUNTS = {"train": (12, 8, 5), "validation": (4, 3, 2), "test": (3, 3, 3)}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    fakes.write_dataset(tmp_path / "data", COUNTS, copies=2)
    return tmp_path / "data"


def bake_again(data_dir: Path) -> None:
    """Replaces a data set as the bake does: the manifest goes first and comes last."""
    (data_dir / manifests.MANIFEST).unlink()
    staged = data_dir.with_name("staged")
    spec = fakes.ImageSpec(16, 16, encoding="jpeg")  # type: ignore[arg-type]  # A name is converted.
    fakes.write_dataset(staged, COUNTS, spec, copies=2)
    for path in sorted(staged.iterdir()):
        if path.name != manifests.MANIFEST:
            os.replace(path, data_dir / path.name)
    os.replace(staged / manifests.MANIFEST, data_dir / manifests.MANIFEST)


def begin_to_bake(data_dir: Path) -> None:
    """A bake that was killed between its first rename and its last."""
    (data_dir / manifests.MANIFEST).unlink()


def copy_over(data_dir: Path) -> None:
    """Another file in place of a shard, of the same size, by a tool that knows no manifest."""
    shard = sorted(data_dir.glob("fake-train*"))[0]
    temporary = shard.with_name("temporary")
    temporary.write_bytes(bytes(shard.stat().st_size))
    os.replace(temporary, shard)


def at_execution(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], None]) -> None:
    """Acts before the execution of that number, from 1."""
    real: Callable[..., Any] = loop._execute
    done = [0]

    def execute(*arguments: Any) -> Any:
        done[0] += 1
        if done[0] == number:
            act()
        return real(*arguments)

    monkeypatch.setattr(loop, "_execute", execute)


@pytest.mark.parametrize("change", [bake_again, begin_to_bake, copy_over])
@pytest.mark.parametrize("cache", ["none", "decoded"])
def test_a_run_stops_and_keeps_only_what_it_made_of_the_old_data(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None], cache: str,
) -> None:  # fmt: skip
    settings = config(data_dir, tmp_path / "r", checkpoint_steps=1, cache=cache)
    at_execution(monkeypatch, 7, lambda: change(data_dir))  # The third step of epoch 2.
    with pytest.raises(ReplacedDataError, match="was replaced while it was read") as stopped:
        run(settings, report=False)
    assert "\n" not in str(stopped.value)
    latest = Store(tmp_path / "r" / "checkpoints").latest()
    assert latest is not None and latest.global_step == 6
    assert len(read_metrics(tmp_path / "r")) == 1


def test_a_new_data_set_is_not_the_old_runs(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(data_dir, tmp_path / "r", checkpoint_steps=1)
    at_execution(monkeypatch, 7, lambda: bake_again(data_dir))
    with pytest.raises(ReplacedDataError):
        run(settings, report=False)
    with pytest.raises(UsageError, match="the data set was .*, is now"):
        run(settings, report=False)


def test_with_the_old_data_restored_the_run_ends_as_if_nothing_had_been(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Path(shutil.copytree(data_dir, tmp_path / "kept"))
    run(config(data_dir, tmp_path / "whole"), report=False)
    with monkeypatch.context() as patched:
        at_execution(patched, 7, lambda: bake_again(data_dir))
        with pytest.raises(ReplacedDataError):
            run(config(data_dir, tmp_path / "r", checkpoint_steps=1), report=False)
    run(config(kept, tmp_path / "r", checkpoint_steps=1), report=False)
    assert_same_end(tmp_path / "whole", tmp_path / "r")


def test_data_replaced_while_validating_chooses_no_best(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loop.metrics.evaluate
    calls = [0]

    def evaluate(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            bake_again(data_dir)
        return real(*arguments)

    monkeypatch.setattr(loop.metrics, "evaluate", evaluate)
    with pytest.raises(ReplacedDataError):
        run(config(data_dir, tmp_path / "r"), report=False)
    best = Store(tmp_path / "r" / "checkpoints").best()
    assert best is not None and best.epoch == 0
    assert int(final_state(tmp_path / "r")["step"]) == 4


def test_an_evaluation_of_replaced_data_writes_nothing(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(config(data_dir, tmp_path / "r", epochs=1), report=False)
    real = evaluation.inference.predict

    def predict(*arguments: Any) -> Any:
        predicted = real(*arguments)
        bake_again(data_dir)
        monkeypatch.undo()
        return predicted

    monkeypatch.setattr(evaluation.inference, "predict", predict)
    with pytest.raises(ReplacedDataError):
        evaluation.run(EvaluateConfig(run_dir=str(tmp_path / "r")))
    assert not (tmp_path / "r" / "evaluation").exists()
