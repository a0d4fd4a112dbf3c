"""The snippets of docs/tracking.md, run with stand-ins for Weights & Biases and MLflow."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import evenshard

PAGE = Path(__file__).parents[2] / "docs" / "tracking.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> evenshard.Run:
    shutil.copytree(trained / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return evenshard.load_run("runs/a")


def snippet(word: str) -> str:
    (found,) = (text for text in SNIPPETS if word in text)
    return found


class Recorder:
    """Takes what a tracker is told. Attributes: rows, (numbers, step); told, everything else."""

    def __init__(self) -> None:
        self.rows: list[tuple[dict[str, Any], int]] = []
        self.told: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}

    def log(self, numbers: dict[str, Any], step: int) -> None:
        self.rows.append((numbers, step))

    @contextlib.contextmanager
    def begin(self, **told: Any) -> Iterator[Recorder]:
        self.told.update(told)
        yield self


def test_weights_and_biases(run: evenshard.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=recorder.begin))
    exec(snippet("import wandb"), {})
    assert [step for _, step in recorder.rows] == [1, 2]
    assert recorder.rows[0][0]["val_top1"] == run.history["val_top1"][0].as_py()
    assert recorder.summary == run.best
    assert (recorder.told["name"], recorder.told["config"]["epochs"]) == ("a", 2)


def test_mlflow(run: evenshard.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    fake = types.SimpleNamespace(
        set_experiment=lambda name: None,
        start_run=recorder.begin,
        log_params=recorder.told.update,
        log_metrics=recorder.log,
        log_artifact=lambda path: recorder.told.update(artifact=path),
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    exec(snippet("import mlflow"), {})
    assert [step for _, step in recorder.rows] == [1, 2]
    assert all(
        isinstance(value, (int, float)) for row, _ in recorder.rows for value in row.values()
    )
    assert (recorder.told["run_name"], recorder.told["epochs"]) == ("a", 2)
    assert Path(recorder.told["artifact"]).is_file()


def test_following_a_run_sends_each_epoch_once_and_ends_with_the_report(
    run: evenshard.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, report = run.run_dir / "metrics.csv", run.report
    head, *rows = metrics.read_text().splitlines(keepends=True)
    metrics.write_text(head + rows[0])
    report.unlink()
    states = iter((head + rows[0], "".join([head, *rows]), None))

    def passes(seconds: float) -> None:
        text = next(states)
        metrics.write_text(text) if text else report.write_text("done")

    recorder, names = Recorder(), {}
    exec(snippet("def follow"), names)
    monkeypatch.setattr("time.sleep", passes)
    names["follow"]("runs/a", lambda row, epoch: recorder.log(row, step=epoch))
    assert [step for _, step in recorder.rows] == [1, 2]
    assert recorder.rows[1][0]["loss"] == pytest.approx(run.history["loss"][1].as_py())
