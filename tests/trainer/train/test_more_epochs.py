"""More epochs on a finished run."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs.runs import assert_same_end, config, read_metrics
from tfrecords.errors import UsageError
from trainer.report import model_card
from trainer.runs.checkpoints import Store
from trainer.runs.config_file import RunConfig
from trainer.train import loop, optim
from trainer.train.run import run

STEPS = 4


@pytest.fixture
def copied(parent: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(parent, tmp_path / "copied"))


def test_a_finished_run_trains_on_by_the_schedule_of_all_epochs(
    data_dir: Path, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_metrics(copied)
    result = run(config(data_dir, copied, epochs=4, progress="lines"))
    assert (result.status, result.epochs, result.step) == ("completed", 4, 4 * STEPS)
    said = "extended from 2 to 4 epochs: from epoch 3 on, the schedule is that of 4"
    assert said in capsys.readouterr().err
    rows = read_metrics(copied)
    assert rows[:2] == before
    schedule = optim.build(config(data_dir, copied, epochs=4), STEPS)
    assert float(rows[2]["learning_rate"]) == pytest.approx(schedule.phases[0].at(3 * STEPS))
    assert extensions(copied) == [(2, 2)]
    assert said in (copied / model_card.CARD).read_text(encoding="utf-8")
    assert said in (copied / "report" / "index.html").read_text(encoding="utf-8")
    # The same command again, and more once more.
    assert run(config(data_dir, copied, epochs=4), report=False).epochs == 4
    assert run(config(data_dir, copied, epochs=5), report=False).epochs == 5
    assert extensions(copied) == [(2, 2), (4, 4)]


def extensions(run_dir: Path) -> list[tuple[int, int]]:
    """Returns (--epochs before, epochs trained) of each extension in config.json."""
    found = json.loads((run_dir / "config.json").read_text())["extended_from"]
    return [(each["epochs"], each["at"]) for each in found]


def test_an_extension_that_is_killed_ends_as_one_never_killed(
    data_dir: Path, copied: Path, parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path(shutil.copytree(parent, tmp_path / "whole"))
    run(config(data_dir, whole, epochs=4), report=False)
    real = loop._execute
    for executions in (0, 5):
        left = [executions]

        def execute(*arguments: Any, left: list[int] = left) -> Any:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return real(*arguments)

        monkeypatch.setattr(loop, "_execute", execute)
        with pytest.raises(KeyboardInterrupt):
            run(config(data_dir, copied, epochs=4), report=False)
    monkeypatch.setattr(loop, "_execute", real)
    run(config(data_dir, copied, epochs=4), report=False)
    assert_same_end(whole, copied)


def test_other_changes_are_refused_with_the_difference(data_dir: Path, copied: Path) -> None:
    with pytest.raises(UsageError, match=r"\(--seed was 0, is now 3\)"):
        run(config(data_dir, copied, epochs=4, seed=3), report=False)
    with pytest.raises(UsageError, match=r"\(--epochs was 2, is now 1\)"):
        run(config(data_dir, copied, epochs=1), report=False)


def test_an_unfinished_run_is_finished_first(data_dir: Path, tmp_path: Path) -> None:
    settings = config(data_dir, tmp_path / "r", epochs=3)
    run(dataclasses.replace(settings, stop_after_epoch=1), report=False)
    with pytest.raises(UsageError, match="has not come to the end of its 3 epochs"):
        run(dataclasses.replace(settings, epochs=5), report=False)
    latest = Store(tmp_path / "r" / "checkpoints").latest()
    assert latest is not None and latest.epoch == 1


# Nothing is learnt, so that each epoch after the first is no better.
STALLED = {"learning_rate": 0.0, "early_stopping": 2, "monitor": "val_macro_f1"}


@pytest.fixture(scope="module")
def stopped(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that stopped early, after the patience that its first epochs gave it."""
    settings = config(data_dir, tmp_path_factory.mktemp("s") / "r", epochs=9, **STALLED)
    result = run(settings, report=False)
    assert result.status == "stopped_early" and result.epochs < 9
    return result.run_dir


def test_a_run_that_stopped_early_may_be_given_more_patience(
    data_dir: Path, stopped: Path, tmp_path: Path
) -> None:
    """It ends as one that had the patience from the start."""
    epochs = len(read_metrics(stopped))
    copied = Path(shutil.copytree(stopped, tmp_path / "copied"))
    patient = STALLED | {"early_stopping": 4, "epochs": 9}
    result = run(config(data_dir, copied, **patient), report=False)
    assert (result.status, result.epochs) == ("stopped_early", epochs + 2)
    run(config(data_dir, tmp_path / "whole", **patient), report=False)
    assert_same_end(tmp_path / "whole", copied)
    growth = RunConfig.read(copied).growth
    assert growth == (
        f"extended after it had stopped early at epoch {epochs}; --early_stopping was 2, is now 4"
    )
    # Off, it comes to the end of its epochs.
    result = run(config(data_dir, copied, **patient | {"early_stopping": 0}), report=False)
    assert (result.status, result.epochs) == ("completed", 9)


def test_more_epochs_give_a_run_that_stopped_early_its_patience_anew(
    data_dir: Path, stopped: Path, tmp_path: Path
) -> None:
    epochs = len(read_metrics(stopped))
    copied = Path(shutil.copytree(stopped, tmp_path / "copied"))
    result = run(config(data_dir, copied, epochs=20, **STALLED), report=False)
    assert (result.status, result.epochs) == ("stopped_early", epochs + 2)
    assert RunConfig.read(copied).growth == (
        f"extended from 9 to 20 epochs: from epoch {epochs + 1} on, the schedule is that of 20"
    )
    again = run(config(data_dir, copied, epochs=20, **STALLED), report=False)
    assert again.epochs == epochs + 2


def test_less_patience_is_refused(data_dir: Path, stopped: Path) -> None:
    for early_stopping in (1, 3):
        changed = STALLED | {"early_stopping": early_stopping, "seed": 1}
        with pytest.raises(UsageError, match="--seed was 0, is now 1") as error:
            run(config(data_dir, stopped, epochs=9, **changed), report=False)
        assert ("--early_stopping was 2, is now 1" in str(error.value)) == (early_stopping == 1)


def test_extensions_as_they_were_once_recorded_are_read(copied: Path) -> None:
    path = copied / "config.json"
    document = json.loads(path.read_text()) | {"extended_from": [1]}
    path.write_text(json.dumps(document))
    stored = RunConfig.read(copied)
    assert (stored.growth, stored.patient_from) == (
        "extended from 1 to 2 epochs: from epoch 2 on, the schedule is that of 2", 1
    )  # fmt: skip
