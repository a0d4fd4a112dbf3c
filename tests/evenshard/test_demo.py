"""`evenshard demo`: its steps are commands that exist, with flags that they know."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from evenshard import commands, demo
from evenshard.demo import DemoConfig
from evenshard.springfield_like import options
from tfrecords.cli import parsing


def test_every_step_is_a_command_that_takes_its_flags(tmp_path: Path) -> None:
    first, *others = demo.steps(DemoConfig(dir=tmp_path))
    assert first.shown.startswith("python -m evenshard.springfield_like --output_dir=")
    options.parse(first.flags)
    assert [step.command[1] for step in others] == ["bake", "verify", "train", "predict"]
    for step in others:
        command = importlib.import_module(commands.find(step.command[1]).module).COMMAND
        parsing.parse(command.config, step.flags, command.foreign)
        assert step.shown.startswith(f"evenshard {step.command[1]} ")


def test_a_step_that_is_done_is_left_out_and_a_failed_one_ends_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "town").mkdir()
    (tmp_path / "town" / "truth.json").touch()
    calls: list[list[str]] = []

    class Done:
        returncode = 3

    monkeypatch.setattr(demo.subprocess, "run", lambda argv: calls.append(argv) or Done())
    assert demo.COMMAND.run([str(tmp_path)]) == 3
    assert [argv[2:4] for argv in calls] == [["evenshard", "bake"]]
    assert "truth.json is there already" in capsys.readouterr().out


def test_other_flags_in_the_same_folder_are_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Done:
        returncode = 0

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo.subprocess, "run", lambda argv: Done())
    began = ["my demo", "--scale=0.02", "--epochs=2"]
    assert demo.COMMAND.run(began) == demo.COMMAND.run(began) == 0
    capsys.readouterr()
    assert demo.COMMAND.run(["my demo", "--scale=0.02"]) == 2
    assert capsys.readouterr().err == (
        "error: my demo holds a demo of --epochs=2: to carry on with it, `evenshard demo 'my demo' "
        "--scale=0.02 --epochs=2`; for these flags another folder, `evenshard demo "
        "'my demo-2' --scale=0.02`, or remove this one first, `rm -r 'my demo'`\n"
    )
    assert demo.COMMAND.run(["my demo-2", "--scale=0.02"]) == 0
    (tmp_path / "my demo" / "demo.json").write_text("x")
    assert demo.COMMAND.run(began) == 2


def test_its_flags_are_checked_like_those_of_any_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert demo.COMMAND.run(["--epcohs=2"]) == 2
    assert capsys.readouterr().err == "error: unknown flag --epcohs; did you mean --epochs?\n"
