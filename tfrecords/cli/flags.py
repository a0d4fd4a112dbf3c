"""A frozen dataclass as a command line, through absl flags.

The dataclass is the one place where a flag is written down: its name, type, default, group,
help and choices. The same class is the configuration in Python: `convert_fields`, called by its
`__post_init__`, takes text and plain Python values alike, so `--image_size=96x128`,
`image_size="96x128"` and `image_size=(96, 128)` mean the same and fail with the same words.

`-` and `_` are the same in a flag's name, an unknown flag is an error that names the nearest one,
and `--flagfile=FILE` reads further flags from a file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import enum
import functools
import operator
import os
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from absl import flags as absl_flags

from tfrecords.errors import UsageError

ConfigT = TypeVar("ConfigT")

_WIDTH = 100
_HELP_COLUMN = 30

# Below this share of common letters two names have nothing to do with each other.
_ALIKE = 0.6


def flag(
    default: Any,
    group: str,
    help: str,
    *,
    choices: Sequence[str] = (),
    metavar: str = "",
    short: str = "",
    typed_as: Sequence[str] = (),
    positional: bool = False,
    parse: Callable[[Any], Any] | None = None,
    show: Callable[[Any], str] | None = None,
) -> Any:
    """Returns a dataclass field that is also a flag.

    Args:
      default: value when the flag is not given; `dataclasses.MISSING` makes it required.
      group: heading of `--help` under which it appears.
      help: one or two sentences.
      choices: the only values allowed, of a str or of each item of a tuple[str, ...].
      metavar: how `--help` names the value.
      short: a one-letter alias.
      typed_as: names that people type for it from other tools; an error then names this flag.
      positional: the value may also stand alone, without the flag's name.
      parse: turns text, or a value given in Python, into the field's value; raises ValueError
        with what was expected. By default the field's type decides.
      show: the text that `parse` would take, for values whose `str` is not that.
    """
    metadata = {
        "group": group,
        "help": help,
        "choices": tuple(choices),
        "metavar": metavar,
        "short": short,
        "typed_as": tuple(typed_as),
        "positional": positional,
        "parse": parse,
        "show": show,
    }
    return field(default=default, metadata=metadata)


def rest() -> Any:
    """Returns a dataclass field that takes the arguments which are no flags of the dataclass."""
    return field(default=(), metadata={"rest": True})


def convert_fields(config: Any) -> None:
    """Gives each field of a frozen dataclass its own type: call it first in `__post_init__`.

    Raises:
      UsageError: a value is not of its field's kind; the text names the flag.
    """
    for name, item in _flags(type(config)).items():
        value = getattr(config, name)
        try:
            converted = _converter(type(config), name)(value)
        except (ValueError, TypeError) as error:
            raise UsageError(f"--{name}{_shown_value(value)}: {error}") from error
        object.__setattr__(config, name, converted)
        _check_choices(item, converted)


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Turns a ValueError of the block into a UsageError: for values that check themselves."""
    try:
        yield
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error


def to_text(config: Any, name: str) -> str:
    """Returns what a field's value is on a command line, without the flag's name."""
    item = _flags(type(config))[name]
    return _text(item, getattr(config, name))


def command_line(config: Any) -> list[str]:
    """Returns the flags that give this configuration, defaults left out."""
    argv = []
    for name, item in _flags(type(config)).items():
        value = getattr(config, name)
        if item.default is not dataclasses.MISSING and value == _default(type(config), name):
            continue
        if isinstance(value, bool):
            argv.append(f"--{name}" if value else f"--no{name}")
        else:
            argv.append(f"--{name}={_text(item, value)}")
    return argv


@dataclass(frozen=True, slots=True)
class ForeignFlags:
    """A verdict on arguments that are none of the command's own.

    Attributes:
      accepted: the arguments that somebody else knows, as they are to be handed on.
      refused: the arguments nobody knows, as typed.
      known: names of the flags that would have been accepted, without dashes; the nearest is
        looked for here too.
    """

    accepted: Sequence[str] = ()
    refused: Sequence[str] = ()
    known: Sequence[str] = ()


ForeignCheck = Callable[[Sequence[str]], ForeignFlags]


@dataclass(frozen=True)
class Parsed:
    """A command line, taken apart.

    Attributes:
      values: field name → text or bool, of the flags that were given.
      help: whether `--help` was among them.
      version: whether `--version` was.
      verbose: whether `-v` was.
    """

    values: dict[str, Any]
    help: bool
    version: bool
    verbose: bool


