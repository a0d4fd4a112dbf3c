"""A frozen dataclass as a command line, through absl flags; and errors as exit codes.

The dataclass is the one place where a flag is written down: its name, type, default, group,
help and choices. A command is then

    config = commandline.parse(Config, argv, usage)      # exits 0 for --help, 2 for misuse
    return commandline.run(main, config, config.verbose)  # 0 done, 1 failed, 2 usage

Importing this module imports no TensorFlow: `--help` answers at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys
import textwrap
import traceback
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from absl import flags

from tfrecords.errors import EvenshardError, UsageError

ConfigT = TypeVar("ConfigT")

DONE, FAILED, USAGE = 0, 1, 2

_WIDTH = 100
_HELP_COLUMN = 30


def flag(
    default: Any,
    group: str,
    help: str,
    *,
    choices: Sequence[str] = (),
    metavar: str = "",
    short: str = "",
) -> Any:
    """Returns a dataclass field that is also a flag.

    Args:
      default: value when the flag is not given; `dataclasses.MISSING` makes it required.
      group: heading of `--help` under which it appears.
      help: one or two sentences.
      choices: the only values allowed, of a str or of each item of a tuple[str, ...].
      metavar: how `--help` names the value.
      short: a one-letter alias.
    """
    metadata = {
        "group": group,
        "help": help,
        "choices": tuple(choices),
        "metavar": metavar,
        "short": short,
    }
    return dataclasses.field(default=default, metadata=metadata)


def parse(config: type[ConfigT], argv: Sequence[str], usage: str) -> ConfigT:
    """Returns the dataclass for a command line; exits for `--help` (0) and misuse (2).

    Args:
      config: a dataclass all of whose fields come from `flag`.
      argv: without the program's name.
      usage: first lines of `--help`: what the command does, then how it is called.
    """
    try:
        parsed = parse_or_raise(config, argv)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(USAGE) from None
    if parsed is None:
        print(help_text(config, usage))
        raise SystemExit(DONE)
    return parsed


def parse_or_raise(config: type[ConfigT], argv: Sequence[str]) -> ConfigT | None:
    """Returns the dataclass for a command line, or None where it asks for help.

    Raises:
      UsageError: an unknown flag (names the nearest), a bad value, a missing one.
    """
    values = _define(config)
    try:
        rest = values(["command", *argv])[1:]
    except flags.UnrecognizedFlagError as error:
        raise UsageError(_unknown(error.flagname, _names(config))) from error
    except flags.Error as error:
        raise UsageError(f"{str(error).strip()}; --help lists all flags") from error
    if values["help"].value:
        return None
    if rest:
        raise UsageError(f"unexpected argument {rest[0]!r}: flags are written --name=value")
    return _build(config, values)


def run(main: Callable[[ConfigT], int | None], config: ConfigT, verbose: bool = False) -> int:
    """Returns the exit code of `main(config)`; prints an error as one line.

    A traceback appears only when `verbose`.
    """
    try:
        return main(config) or DONE
    except Exception as error:
        # The outermost boundary: a person gets one line, an engineer -v.
        if verbose:
            traceback.print_exc()
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED


def help_text(config: type[Any], usage: str) -> str:
    """Returns the text of `--help`: every flag, by group in order of first appearance."""
    groups: dict[str, list[str]] = {}
    for field in dataclasses.fields(config):
        groups.setdefault(field.metadata["group"], []).append(_help_entry(config, field))
    sections = [f"{group}:\n" + "\n".join(entries) for group, entries in groups.items()]
    return "\n\n".join([usage.strip(), *sections])


def _one_line(error: Exception) -> str:
    if isinstance(error, (EvenshardError, OSError)):
        return str(error)
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"unexpected {type(error).__name__}: {first} (-v shows where)"


def _define(config: type[Any]) -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_boolean("help", False, "show this text", short_name="h", flag_values=values)
    for field in dataclasses.fields(config):
        _define_one(values, config, field)
    return values


def _define_one(values: flags.FlagValues, config: type[Any], field: Any) -> None:
    kind, _ = _kind(config, field)
    meta = field.metadata
    default = None if field.default is dataclasses.MISSING else field.default
    common: dict[str, Any] = {"flag_values": values, "short_name": meta["short"] or None}
    if kind is bool:
        flags.DEFINE_boolean(field.name, default, meta["help"], **common)
    elif kind is int:
        flags.DEFINE_integer(field.name, default, meta["help"], **common)
    elif kind is float:
        flags.DEFINE_float(field.name, default, meta["help"], **common)
    elif kind is tuple:
        flags.DEFINE_list(field.name, list(default or ()), meta["help"], **common)
    elif meta["choices"]:
        flags.DEFINE_enum(field.name, default, list(meta["choices"]), meta["help"], **common)
    else:
        flags.DEFINE_string(field.name, default, meta["help"], **common)


def _build(config: type[ConfigT], values: flags.FlagValues) -> ConfigT:
    fields: dict[str, Any] = {}
    # ConfigT is a dataclass; typing has no public bound that says so.
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = values[field.name].value
        if value in (None, "") and field.default is dataclasses.MISSING:
            raise UsageError(f"--{field.name} is required: {field.metadata['help']}")
        if isinstance(value, list):
            value = tuple(item.strip() for item in value if item.strip())
            _check_items(field, value)
        fields[field.name] = value
    try:
        return config(**fields)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _check_items(field: Any, items: tuple[str, ...]) -> None:
    choices = field.metadata["choices"]
    for item in items:
        if choices and item not in choices:
            nearest = difflib.get_close_matches(item, choices, n=1, cutoff=0.0)[0]
            raise UsageError(
                f"--{field.name}: unknown {item!r}; did you mean {nearest!r}? "
                f"Known: {', '.join(choices)}"
            )


def _kind(config: type[Any], field: Any) -> tuple[type, bool]:
    """Returns the plain type of a field (bool, int, float, str or tuple) and if it is optional."""
    hint = typing.get_type_hints(config)[field.name]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (plain,) = (arg for arg in typing.get_args(hint) if arg is not type(None))
        return plain, True
    return typing.get_origin(hint) or hint, False


def _names(config: type[Any]) -> list[str]:
    names = ["help"]
    for field in dataclasses.fields(config):
        names.append(field.name)
        if _kind(config, field)[0] is bool:
            names.append(f"no{field.name}")
    return names


def _unknown(name: str, known: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"unknown flag --{name}; did you mean --{nearest[0]}? --help lists all flags"


def _help_entry(config: type[Any], field: Any) -> str:
    meta = field.metadata
    kind, _ = _kind(config, field)
    short = f"-{meta['short']}, " if meta["short"] else ""
    if kind is bool:
        head = f"  {short}--[no]{field.name}"
    else:
        metavar = meta["metavar"] or "|".join(meta["choices"]) or kind.__name__.upper()
        metavar = ",".join(meta["choices"]) if kind is tuple and meta["choices"] else metavar
        head = f"  {short}--{field.name}={metavar}"
    body = textwrap.wrap(f"{meta['help']} {_default_note(field)}".strip(), _WIDTH - _HELP_COLUMN)
    indent = " " * _HELP_COLUMN
    if len(head) < _HELP_COLUMN - 1:
        return "\n".join(
            [head.ljust(_HELP_COLUMN) + body[0], *(indent + line for line in body[1:])]
        )
    return "\n".join([head, *(indent + line for line in body)])


def _default_note(field: Any) -> str:
    if field.default is dataclasses.MISSING:
        return "(required)"
    if field.default is None or field.default in ("", ()):
        return ""
    if isinstance(field.default, bool):
        return f"(default: {'on' if field.default else 'off'})"
    shown = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    return f"(default: {shown})"
