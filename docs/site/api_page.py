"""The reference page of `import evenshard`, from signatures and docstrings."""

from __future__ import annotations

import functools
import inspect
import re
from typing import Any

import evenshard

_CONFIGS = {"PrepareConfig": "bake", "TrainConfig": "train"}
_WIDTH = 90
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")


def markdown() -> str:
    """Returns the page: every public name, classes with their methods and properties."""
    parts = [
        "# Python API",
        "[Python by example](../api.md) shows these in use. Arguments have the names of the "
        "commands' flags, whose pages say what they mean.",
    ]
    for name in evenshard.__all__:
        value = getattr(evenshard, name)
        if name in _CONFIGS:
            parts += [f"## {name}", _config(name)]
        elif inspect.isclass(value):
            parts += [f"## {name}", _text(value.__doc__), *_members(value)]
        elif callable(value):
            parts += [f"## {name}", _signature(name, value), _text(value.__doc__)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _config(name: str) -> str:
    command = _CONFIGS[name]
    return (
        f"A frozen dataclass whose fields are the flags of "
        f"[`evenshard {command}`](commands/{command}.md). "
        f"It may stand for all arguments of `{command}`."
    )


def _members(owner: type[Any]) -> list[str]:
    """Returns the parts of a class's own and inherited public members, those of bases last."""
    parts = []
    ours = [base for base in owner.__mro__ if base.__module__.startswith("evenshard")]
    members = {name: value for base in reversed(ours) for name, value in vars(base).items()}
    for name, value in members.items():
        title = f"{owner.__name__}.{name}"
        if name.startswith("_"):
            continue
        if isinstance(value, (property, functools.cached_property)):
            parts += [f"### {title}", _text(value.__doc__)]
        elif inspect.isfunction(value):
            parts += [f"### {title}", _signature(title, value), _text(value.__doc__)]
    return parts


def _signature(name: str, function: Any) -> str:
    signature = inspect.signature(function)
    shown = [item for item in signature.parameters.values() if item.name != "self"]
    returned = signature.return_annotation
    arrow = "" if returned is inspect.Signature.empty else f" -> {returned}"
    lines = _written(shown)
    short = f"{name}({', '.join(lines)}){arrow}"
    if len(short) <= _WIDTH:
        return f"```text\n{short}\n```"
    body = "\n".join(f"    {line}," for line in lines)
    return f"```text\n{name}(\n{body}\n){arrow}\n```"


def _written(shown: list[inspect.Parameter]) -> list[str]:
    """Returns the parameters as they are written, with the star before those given by name."""
    lines, starred = [], False
    for item in shown:
        if item.kind is inspect.Parameter.KEYWORD_ONLY and not starred:
            lines.append("*")
            starred = True
        annotation = "" if item.annotation is item.empty else f": {item.annotation}"
        default = "" if item.default is item.empty else f" = {item.default!r}"
        lines.append(f"{item.name}{annotation}{default}")
    return lines


def _text(docstring: str | None) -> str:
    """Returns a docstring of Google's style as Markdown."""
    lines: list[str] = []
    in_section = in_example = False
    for line in inspect.cleandoc(docstring or "").splitlines():
        if in_example and not line:
            in_example = False
            lines.append("```")
        if line.startswith(">>>") and not in_example:
            in_example = True
            lines.append("```pycon")
        if in_example:
            lines.append(line)
        elif _SECTION.match(line):
            in_section = True
            lines += ["", f"**{line.rstrip(':')}**", ""]
        elif in_section and re.match(r"^  \S", line):
            name, colon, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}" if colon else f"- {line.strip()}")
        elif in_section and line and not line.startswith(" "):
            in_section = False
            lines += ["", line]
        else:
            lines.append(f"  {line.strip()}".rstrip() if in_section else line)
    return "\n".join([*lines, *(["```"] if in_example else [])]).strip()