# What every command has, beside the flags of its dataclass.
_COMMON_GROUP = "Help and errors"
_COMMON = {
    "help": ("-h, --help", "Show this text."),
    "version": ("--version", "Show the version."),
    "flagfile": ("--flagfile=FILE", "Read further flags from a file, one a line."),
    "verbose": ("-v, --[no]verbose", "Show the traceback of an error."),
}


def parse(
    config: type[ConfigT], argv: Sequence[str], foreign: ForeignCheck | None = None
) -> ConfigT:
    """Returns the dataclass for a command line that asks for no help.

    Raises:
      UsageError: an unknown flag (names the nearest), a bad value, a missing one.
    """
    return build(config, split(config, argv, foreign).values)


def split(config: type[Any], argv: Sequence[str], foreign: ForeignCheck | None = None) -> Parsed:
    """Takes a command line apart; values stay text.

    Args:
      config: a dataclass whose fields come from `flag`, and one perhaps from `rest`.
      argv: without the program's name.
      foreign: judges arguments that are no flags of `config`; by default all are refused.

    Raises:
      UsageError: an unknown flag, a stray argument, a value where none belongs.
    """
    defined = _define(config)
    try:
        expanded = defined.read_flags_from_files(list(argv), force_gnu=True)
        remaining = defined(["command", *_spelled(defined, expanded)], known_only=True)[1:]
    except (absl_flags.Error, OSError) as error:
        raise UsageError(f"{' '.join(str(error).split())}; --help lists all flags") from error
    values = {name: defined[name].value for name in _flags(config) if defined[name].present}
    given = Parsed(
        values,
        help=bool(defined["help"].value),
        version=bool(defined["version"].value),
        verbose=bool(defined["verbose"].value),
    )
    if given.help or given.version:
        return given
    remaining = _take_positional(config, values, remaining)
    verdict = foreign(remaining) if foreign and remaining else ForeignFlags(refused=remaining)
    if verdict.refused:
        raise UsageError(_unknown(config, verdict))
    for item in dataclasses.fields(config):
        if item.metadata.get("rest") and verdict.accepted:
            values[item.name] = tuple(verdict.accepted)
    return given


def build(config: type[ConfigT], values: dict[str, Any]) -> ConfigT:
    """Returns the dataclass for given flags.

    Raises:
      UsageError: a required flag is missing, or a value is refused.
    """
    for name, item in _flags(config).items():
        if item.default is dataclasses.MISSING and values.get(name) in (None, ""):
            raise UsageError(f"--{name} is required: {item.metadata['help']}")
    with usage_errors():
        return config(**values)


def help_text(config: type[Any], usage: str, epilog: str = "") -> str:
    """Returns the text of `--help`: every flag, by group in order of first appearance."""
    groups: dict[str, list[str]] = {}
    for name, item in _flags(config).items():
        groups.setdefault(item.metadata["group"], []).append(_help_entry(config, name, item))
    own = set(_flags(config))
    groups[_COMMON_GROUP] = [
        _entry(head, text) for name, (head, text) in _COMMON.items() if name not in own
    ]
    sections = [f"{group}:\n" + "\n".join(entries) for group, entries in groups.items()]
    return "\n\n".join(part for part in [usage.strip(), *sections, epilog.strip()] if part)


def nearest(name: str, known: Iterable[str], typed_as: dict[str, str] | None = None) -> str | None:
    """Returns the flag that was most likely meant by `name`, or None if none is anything like it.

    Args:
      name: as typed, without dashes.
      known: names of flags, without dashes.
      typed_as: names from other tools → the flag of the same meaning.
    """
    typed = name.replace("-", "_").lower()
    if typed in (typed_as or {}):
        return (typed_as or {})[typed]
    names = list(known)
    alike = difflib.get_close_matches(typed, names, n=1, cutoff=_ALIKE)
    if alike:
        return alike[0]
    # "--size" for "--image_size", where no other flag has that word.
    having = [candidate for candidate in names if typed in candidate.split("_")]
    return having[0] if len(having) == 1 else None


def names_of(config: type[Any]) -> list[str]:
    """Returns every name that a command line may use, without dashes: for completion."""
    names = [*_flags(config), *(name for name in _COMMON if name not in _flags(config))]
    booleans = [name for name in _flags(config) if _plain_type(config, name) is bool]
    return [*names, *(f"no{name}" for name in booleans)]


def choices_of(config: type[Any], name: str) -> tuple[str, ...]:
    """Returns the values that a flag allows, () for any: for completion."""
    return _choices(config, name)


