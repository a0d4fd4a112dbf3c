"""Flags as the fields of a frozen dataclass.

The dataclass is the one place where a flag is written down: its name, type, default, group,
help and choices. The same class is the configuration in Python: `convert_fields`, called by its
`__post_init__`, takes text and plain Python values alike, so `--image_size=96x128`,
`image_size="96x128"` and `image_size=(96, 128)` mean the same and fail with the same words.

`parsing` makes such a dataclass of a command line, `help` its `--help`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import enum
import functools
import os
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from typing import Any

from tfrecords.cli.values import whole_number
from tfrecords.errors import UsageError

# What every command has, beside the flags of its dataclass: head and text of its help.
COMMON = {
    "help": ("-h, --help", "Show this text."),
    "version": ("--version", "Show the version."),
    "flagfile": ("--flagfile=FILE", "Read further flags from a file, one a line."),
    "verbose": ("-v, --[no]verbose", "Show the traceback of an error."),
}

# How `--help` names the value of a flag that takes a path.
PATHS = ("DIR", "FILE", "PATH")

# Characters of a value in an error.
_SHOWN = 80

# Below this share of common letters two names have nothing to do with each other.
ALIKE = 0.6


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
    unless: str = "",
    several: bool = False,
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
      unless: a switch with which a required flag may be left out; its value is then "".
      several: a text may be several with commas between them, so that it is not given twice.
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
        "unless": unless,
        "several": several,
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
    for name, item in flags_of(type(config)).items():
        value = getattr(config, name)
        try:
            converted = _converter(type(config), name)(value)
        except (ValueError, TypeError) as error:
            raise UsageError(f"--{name}{_shown_value(value)}: {error}") from error
        if item.metadata["metavar"].split("|")[-1].removesuffix(",…") in PATHS:
            converted = _at_home(converted)
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
    item = flags_of(type(config))[name]
    return text_of(item, getattr(config, name))


def command_line(config: Any) -> list[str]:
    """Returns the flags that give this configuration, defaults left out."""
    argv = []
    for name, item in flags_of(type(config)).items():
        value = getattr(config, name)
        if item.default is not dataclasses.MISSING and value == default_of(type(config), name):
            continue
        if isinstance(value, bool):
            argv.append(f"--{name}" if value else f"--no{name}")
        else:
            argv.append(f"--{name}={text_of(item, value)}")
    return argv


def given(config: Any) -> dict[str, Any]:
    """Returns flag → value of a configuration, of those with another value than their default."""
    kind = type(config)
    return {
        name: getattr(config, name)
        for name, item in flags_of(kind).items()
        if item.default is not dataclasses.MISSING
        and getattr(config, name) != default_of(kind, name)
    }


def names_of(config: type[Any]) -> list[str]:
    """Returns every name that a command line may use, without dashes: for completion."""
    names = [*flags_of(config), *(name for name in COMMON if name not in flags_of(config))]
    booleans = [name for name in flags_of(config) if plain_type(config, name) is bool]
    return [*names, *(f"no{name}" for name in booleans)]


def metavar_of(config: type[Any], name: str) -> str | None:
    """Returns what kind of value a flag takes, such as "DIR" or "FILE"; None for a switch."""
    if name in flags_of(config):
        is_switch = plain_type(config, name) is bool
        return None if is_switch else str(flags_of(config)[name].metadata["metavar"])
    return "FILE" if name == "flagfile" else None


def is_positional(config: type[Any], name: str) -> bool:
    """Returns whether a flag's value may stand alone, without the flag's name."""
    return name in flags_of(config) and bool(flags_of(config)[name].metadata["positional"])


# Evaluated annotations of each configuration: evaluating them anew takes milliseconds.
_HINTS: dict[type[Any], dict[str, Any]] = {}


def flags_of(config: type[Any]) -> dict[str, Any]:
    """Returns name → dataclass field, of the fields that are flags."""
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


def plain_type(config: type[Any], name: str) -> type:
    """Returns the class of a flag's value, without None and type arguments."""
    hint = _hint(config, name)[0]
    return typing.get_origin(hint) or hint


def _converter(config: type[Any], name: str) -> Callable[[Any], Any]:
    given: Callable[[Any], Any] | None = flags_of(config)[name].metadata["parse"]
    if given is not None:
        return given
    kind, optional = plain_type(config, name), _hint(config, name)[1]
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
        # numpy's float32 of 0.02 is meant as 0.02, not as 0.019999999552965164.
        return float(str(value) if hasattr(value, "dtype") else value)
    except (ValueError, TypeError) as error:
        raise ValueError("a number is expected") from error


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):  # A path given in Python.
        return os.fsdecode(value)
    raise ValueError("text is expected")


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, (str, os.PathLike)):
        items = os.fsdecode(value).split(",")
    elif isinstance(value, (set, frozenset)):
        items = sorted(value)  # Its own order is another one in each process.
    elif isinstance(value, Iterable):
        items = list(value)
    else:
        raise ValueError("text or a list of texts is expected, () for none")
    return tuple(item.strip() for item in map(_string, items) if item.strip())


def _at_home(value: Any) -> Any:
    """Returns a path, or several, with `~/` replaced, which shells leave alone in --flag=~/path."""
    if isinstance(value, tuple):
        return tuple(map(_at_home, value))
    is_at_home = isinstance(value, str) and (value == "~" or value.startswith("~/"))
    return os.path.expanduser(value) if is_at_home else value


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
    alike = difflib.get_close_matches(text, choices, n=1, cutoff=ALIKE)
    hint = f"did you mean {alike[0]}? " if alike else ""
    return f"{hint}one of {', '.join(choices)} is expected"


def _shown_value(value: Any) -> str:
    is_plain = isinstance(value, (str, int, float))
    # Text that is not the value that it looks like is told from it.
    return f"={value}" if is_plain and value not in ("True", "False") else f"={shown(value)}"


def shown(value: Any) -> str:
    """Returns how an error shows a value given in Python: on one line, of a table its beginning."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def text_of(item: Any, value: Any) -> str:
    """Returns a value of a dataclass field as a command line has it."""
    if item.metadata["show"] is not None:
        return str(item.metadata["show"](value))
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return ",".join(str(text_of(item, each)) for each in value)
    return "" if value is None else str(value)


def default_of(config: type[Any], name: str) -> Any:
    """Returns a flag's default as its field holds it."""
    return _converter(config, name)(flags_of(config)[name].default)


def value_of(config: type[Any], name: str, value: Any) -> Any:
    """Returns a flag's value, text or plain Python, as its field holds it.

    Raises:
      ValueError, TypeError: it is not of the field's kind.
    """
    return _converter(config, name)(value)


def choices_of(config: type[Any], name: str) -> tuple[str, ...]:
    """Returns the values that a flag allows, () for any."""
    kind = plain_type(config, name)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return tuple(member.value for member in kind)
    choices: tuple[str, ...] = flags_of(config)[name].metadata["choices"]
    return choices
