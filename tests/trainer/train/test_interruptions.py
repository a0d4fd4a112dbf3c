"""Runs that are paused, killed or told to stop end in the same bits as those that never were."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.runs.runs import assert_same_end, command, config, fine_tuning, read_metrics
from trainer.config import TrainConfig
from trainer.runs import checkpoints
from trainer.runs.checkpoints import DamagedCheckpointWarning, Store
from trainer.train import loop
from trainer.train.__main__ import COMMAND
from trainer.train.loop import RunResult
from trainer.train.run import run

EXECUTE = loop._execute


def train(settings: TrainConfig) -> RunResult:
    """Trains; a report takes longer to draw than training takes."""
    return run(settings, report=False)


def test_a_pause_changes_nothing(data_dir: Path, tmp_path: Path, finished: RunResult) -> None:
    run_dir = tmp_path / "r"
    for epoch in (1, 1):
        result = train(config(data_dir, run_dir, stop_after_epoch=epoch))
        assert (result.status, result.epochs) == ("paused", epoch)
        assert not (run_dir / "model.keras").exists()
    assert train(config(data_dir, run_dir)).status == "completed"
    assert_same_end(run_dir, finished.run_dir)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, nothing is saved after it."""


def kill_after(monkeypatch: pytest.MonkeyPatch, executions: int) -> None:
    """Makes the run die in place of its next execution but `executions`."""
    real: Callable[..., Any] = EXECUTE
    left = [executions]

    def execute(*arguments: Any) -> Any:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return real(*arguments)

    monkeypatch.setattr(loop, "_execute", execute)