def metavar_of(config: type[Any], name: str) -> str | None:
    """Returns what kind of value a flag takes, such as "DIR" or "FILE"; None for a switch."""
    if name in _flags(config):
        is_switch = _plain_type(config, name) is bool
        return None if is_switch else str(_flags(config)[name].metadata["metavar"])
    return "FILE" if name == "flagfile" else None


def is_positional(config: type[Any], name: str) -> bool:
    """Returns whether a flag's value may stand alone, without the flag's name."""
    return name in _flags(config) and bool(_flags(config)[name].metadata["positional"])


def image_size(value: Any) -> tuple[int, int] | None:
    """Returns (height, width) of N, "N", "HxW" or a pair; None for None or "".

    Raises:
      ValueError: anything else.
    """
    if value is None or value == "":
        return None
    parts = value.lower().split("x") if isinstance(value, str) else value
    if isinstance(parts, (list, tuple)) and len(parts) in (1, 2):
        height, width = parts[0], parts[-1]
    else:
        height = width = parts
    try:
        size = (whole_number(height), whole_number(width))
    except ValueError:
        size = (0, 0)
    if not all(0 < side < 10**5 for side in size):
        raise ValueError("N or HxW in pixels is expected, such as 128 or 96x128")
    return size


def show_size(size: tuple[int, int] | None) -> str:
    """Returns the text that `image_size` takes."""
    if size is None:
        return ""
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def whole_number(value: Any) -> int:
    """Returns a whole number, given as one or as text.

    Raises:
      ValueError: anything else.
    """
    try:
        if isinstance(value, bool):
            raise ValueError
        return int(value) if isinstance(value, str) else operator.index(value)
    except (ValueError, TypeError) as error:
        raise ValueError("a whole number is expected") from error


def number_or_word(word: str, minimum: int) -> Callable[[Any], int | str]:
    """Returns a `parse` for whole numbers from `minimum` up, or one word such as "auto"."""

    def convert(value: Any) -> int | str:
        if value == word:
            return word
        try:
            number = whole_number(value)
        except ValueError:
            number = minimum - 1
        if number < minimum:
            raise ValueError(f"{word}, or a whole number from {minimum} up, is expected")
        return number

    return convert


# Evaluated annotations of each configuration: evaluating them anew takes milliseconds.
_HINTS: dict[type[Any], dict[str, Any]] = {}


def _flags(config: type[Any]) -> dict[str, Any]:
    fields = dataclasses.fields(config)
    return {item.name: item for item in fields if "group" in item.metadata}


def _hint(config: type[Any], name: str) -> tuple[Any, bool]:
    """Returns a field's type without None, and whether None is allowed."""
    if config not in _HINTS:
        _HINTS[config] = typing.get_type_hints(config)
    hint = _HINTS[config][name]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        plain = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return plain[0], type(None) in typing.get_args(hint)
    return hint, False


def _plain_type(config: type[Any], name: str) -> type:
    hint = _hint(config, name)[0]
    return typing.get_origin(hint) or hint


