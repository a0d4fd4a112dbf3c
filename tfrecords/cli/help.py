"""The text of `--help`, from the dataclass that holds a command's flags."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Any

from tfrecords.cli.flags import COMMON, choices_of, default_of, flags_of, plain_type, text_of

_WIDTH = 100
_HELP_COLUMN = 30

_COMMON_GROUP = "Help and errors"


def help_text(config: type[Any], usage: str, epilog: str = "") -> str:
    """Returns the text of `--help`: every flag, by group in order of first appearance."""
    groups: dict[str, list[str]] = {}
    for name, item in flags_of(config).items():
        groups.setdefault(item.metadata["group"], []).append(_help_entry(config, name, item))
    own = set(flags_of(config))
    groups[_COMMON_GROUP] = [
        _entry(head, text) for name, (head, text) in COMMON.items() if name not in own
    ]
    sections = [f"{group}:\n" + "\n".join(entries) for group, entries in groups.items()]
    return "\n\n".join(part for part in [usage.strip(), *sections, epilog.strip()] if part)


def _help_entry(config: type[Any], name: str, item: Any) -> str:
    meta = item.metadata
    kind = plain_type(config, name)
    short = f"-{meta['short']}, " if meta["short"] else ""
    text = f"{meta['help']} {_default_note(config, name, item)}".strip()
    if kind is bool:
        return _entry(f"{short}--[no]{name}", text)
    separator = "," if kind is tuple else "|"
    metavar = meta["metavar"] or separator.join(choices_of(config, name)) or kind.__name__.upper()
    return _entry(f"{short}--{name}={metavar}", text)


def _entry(head: str, text: str) -> str:
    head = f"  {head}"
    body = textwrap.wrap(text, _WIDTH - _HELP_COLUMN)
    indent = " " * _HELP_COLUMN
    if len(head) < _HELP_COLUMN - 1:
        return "\n".join(
            [head.ljust(_HELP_COLUMN) + body[0], *(indent + line for line in body[1:])]
        )
    return "\n".join([head, *(indent + line for line in body)])


def _default_note(config: type[Any], name: str, item: Any) -> str:
    if item.default is dataclasses.MISSING:
        unless = item.metadata["unless"]
        return f"(required, except with --{unless})" if unless else "(required)"
    value = default_of(config, name)
    if isinstance(value, bool):
        return f"(default: {'on' if value else 'off'})"
    shown = text_of(item, value)
    return f"(default: {shown})" if shown else ""
