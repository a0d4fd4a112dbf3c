"""A run that begins with the state of another."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.datasets import fakes
from tests.support.networks import tiny
from tests.support.runs.runs import assert_same_end, config, final_state, read_metrics
from tfrecords.errors import TrainerError, UsageError
from trainer.config import TrainConfig
from trainer.evaluate import run as evaluation
from trainer.evaluate.config import EvaluateConfig
from trainer.report import model_card
from trainer.runs import checkpoints, history, inherited, opening, resuming, trained_on
from trainer.runs.checkpoints import Store
from trainer.runs.config_file import RunConfig
from trainer.train import loop, optim
from trainer.train.run import run

STEPS = 4  # An epoch: 31 records in batches of 8.
COUNTS = {"train": (12, 8, 5), "validation": (4, 3, 2)}


def contents(folder: Path) -> dict[str, str]:
    """Returns path → sha256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def forked(data_dir: Path, run_dir: Path, parent: Path, **changes: Any) -> TrainConfig:
    return config(data_dir, run_dir, **{"fork_from": str(parent), "epochs": 2} | changes)


def first_state(run_dir: Path) -> dict[str, np.ndarray]:
    """Returns what a fork began with."""
    first = checkpoints.read(run_dir / "checkpoints" / "step-000000000.ckpt")
    return dict(first.arrays)


