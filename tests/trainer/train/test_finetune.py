"""Whole runs of `--recipe=head` and `--recipe=finetune`: used, extended, and refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs.runs import assert_same_end, read_metrics
from tfrecords.errors import TrainerError, UsageError
from trainer.choices import AUTO_AUGMENT, WITHOUT_FLIPS
from trainer.config import TrainConfig
from trainer.data import mirror
from trainer.data.mirror import Exchange
from trainer.evaluate import run as evaluation
from trainer.evaluate.config import EvaluateConfig
from trainer.models import build
from trainer.recipes.flags import UNFREEZE_EPOCHS
from trainer.runs.config_file import RunConfig
from trainer.runs.load import load_run
from trainer.train import loop
from trainer.train.loop import RunResult
from trainer.train.run import run


@pytest.fixture(scope="module")
def head(data_dir: Path, weights: str, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    run_dir = tmp_path_factory.mktemp("run") / "r"
    return run(recipe("head", data_dir, run_dir, weights), report=False)


def recipe(
    name: str, data_dir: Path, run_dir: Path, weights: str, **changes: object
) -> TrainConfig:
    given: dict[str, Any] = {
        "recipe": name,
        "model": "tests.support.networks.tiny:network",
        "weights": weights,
        "batch_size": "8",
        "progress": "none",
    }
    return TrainConfig(str(data_dir), str(run_dir), **given | changes)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def refuse_loading(*arguments: Any, **options: Any) -> None:
    raise AssertionError("the weights are loaded again")


def test_a_run_of_any_length_is_used_without_what_it_began_with(
    data_dir: Path,
    weights: str,
    head: RunResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_dir = Path(shutil.copytree(head.run_dir, tmp_path / "r"))
    for length in (0, 1, 3):  # The head, tuned, and tuned further.
        if length:
            tuned = recipe("finetune", data_dir, run_dir, weights, unfreeze_epochs=length)
            result = run(tuned, report=False)
            assert (result.status, result.epochs) == ("completed", 1 + length)
            assert RunConfig.read(run_dir).flags == tuned
        with monkeypatch.context() as patch:
            patch.setattr(build, "load_matching_weights", refuse_loading)
            assert load_run(run_dir).model.output_shape == (None, 3)
            asked = EvaluateConfig(str(run_dir), data_dir=str(data_dir), split="validation")
            assert len(evaluation.run(asked).predictions.ids) == 9


@pytest.mark.parametrize("exchange", [None, Exchange(("left", "right"), 0.6)])
def test_a_head_that_is_tuned_later_ends_as_one_tuned_at_once(
    exchange: Exchange | None,
    data_dir: Path,
    weights: str,
    head: RunResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the same augmentation, too: a head has none, and --augment=auto is settled later."""
    monkeypatch.setattr(mirror, "exchanged", lambda source: exchange)
    later = Path(shutil.copytree(head.run_dir, tmp_path / "later"))
    epochs = 1 if exchange else UNFREEZE_EPOCHS
    given = {"unfreeze_epochs": epochs} if exchange else {}
    for run_dir in (later, tmp_path / "once"):
        run(recipe("finetune", data_dir, run_dir, weights, **given), report=False)
        assert len(read_metrics(run_dir)) == 1 + epochs
        augmented = RunConfig.read(run_dir).flags.augment
        assert augmented == (WITHOUT_FLIPS if exchange else (AUTO_AUGMENT,))
    assert_same_end(later, tmp_path / "once")
    if not exchange:
        longer = recipe("finetune", data_dir, later, weights, unfreeze_epochs=epochs + 1)
        assert run(longer, report=False).epochs == 1 + longer.unfreeze_epochs


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("finetune", {"learning_rate": 0.1}, "--learning_rate was the default, is now 0.1"),
        ("finetune", {"seed": 1}, "--seed was 0, is now 1"),
        ("head", {"label_smoothing": 0.2}, "--label_smoothing was"),
        ("auto", {"freeze": "none", "epochs": 9}, "go on from the head give --recipe=finetune"),
    ],
)
def test_what_is_refused_leaves_a_run_as_it_was(
    name: str,
    changes: dict[str, object],
    said: str,
    data_dir: Path,
    weights: str,
    head: RunResult,
) -> None:
    before = contents(head.run_dir)
    with pytest.raises(UsageError, match=said):
        run(recipe(name, data_dir, head.run_dir, weights, **changes), report=False)
    assert contents(head.run_dir) == before
    assert run(recipe("head", data_dir, head.run_dir, weights), report=False) == head


def test_a_run_that_fails_after_it_grew_goes_on_by_the_same_command(
    data_dir: Path, weights: str, head: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = Path(shutil.copytree(head.run_dir, tmp_path / "r"))
    tuned = recipe("finetune", data_dir, run_dir, weights, unfreeze_epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_train_epochs", refuse_loading)
        with pytest.raises(TrainerError, match="loaded again"):
            run(tuned, report=False)
    assert load_run(run_dir).model.output_shape == (None, 3)
    assert run(tuned, report=False).epochs == 2


def test_checkpoints_of_another_run_are_refused_before_anything_is_written(
    data_dir: Path, weights: str, head: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever let the configuration pass."""
    before = contents(head.run_dir)
    monkeypatch.setattr(RunConfig, "resumable", frozenset())
    with pytest.raises(TrainerError, match="are of another configuration"):
        run(recipe("finetune", data_dir, head.run_dir, weights), report=False)
    assert contents(head.run_dir) == before
