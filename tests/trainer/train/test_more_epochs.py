"""More epochs on a finished run."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support import fakes
from tests.support.runs import assert_same_end, config, read_metrics
from tfrecords.errors import UsageError
from trainer.report import model_card
from trainer.runs.checkpoints import Store
from trainer.train import loop, optim
from trainer.train.run import run

STEPS = 4


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    fakes.write_dataset(folder, {"train": (12, 8, 5), "validation": (4, 3, 2)}, copies=2)
    return folder


@pytest.fixture(scope="module")
def finished(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(config(data_dir, tmp_path_factory.mktemp("r") / "r", epochs=2)).run_dir


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copied"))


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
    assert json.loads((copied / "config.json").read_text())["extended_from"] == [2]
    assert said in (copied / model_card.CARD).read_text(encoding="utf-8")
    assert said in (copied / "report" / "index.html").read_text(encoding="utf-8")
    # The same command again, and more once more.
    assert run(config(data_dir, copied, epochs=4), report=False).epochs == 4
    assert run(config(data_dir, copied, epochs=5), report=False).epochs == 5
    assert json.loads((copied / "config.json").read_text())["extended_from"] == [2, 4]


def test_an_extension_that_is_killed_ends_as_one_never_killed(
    data_dir: Path, copied: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path(shutil.copytree(finished, tmp_path / "whole"))
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