def weights(state: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [v for k, v in state.items() if k.startswith("model/") and "seed_generator" not in k]


def optimizer(state: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [values for name, values in state.items() if name.startswith("optimizer/")]


def assert_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_fork_begins_where_the_other_run_ended(
    data_dir: Path, parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(parent)
    settings = forked(
        data_dir, tmp_path / "fork", parent, learning_rate=0.01, keep_checkpoints=9,
        progress="lines",
    )  # fmt: skip
    result = run(settings)
    assert (result.status, result.epochs, result.step) == ("completed", 2, 2 * STEPS)
    assert contents(parent) == before
    end, start = final_state(parent), first_state(tmp_path / "fork")
    assert_same(weights(start), weights(end))
    assert_same(optimizer(start), optimizer(end))
    said = (
        "forked from parent at its last epoch: epochs 1–2 of it come before; optimizer state "
        "taken; --learning_rate was 0.02, is now 0.01"
    )
    assert said in capsys.readouterr().err
    card = (tmp_path / "fork" / model_card.CARD).read_text(encoding="utf-8")
    assert "Began with" in card and "epochs 1–2 of it come before" in card
    assert said in (tmp_path / "fork" / "report" / "index.html").read_text(encoding="utf-8")
    stored = RunConfig.read(tmp_path / "fork").fork
    assert stored is not None
    assert (stored.run, stored.epoch, stored.step, stored.before) == ("parent", 2, 2 * STEPS, 2)
    assert stored.fingerprint == RunConfig.read(parent).fingerprint


@pytest.mark.parametrize("which", ["last", "best"])
def test_a_checkpoint_of_a_third_run_is_not_begun_with(
    data_dir: Path, parent: Path, tmp_path: Path, which: str
) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(parent, mixed)
    for path in (mixed / "checkpoints").glob("*.ckpt"):
        checkpoint = dataclasses.replace(checkpoints.read(path), fingerprint="0" * 64)
        checkpoints.write(path, checkpoint)
    with pytest.raises(TrainerError, match="its checkpoint is of another run than its config.json"):
        run(forked(data_dir, tmp_path / "fork", mixed, fork_epoch=which))


def test_its_schedule_is_its_own(data_dir: Path, parent: Path, tmp_path: Path) -> None:
    run(forked(data_dir, tmp_path / "fork", parent, learning_rate=0.01), report=False)
    plan = optim.build(config(data_dir, tmp_path, epochs=2, learning_rate=0.01), STEPS)
    rates = [float(row["learning_rate"]) for row in read_metrics(tmp_path / "fork")]
    assert rates == pytest.approx([plan.phases[0].at(STEPS), plan.phases[0].at(2 * STEPS)])


def test_the_history_of_all_its_ancestors_comes_before(
    data_dir: Path, parent: Path, tmp_path: Path
) -> None:
    run(forked(data_dir, tmp_path / "a", parent, epochs=1), report=False)
    run(forked(data_dir, tmp_path / "b", tmp_path / "a", seed=4), report=False)
    rows = history.load(tmp_path / "b" / inherited.METRICS_BEFORE)
    own = history.load(parent / "metrics.csv"), history.load(tmp_path / "a" / "metrics.csv")
    for name in ("epoch", "val_loss", "loss"):
        assert rows[name].tolist() == pytest.approx([*own[0][name], *own[1][name]])
    fork = RunConfig.read(tmp_path / "b").fork
    assert fork is not None and fork.marks == ((2, "parent"), (3, "a"))
    assert "epochs 1–1 of it, and 2 of the runs that it began with come before" in fork.describe()
    assert [int(row["epoch"]) for row in read_metrics(tmp_path / "b")] == [1, 2]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"optimizer": "sgd"}, "--optimizer was adamw, is now sgd"),
        ({"fork_epoch": "best"}, "the checkpoint of the best epoch has none"),
    ],
)
def test_an_optimizer_state_that_does_not_fit_is_fresh_and_said(
    data_dir: Path, parent: Path, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    run(forked(data_dir, tmp_path / "r", parent, keep_checkpoints=9, **changes), report=False)
    start = first_state(tmp_path / "r")
    assert not any(values.any() for values in optimizer(start))
    best = Store(parent / "checkpoints").best()
    assert best is not None
    is_best = "fork_epoch" in changes
    assert_same(weights(start), weights(dict(best.arrays) if is_best else final_state(parent)))
    stored = RunConfig.read(tmp_path / "r").fork
    assert stored is not None
    assert f"optimizer state fresh since {why}" in stored.describe()


def test_dropout_and_an_average_may_be_added(data_dir: Path, tmp_path: Path) -> None:
    model = {"model": "tests.support.networks.tiny:with_dropout"}
    run(config(data_dir, tmp_path / "p", epochs=1, dropout=0.0, **model), report=False)
    changes = model | {"dropout": 0.3, "ema": 0.9, "keep_checkpoints": 9}
    run(forked(data_dir, tmp_path / "r", tmp_path / "p", **changes), report=False)
    start = first_state(tmp_path / "r")
    assert_same(weights(start), weights(final_state(tmp_path / "p")))
    averages = [values for name, values in start.items() if name.startswith("average/")]
    assert_same(averages, weights(start))


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.mark.parametrize("flags", [{}, {"freeze_epochs": 1, "ema": 0.9}])
def test_a_killed_fork_ends_as_one_never_killed_without_the_other_run(
    data_dir: Path, parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    flags: dict[str, Any],
) -> None:  # fmt: skip
    other = Path(shutil.copytree(parent, tmp_path / "other"))
    flags = {"checkpoint_steps": 2, "optimizer": "adamw", **flags}
    run(forked(data_dir, tmp_path / "whole", other, **flags), report=False)
    real: Callable[..., Any] = loop._execute
    settings = forked(data_dir, tmp_path / "killed", other, **flags)
    for executions in (0, 5):
        left = [executions]

        def execute(*arguments: Any, left: list[int] = left) -> Any:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return real(*arguments)

        monkeypatch.setattr(loop, "_execute", execute)
        with pytest.raises(Killed):
            run(settings, report=False)
        shutil.rmtree(other, ignore_errors=True)
    monkeypatch.undo()
    run(settings, report=False)
    assert_same_end(tmp_path / "whole", tmp_path / "killed")
    # Finished, it may be given more epochs, too.
    assert run(dataclasses.replace(settings, epochs=3), report=False).epochs == 3


def test_config_json_is_mended_from_the_checkpoints(
    data_dir: Path, parent: Path, tmp_path: Path
) -> None:
    settings = forked(data_dir, tmp_path / "r", parent)
    run(settings, report=False)
    text = (tmp_path / "r" / "config.json").read_text()
    (tmp_path / "r" / "config.json").write_text(text[:99])
    with pytest.warns(resuming.MendedRunWarning):
        run(settings, report=False)
    assert (tmp_path / "r" / "config.json").read_text() == text


def test_what_does_not_fit_is_refused_with_the_difference(
    data_dir: Path, parent: Path, tmp_path: Path
) -> None:
    def refused(text: str, **changes: Any) -> None:
        with pytest.raises(UsageError, match=text) as error:
            run(forked(data_dir, tmp_path / "r", parent, **changes), report=False)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "r").exists()

    suggestion = rf".*give --weights={parent}/model\.keras"
    refused(r"its 3 classes are not these 2, only there: 'bart'" + suggestion,
            classes=("apu", "lisa"))  # fmt: skip
    refused(r"its --model is tests.support.networks.tiny:network, not" + suggestion,
            model="tests.support.networks.tiny:plain")  # fmt: skip
    refused("no config.json there", fork_from=str(data_dir))
    with pytest.raises(UsageError, match="--fork_epoch goes with --fork_from"):
        config(data_dir, tmp_path / "r", fork_epoch="best")
    with pytest.raises(UsageError, match="are one directory"):
        config(data_dir, tmp_path / "r", fork_from=str(tmp_path / "." / "r"))


