"""The pages that are made from the code name all that the code has."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import evenshard
from docs.site import api_page, command_pages, front_page, notebook_page, reject_page
from evenshard import commands
from tfrecords.cli import flags, run
from tfrecords.images.rejects import RejectReason

ROOT = Path(__file__).parents[2]
PIXELS = (ROOT / "docs" / "pixels.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.name)
def test_every_flag_has_a_row(command: commands.SubCommand) -> None:
    page = command_pages.pages()[f"reference/commands/{command.name}.md"]
    config = importlib.import_module(command.module).COMMAND.config
    rows = [line for line in page.splitlines() if line.startswith("| `--")]
    named = {row.split("`")[1] for row in rows}
    assert named == {f"--{name}" for name in flags.flags_of(config)}
    assert len(rows) == len(named)
    assert all(row.replace("\\|", "").count("|") == 4 for row in rows)


def test_every_public_name_has_a_heading() -> None:
    lines = api_page.markdown().splitlines()
    names = set(evenshard.__all__) - {"__version__"}
    assert {f"## {name}" for name in names} <= set(lines)
    assert {"### Dataset.records", "### Run.predict", "### Plan.counts"} <= set(lines)


def test_every_reject_reason_has_a_meaning() -> None:
    page = reject_page.markdown(PIXELS)
    assert all(f"| `{reason.value}` | " in page for reason in RejectReason)


def test_a_reason_without_a_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="'bomb'"):
        reject_page.markdown(PIXELS.replace("| `bomb` |", "| `bomp` |"))


def test_exit_codes_are_those_of_the_commands() -> None:
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    codes = (run.DONE, run.FAILED, run.USAGE, run.INTERRUPTED, run.TERMINATED)
    assert [line.split()[1] for line in page.splitlines() if line[:3].strip("| ").isdigit()] == [
        str(int(code)) for code in codes
    ]


def test_the_front_page_links_inside_the_site() -> None:
    base = "https://github.com/evenshard/evenshard/blob/main/docs/"
    readme = f"[a]({base}design.md#5-commands) [n]({base}tutorials/notebook.ipynb)"
    assert front_page.markdown(readme) == "[a](design.md#5-commands) [n](tutorials/notebook.md)"


def test_a_notebook_is_a_page() -> None:
    cells = (
        '{"cells": [{"cell_type": "markdown", "source": ["# T"]}, '
        '{"cell_type": "code", "source": ["a = 1\\n", "a"]}]}'
    )
    page = notebook_page.markdown(cells)
    assert page.startswith("# T\n\n[Download")
    assert page.endswith("```python\na = 1\na\n```\n")
