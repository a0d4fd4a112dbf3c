"""The last line of a command can be pasted: a command that exists, whatever names it is given."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from evenshard import commands
from tfrecords.cli import following, parsing

ROOT = Path(__file__).parents[3]
ODD = "my shards/it's $HOME; rm -rf *"


@pytest.mark.parametrize(
    "line",
    [
        following.planning(),
        following.training(ODD),
        following.training(ODD, folded=True),
        following.using(ODD, ["train", "test"]),
        following.using(ODD, ["train", "validation"]),
        following.line("export", f"--run_dir={ODD}"),
        following.line("evaluate", f"--run_dir={ODD}", "--split=test"),
    ],
)
def test_each_line_is_a_command_with_flags_that_it_knows(line: str) -> None:
    head, program, name, *arguments = shlex.split(line)
    assert (head, program) == ("next:", "evenshard")
    command = importlib.import_module(commands.find(name).module).COMMAND
    parsing.parse(command.config, arguments, command.foreign)
    assert any(ODD in argument or "PICTURES" in argument for argument in arguments)


def test_a_training_is_proposed_in_a_directory_that_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert following.training("o").endswith(" --run_dir=runs/first")
    for taken, then in (("first", "first-2"), ("first-2", "first-3")):
        (tmp_path / "runs" / taken).mkdir(parents=True)
        assert following.training("o").endswith(f" --run_dir=runs/{then}")
    (tmp_path / "runs" / "fold0").mkdir()
    assert following.training("o", folded=True).endswith(" --run_dir=runs/fold0-2 --fold=0")


def test_a_run_is_evaluated_before_it_predicts_where_there_is_a_test_split() -> None:
    assert "evenshard evaluate" in following.using("runs/a", ["train", "test"])
    assert "evenshard predict" in following.using("runs/a", ["train", "validation"])


def test_no_command_writes_in_colour() -> None:
    """NO_COLOR is kept by having none: no source has the escape sequence that sets one."""
    colour = re.compile(r"(\\033|\\x1b|\\e)\[[0-9;{}]*m", re.IGNORECASE)
    sources = [
        path
        for package in ("beam_pipelines", "evenshard", "tfrecords", "trainer")
        for path in (ROOT / package).rglob("*.py")
        if colour.search(path.read_text(encoding="utf-8"))
    ]
    assert sources == []