def test_another_structure_is_refused_with_the_first_difference(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = {"model": "tests.support.networks.tiny:with_dropout"}
    run(config(data_dir, tmp_path / "p", epochs=1, **model), report=False)
    monkeypatch.setattr(tiny, "with_dropout", tiny.plain)  # As after an edit of the file.
    with pytest.raises(UsageError, match=r"its network is another: variable \d+ is "):
        run(forked(data_dir, tmp_path / "r", tmp_path / "p", **model), report=False)


def test_a_run_directory_is_not_taken_for_another_fork(
    data_dir: Path, parent: Path, tmp_path: Path
) -> None:
    run(config(data_dir, tmp_path / "plain", epochs=2), report=False)
    with pytest.raises(UsageError, match=r"--fork_from was empty, is now .*parent \(last\)"):
        run(forked(data_dir, tmp_path / "plain", parent), report=False)
    run(forked(data_dir, tmp_path / "fork", parent), report=False)
    with pytest.raises(UsageError, match=r"--fork_from was .*parent \(last\), is now empty"):
        run(config(data_dir, tmp_path / "fork", epochs=2), report=False)
    with pytest.raises(UsageError, match=r"is now .*parent \(best\)"):
        run(forked(data_dir, tmp_path / "fork", parent, fork_epoch="best"), report=False)


def test_what_its_ancestors_were_trained_on_counts(
    data_dir: Path, parent: Path, tmp_path: Path
) -> None:
    """The grandchild is trained on few pictures of its own; those of its ancestors leak, too."""
    few = {"per_class": 1, "epochs": 1}
    run(forked(data_dir, tmp_path / "a", parent, **few), report=False)
    run(forked(data_dir, tmp_path / "b", tmp_path / "a", **few))
    own = trained_on.read(tmp_path / "b")
    assert own is not None and own.pictures.num_rows == 3
    asked = EvaluateConfig(run_dir=str(tmp_path / "b"), split="train")
    with pytest.raises(TrainerError, match="^25 pictures of split 'train'"):
        evaluation.run(asked)
    (tmp_path / "b" / inherited.TRAINED_BEFORE).unlink()
    with pytest.raises(TrainerError, match="nothing says what a, which it began with, was"):
        evaluation.run(asked)


def test_what_the_run_of_its_weights_was_trained_on_counts(
    data_dir: Path, parent: Path, tmp_path: Path
) -> None:
    few = {"weights": str(parent / "model.keras"), "per_class": 1, "epochs": 1}
    run(config(data_dir, tmp_path / "r", **few))
    with pytest.raises(TrainerError, match="^25 pictures of split 'train'"):
        evaluation.run(EvaluateConfig(run_dir=str(tmp_path / "r"), split="train"))
    assert not (tmp_path / "r" / inherited.METRICS_BEFORE).exists()
    # A fork of it, too, and after it was resumed.
    shutil.rmtree(tmp_path / "r" / "report")
    run(config(data_dir, tmp_path / "r", **few), report=False)
    kept = inherited.trained_before(tmp_path / "r")
    assert kept is not None and [each.pictures.num_rows for each in kept] == [25]


def test_a_run_that_does_not_say_what_it_was_trained_on_is_warned_of(
    data_dir: Path, parent: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(parent, tmp_path / "other"))
    (other / trained_on.FILENAME).unlink()
    with pytest.warns(
        opening.UnknownPicturesWarning, match="nothing says what that run was trained"
    ):
        run(forked(data_dir, tmp_path / "r", other), report=False)


def test_a_fork_that_never_trained_leaves_nothing_to_the_next(
    data_dir: Path, parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise TrainerError("cannot save checkpoint")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "save", full)
        with pytest.raises(TrainerError):
            run(forked(data_dir, tmp_path / "r", parent), report=False)
    assert (tmp_path / "r" / inherited.METRICS_BEFORE).exists()
    run(config(data_dir, tmp_path / "r", epochs=1), report=False)
    assert not (tmp_path / "r" / inherited.METRICS_BEFORE).exists()
    assert "forked_from" not in json.loads((tmp_path / "r" / "config.json").read_text())


def test_another_data_set_is_said(data_dir: Path, parent: Path, tmp_path: Path) -> None:
    fakes.write_dataset(tmp_path / "data", COUNTS, shards=1, copies=1)
    run(forked(tmp_path / "data", tmp_path / "r", parent), report=False)
    fork = RunConfig.read(tmp_path / "r").fork
    assert fork is not None and any("the data set was" in text for text in fork.changes)
    assert "split 'validation'" not in fork.describe()


def test_validation_pictures_that_were_trained_on_before_are_said(
    data_dir: Path, parent: Path, tmp_path: Path
) -> None:
    turned = {"train_split": "validation", "validation_split": "train"}
    run(forked(data_dir, tmp_path / "r", parent, **turned, epochs=1), report=False)
    fork = RunConfig.read(tmp_path / "r").fork
    assert fork is not None
    assert "25 pictures of split 'train' are, or resemble, some that were" in fork.describe()