def revive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undoes `kill_after`."""
    monkeypatch.setattr(loop, "_execute", EXECUTE)


# Two epochs, of which each is cut short in one.
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"augment": ("flip", "crop", "color", "cutmix", "mixup"), "checkpoint_steps": 3},
    "rich": {
        "ema": 0.9,
        "grad_accum": 2,
        "cache": "decoded",
        "checkpoint_steps": 1,
        "optimizer": "sgd",
        "clip_norm": 1.0,
        "loss": "balanced_softmax",
        "defer_weights": 0.5,
    },
    "half": {"precision": "mixed_float16", "clip_norm": 1.0, "augment": ()},
    "stacked": {"steps_per_execution": 3, "cache": "encoded", "checkpoint_steps": 3},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_killed_run_ends_as_one_never_killed(
    variant: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = {"epochs": 2} | VARIANTS[variant]
    train(config(data_dir, tmp_path / "whole", **flags))
    # Before its first step too, which is the same for all.
    for executions in {"plain": (0, 2, 5), "stacked": (1, 2)}.get(variant, (2, 5)):
        kill_after(monkeypatch, executions)
        with pytest.raises(Killed):
            train(config(data_dir, tmp_path / "killed", **flags))
        revive(monkeypatch)
    train(config(data_dir, tmp_path / "killed", **flags))
    assert_same_end(tmp_path / "whole", tmp_path / "killed")


def test_sigkill(finished: RunResult, data_dir: Path, tmp_path: Path) -> None:
    """The real thing: another process, killed while it trains."""
    settings = config(data_dir, tmp_path / "killed", checkpoint_steps=1)
    with start(settings) as process:
        wait_for(process, tmp_path / "killed" / "checkpoints", steps=2)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len(read_metrics(tmp_path / "killed")) < 3
    train(settings)
    assert_same_end(finished.run_dir, tmp_path / "killed")


@pytest.mark.slow
@pytest.mark.parametrize("mid_checkpoint", [False, True])
def test_many_sigkills(data_dir: Path, tmp_path: Path, mid_checkpoint: bool) -> None:
    """Killed at random steps, or while a checkpoint is half written, until it gets through."""
    rng = np.random.default_rng(mid_checkpoint)
    flags = VARIANTS["rich"] | {"epochs": 8, "augment": ("crop", "mixup")}
    train(config(data_dir, tmp_path / "whole", **flags))
    folder = tmp_path / "killed" / "checkpoints"
    kills, done = 0, 0
    while kills < 5:
        with start(config(data_dir, tmp_path / "killed", **flags)) as process:
            wait_for(process, folder, steps=done + int(rng.integers(2, 6)))
            while mid_checkpoint and process.poll() is None and not list(folder.glob(".tmp-*")):
                pass
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        kills += 1
        latest = Store(folder).latest()
        assert latest is not None and latest.global_step > done
        done = latest.global_step
    train(config(data_dir, tmp_path / "killed", **flags))
    assert_same_end(tmp_path / "whole", tmp_path / "killed")
    assert not list(folder.glob(".tmp-*"))


def start(settings: TrainConfig) -> subprocess.Popen[str]:
    """Starts the command in a process of its own."""
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command(settings), text=True, **pipes)


def wait_for(process: subprocess.Popen[str], folder: Path, steps: int) -> None:
    """Waits until a checkpoint of at least `steps` steps is there."""
    wanted = f"step-{steps:09d}.ckpt"
    while process.poll() is None:
        if any(path.name >= wanted for path in folder.glob("step-*.ckpt")):
            return
        time.sleep(0.001)
    raise AssertionError(f"the run ended early: {process.communicate()}")


def test_sigterm_saves_and_stops(
    finished: RunResult, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., Any] = EXECUTE
    calls = [0]

    def execute(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(loop, "_execute", execute)
    settings = config(data_dir, tmp_path / "r")
    result = train(settings)
    assert (result.status, result.step, result.epochs) == ("interrupted", 6, 1)
    assert result.stopped_by == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    revive(monkeypatch)
    assert train(settings).status == "completed"
    assert_same_end(finished.run_dir, tmp_path / "r")


UNFINISHED = "unfinished: the same command carries on"


def test_the_exit_code_tells_an_unfinished_run_from_a_finished_one(
    data_dir: Path, tmp_path: Path
) -> None:
    settings = config(data_dir, tmp_path / "r", epochs=400, checkpoint_steps=1)
    with start(settings) as process:
        wait_for(process, tmp_path / "r" / "checkpoints", steps=2)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, err
    assert UNFINISHED in out


def test_the_exit_code_names_the_signal(
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def execute(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return EXECUTE(*arguments)

    monkeypatch.setattr(loop, "_execute", execute)
    argv = command(config(data_dir, tmp_path / "r", epochs=1))[3:]
    assert COMMAND.run(argv) == 128 + signal.SIGINT
    assert UNFINISHED in capsys.readouterr().out


def test_two_signals_stop_at_once_and_leave_the_checkpoint_intact(
    data_dir: Path, tmp_path: Path
) -> None:
    settings = config(data_dir, tmp_path / "r", epochs=400, checkpoint_steps=1)
    folder = tmp_path / "r" / "checkpoints"
    with start(settings) as process:
        wait_for(process, folder, steps=2)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.001)
        _, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    latest = Store(folder).latest()
    assert latest is not None and latest.global_step >= 2


def test_a_pause_by_flag_is_no_failure(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = command(config(data_dir, tmp_path / "r", stop_after_epoch=1))[3:]
    assert COMMAND.run(argv) == 0
    assert "paused after epoch 1 of 3, by --stop_after_epoch" in capsys.readouterr().out


def test_a_damaged_checkpoint_is_skipped(
    finished: RunResult, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(data_dir, tmp_path / "r", checkpoint_steps=2)
    kill_after(monkeypatch, 7)
    with pytest.raises(Killed):
        train(settings)
    revive(monkeypatch)
    last = sorted((tmp_path / "r" / "checkpoints").glob("step-*"))[-1]
    assert last.name == "step-000000006.ckpt"
    last.write_bytes(last.read_bytes()[:-5])
    with pytest.warns(DamagedCheckpointWarning, match="step-000000006"):
        train(settings)
    assert_same_end(finished.run_dir, tmp_path / "r")


def test_training_goes_on_while_a_checkpoint_is_written(
    finished: RunResult, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one is held back until the next step is given; the end is the same."""
    real, go, executed = checkpoints.write, threading.Event(), [0]

    def write(path: Path, checkpoint: checkpoints.Checkpoint) -> None:
        assert go.wait(60)
        real(path, checkpoint)

    def execute(*arguments: Any) -> Any:
        executed[0] += 1
        if executed[0] == 2:
            assert not list((tmp_path / "r" / "checkpoints").glob("step-*"))
            go.set()
        return EXECUTE(*arguments)

    monkeypatch.setattr(checkpoints, "write", write)
    monkeypatch.setattr(loop, "_execute", execute)
    train(config(data_dir, tmp_path / "r", checkpoint_steps=1))
    assert_same_end(finished.run_dir, tmp_path / "r")


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_killed_fine_tuning_ends_as_one_never_killed(
    precision: str,
    finished: RunResult,
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flags = fine_tuning(finished.run_dir) | {"precision": precision, "epochs": 2}
    train(config(data_dir, tmp_path / "whole", **flags))
    for executions in (3, 2, 3):  # Frozen; just before the first unfrozen step; and after it.
        kill_after(monkeypatch, executions)
        with pytest.raises(Killed):
            train(config(data_dir, tmp_path / "killed", **flags))
        revive(monkeypatch)
    train(config(data_dir, tmp_path / "killed", **flags))
    assert_same_end(tmp_path / "whole", tmp_path / "killed")
