"""Reference pages of the commands, from the dataclasses that hold their flags."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from evenshard import commands
from tfrecords.cli import flags
from tfrecords.cli.run import Command

_FOLDER = "reference/commands"


def pages() -> dict[str, str]:
    """Returns path below docs/ → Markdown: a page for each command, and one that lists them."""
    named = {command.name: command for command in commands.COMMANDS}
    each = {f"{_FOLDER}/{name}.md": _page(command) for name, command in named.items()}
    return {f"{_FOLDER}/index.md": _index(), **each}


def _index() -> str:
    lines = ["# Commands", ""]
    for group in dict.fromkeys(command.group for command in commands.COMMANDS):
        lines += [f"## {group}", "", "| command | what it does |", "|---|---|"]
        lines += [
            f"| [`evenshard {command.name}`]({command.name}.md) | {_cell(command.summary)} |"
            for command in commands.COMMANDS
            if command.group == group
        ]
        lines.append("")
    lines += ["## Flags of every command", "", "| flag | meaning |", "|---|---|"]
    lines += [f"| `{head}` | {_cell(text)} |" for head, text in flags.COMMON.values()]
    lines += [
        "",
        "`-` and `_` are the same in a flag's name; `--noX`, `--no-X` and `--X=false` too. "
        "A misspelt flag is an error that names the nearest one.",
    ]
    return "\n".join(lines) + "\n"


def _page(sub_command: commands.SubCommand) -> str:
    command: Command[Any] = importlib.import_module(sub_command.module).COMMAND
    config = command.config
    lines = [f"# evenshard {sub_command.name}", "", command.summary, ""]
    if sub_command.flags:
        lines += [f"Stands for `{' '.join(('evenshard bake', *sub_command.flags))}`.", ""]
    usage = " ".join(filter(None, (f"evenshard {sub_command.name}", command.arguments)))
    lines += ["```text", f"{usage} [--flag=value …]", "```", ""]
    lines += [command.notes, ""] if command.notes else []
    groups: dict[str, list[str]] = {}
    for name, item in flags.flags_of(config).items():
        groups.setdefault(item.metadata["group"], []).append(_row(config, name, item))
    for group, rows in groups.items():
        lines += [f"## {group}", "", "| flag | default | meaning |", "|---|---|---|", *rows, ""]
    if command.examples:
        lines += ["## Examples", "", "```text", command.examples.strip(), "```", ""]
    return "\n".join(lines) + "\n"


def _row(config: type[Any], name: str, item: Any) -> str:
    meta = item.metadata
    kind = flags.plain_type(config, name)
    if kind is bool:
        values = "on, off"
    else:
        separator = ", " if kind is tuple else " or "
        values = meta["metavar"] or separator.join(flags.choices_of(config, name)) or kind.__name__
    head = f"`--{name}`<br>{_cell(values)}"
    return f"| {head} | {_default(config, name, item)} | {_cell(meta['help'])} |"


def _default(config: type[Any], name: str, item: Any) -> str:
    if item.default is dataclasses.MISSING:
        unless = item.metadata["unless"]
        return f"required, except with `--{unless}`" if unless else "required"
    value = flags.default_of(config, name)
    if isinstance(value, bool):
        return "on" if value else "off"
    shown = flags.text_of(item, value)
    return f"`{shown}`" if shown else ""


def _cell(text: str) -> str:
    """Returns a text that stays in one cell of a Markdown table."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