def _converter(config: type[Any], name: str) -> Callable[[Any], Any]:
    given: Callable[[Any], Any] | None = _flags(config)[name].metadata["parse"]
    if given is not None:
        return given
    kind, optional = _plain_type(config, name), _hint(config, name)[1]
    convert: Callable[[Any], Any]
    if kind is tuple:
        convert = _words
    elif issubclass(kind, enum.Enum):
        convert = functools.partial(_member, kind)
    else:
        convert = _PLAIN[kind]
    return lambda value: None if optional and value is None else convert(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False is expected")
    return value


def _number(value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (ValueError, TypeError) as error:
        raise ValueError("a number is expected") from error


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):  # A path given in Python.
        return os.fsdecode(value)
    raise ValueError("text is expected")


def _words(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else list(value)
    return tuple(item.strip() for item in map(_string, items) if item.strip())


def _member(kind: type[enum.Enum], value: Any) -> enum.Enum:
    try:
        return kind(value)
    except ValueError as error:
        raise ValueError(_one_of([member.value for member in kind], str(value))) from error


_PLAIN: dict[type, Callable[[Any], Any]] = {
    bool: _truth,
    int: whole_number,
    float: _number,
    str: _string,
}


def _check_choices(item: Any, value: Any) -> None:
    choices = item.metadata["choices"]
    values = value if isinstance(value, tuple) else (value,)
    for each in values:
        text = each.value if isinstance(each, enum.Enum) else each
        if choices and text is not None and text not in choices:
            raise UsageError(f"--{item.name}={text}: {_one_of(choices, str(text))}")


def _one_of(choices: Sequence[str], text: str) -> str:
    alike = difflib.get_close_matches(text, choices, n=1, cutoff=_ALIKE)
    hint = f"did you mean {alike[0]}? " if alike else ""
    return f"{hint}one of {', '.join(choices)} is expected"


def _shown_value(value: Any) -> str:
    return f"={value}" if isinstance(value, (str, int, float)) else f"={value!r}"


def _text(item: Any, value: Any) -> str:
    if item.metadata["show"] is not None:
        return str(item.metadata["show"](value))
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return ",".join(str(_text(item, each)) for each in value)
    return "" if value is None else str(value)


def _default(config: type[Any], name: str) -> Any:
    """Returns a flag's default as its field holds it."""
    return _converter(config, name)(_flags(config)[name].default)


def _define(config: type[Any]) -> absl_flags.FlagValues:
    """Returns absl's flags for a dataclass: absl takes them apart, `convert_fields` judges them."""
    values = absl_flags.FlagValues()
    define_boolean = functools.partial(
        absl_flags.DEFINE_boolean, default=None, help="", flag_values=values
    )
    define_boolean("help", short_name="h")
    define_boolean("version")
    if "verbose" not in _flags(config):
        define_boolean("verbose", short_name="v")
    for name, item in _flags(config).items():
        short = item.metadata["short"] or None
        if _plain_type(config, name) is bool:
            define_boolean(name, short_name=short)
        else:
            absl_flags.DEFINE_string(name, None, "", flag_values=values, short_name=short)
    values.set_gnu_getopt(True)
    return values


def _spelled(defined: absl_flags.FlagValues, argv: Sequence[str]) -> list[str]:
    """Returns the arguments with each known flag spelled as it is defined.

    The value of `--flag value` is left as it is, whatever it looks like.
    """
    result: list[str] = []
    is_value = False
    for number, argument in enumerate(argv):
        if argument == "--":
            return [*result, *argv[number:]]
        spelled = argument if is_value else _spelled_one(defined, argument)
        name = spelled.lstrip("-")
        is_value = (
            not is_value
            and spelled.startswith("-")
            and name in defined
            and not defined[name].boolean
        )
        result.append(spelled)
    return result


def _spelled_one(defined: absl_flags.FlagValues, argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    spelled = name.replace("-", "_")
    bare = spelled.removeprefix("no_")
    if bare != spelled and spelled not in defined and bare in defined and defined[bare].boolean:
        spelled = f"no{bare}"  # --no-resume is --noresume.
    known = spelled in defined or (spelled.startswith("no") and spelled[2:] in defined)
    return f"--{spelled}{equals}{value}" if known else argument


def _take_positional(
    config: type[Any], values: dict[str, Any], remaining: Sequence[str]
) -> list[str]:
    """Moves arguments that stand alone into `values`; returns the others."""
    result = list(remaining)
    for name, item in _flags(config).items():
        if item.metadata["positional"] and name not in values and result:
            if not result[0].startswith("-"):
                values[name] = result.pop(0)
    return result


def _unknown(config: type[Any], verdict: ForeignFlags) -> str:
    argument = verdict.refused[0]
    if not argument.startswith("-"):
        return f"unexpected argument {argument!r}: flags are written --name=value"
    typed = argument.partition("=")[0]
    name = typed.lstrip("-")
    typed_as = {
        other: item.name for item in _flags(config).values() for other in item.metadata["typed_as"]
    }
    meant = nearest(name, [*names_of(config), *verdict.known], typed_as)
    hint = f"did you mean --{meant}?" if meant else "--help lists all flags"
    return f"unknown flag {typed}; {hint}"


def _help_entry(config: type[Any], name: str, item: Any) -> str:
    meta = item.metadata
    kind = _plain_type(config, name)
    short = f"-{meta['short']}, " if meta["short"] else ""
    text = f"{meta['help']} {_default_note(config, name, item)}".strip()
    if kind is bool:
        return _entry(f"{short}--[no]{name}", text)
    separator = "," if kind is tuple else "|"
    metavar = meta["metavar"] or separator.join(_choices(config, name)) or kind.__name__.upper()
    return _entry(f"{short}--{name}={metavar}", text)


def _choices(config: type[Any], name: str) -> tuple[str, ...]:
    kind = _plain_type(config, name)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return tuple(member.value for member in kind)
    choices: tuple[str, ...] = _flags(config)[name].metadata["choices"]
    return choices


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
        return "(required)"
    value = _default(config, name)
    if isinstance(value, bool):
        return f"(default: {'on' if value else 'off'})"
    shown = _text(item, value)
    return f"(default: {shown})" if shown else ""
