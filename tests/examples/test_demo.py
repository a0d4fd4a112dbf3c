"""`make demo`: its steps are commands that exist, with flags that they know."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from examples import demo
from examples.demo import DemoConfig
from tfrecords.cli import parsing

OF_OURS = ("beam_pipelines.prepare", "tfrecords.verify", "trainer.train")


def test_every_step_is_a_command_that_takes_its_flags(tmp_path: Path) -> None:
    steps = {step.module: step for step in demo.steps(DemoConfig(dir=tmp_path))}
    assert set(steps) == {"examples.springfield_like", *OF_OURS}
    for module in OF_OURS:
        program = "trainer.train.__main__" if module == "trainer.train" else module
        command = importlib.import_module(program).COMMAND
        parsing.parse(command.config, steps[module].flags, command.foreign)


def test_a_step_that_is_done_is_left_out_and_a_failed_one_ends_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "town").mkdir()
    (tmp_path / "town" / "truth.json").touch()
    calls: list[list[str]] = []

    class Done:
        returncode = 3

    monkeypatch.setattr(demo.subprocess, "run", lambda argv: calls.append(argv) or Done())
    assert demo.COMMAND.run([f"--dir={tmp_path}"]) == 3
    assert [argv[2] for argv in calls] == ["beam_pipelines.prepare"]
    assert "truth.json is there already" in capsys.readouterr().out


def test_its_flags_are_checked_like_those_of_any_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert demo.COMMAND.run(["--epcohs=2"]) == 2
    assert capsys.readouterr().err == "error: unknown flag --epcohs; did you mean --epochs?\n"
