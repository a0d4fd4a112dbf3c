"""A command line as a frozen dataclass, through absl flags.

`-` and `_` are the same in a flag's name, an unknown flag is an error that names the nearest one,
and `--flagfile=FILE` reads further flags from a file.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from absl import flags as absl_flags

from tfrecords.cli.flags import (
    ALIKE,
    PATHS,
    choices_of,
    flags_of,
    names_of,
    plain_type,
    usage_errors,
)
from tfrecords.errors import UsageError

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True, slots=True)
class ForeignFlags:
    """A verdict on arguments that are none of the command's own.

    Attributes:
      accepted: the arguments that somebody else knows, as they are to be handed on.
      refused: the arguments nobody knows, as typed.
      known: names of the flags that would have been accepted, without dashes; the nearest is
        looked for here too.
      note: why flags may be unknown that somebody else would know; "" for no such reason.
    """

    accepted: Sequence[str] = ()
    refused: Sequence[str] = ()
    known: Sequence[str] = ()
    note: str = ""


ForeignCheck = Callable[[Sequence[str]], ForeignFlags]


@dataclass(frozen=True)
class Parsed:
    """A command line, taken apart.

    Attributes:
      values: field name → text or bool, of the flags that were given.
      help: whether `--help` was among them.
      version: whether `--version` was.
      verbose: whether `-v` was.
      repeated: names of flags that were given more than once; the last value counts.
    """

    values: dict[str, Any]
    help: bool
    version: bool
    verbose: bool
    repeated: tuple[str, ...] = ()


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
      UsageError: an unknown flag, a stray argument, a value where none belongs, a list in parts.
    """
    defined = _define(config)
    try:
        expanded = defined.read_flags_from_files(list(argv), force_gnu=True)
        remaining = defined(["command", *_spelled(config, defined, expanded)], known_only=True)[1:]
    except absl_flags.CantOpenFlagFileError as error:
        raise UsageError(_unreadable_flagfile(error)) from error
    except (absl_flags.Error, OSError) as error:
        raise UsageError(f"{' '.join(str(error).split())}; --help lists all flags") from error
    values = {name: defined[name].value for name in flags_of(config) if defined[name].present}
    given = Parsed(
        values,
        help=bool(defined["help"].value),
        version=bool(defined["version"].value),
        verbose=bool(defined["verbose"].value),
        repeated=_repeated(config, argv),
    )
    if given.help or given.version:
        return given
    remaining = _take_positional(config, values, remaining)
    verdict = foreign(remaining) if foreign and remaining else ForeignFlags(refused=remaining)
    if verdict.refused:
        raise UsageError(_unknown(config, verdict, values))
    for item in dataclasses.fields(config):
        if item.metadata.get("rest") and verdict.accepted:
            values[item.name] = tuple(verdict.accepted)
    return given


def build(config: type[ConfigT], values: dict[str, Any]) -> ConfigT:
    """Returns the dataclass for given flags.

    A dataclass with a method `as_typed` has the last word: it is told what was typed, at its
    default or not.

    Raises:
      UsageError: a required flag is missing, or a value is refused.
    """
    for name, item in flags_of(config).items():
        if item.default is dataclasses.MISSING and _is_missing(values.get(name)):
            if not values.get(item.metadata["unless"]):
                raise UsageError(f"{_typed(item)} is required: {item.metadata['help']}")
            values = {**values, name: ""}
    with usage_errors():
        made = config(**values)
        as_typed: Callable[[dict[str, Any]], ConfigT] | None = getattr(made, "as_typed", None)
        return made if as_typed is None else as_typed(values)


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
    alike = difflib.get_close_matches(typed, names, n=1, cutoff=ALIKE)
    if alike:
        return alike[0]
    # "--size" for "--image_size", where no other flag has that word.
    having = [candidate for candidate in names if typed in candidate.split("_")]
    return having[0] if len(having) == 1 else None


def _repeated(config: type[Any], argv: Sequence[str]) -> tuple[str, ...]:
    """Returns the flags that are typed more than once; the last value of each counts.

    One beside a flagfile is no repetition: it has the last word over the file's.

    Raises:
      UsageError: a list is among them, whose other parts would be lost.
    """
    typed = _define(config)
    alone = [argument for argument in argv if not argument.startswith(("--flagfile", "-flagfile"))]
    typed(["command", *_spelled(config, typed, alone)], known_only=True)
    names = [name for name in flags_of(config) if typed[name].present > 1]
    for name in names:
        if _takes_a_list(config, name):
            raise UsageError(
                f"--{name} is given {typed[name].present} times, and the last would count alone: "
                f"give all in one, as in --{name}=A,B"
            )
    return tuple(names)


def _takes_a_list(config: type[Any], name: str) -> bool:
    """Returns whether a flag takes texts that commas separate; a size of two numbers is none."""
    metadata = flags_of(config)[name].metadata
    is_list = plain_type(config, name) is tuple and metadata["parse"] is None
    return is_list or bool(metadata["several"])


def _define(config: type[Any]) -> absl_flags.FlagValues:
    """Returns absl's flags for a dataclass: absl takes them apart, `convert_fields` judges them."""
    values = absl_flags.FlagValues()
    define_boolean = functools.partial(
        absl_flags.DEFINE_boolean, default=None, help="", flag_values=values
    )
    define_boolean("help", short_name="h")
    define_boolean("version")
    if "verbose" not in flags_of(config):
        define_boolean("verbose", short_name="v")
    for name, item in flags_of(config).items():
        short = item.metadata["short"] or None
        if plain_type(config, name) is bool:
            define_boolean(name, short_name=short)
        else:
            absl_flags.DEFINE_string(name, None, "", flag_values=values, short_name=short)
    values.set_gnu_getopt(True)
    return values


def _spelled(config: type[Any], defined: absl_flags.FlagValues, argv: Sequence[str]) -> list[str]:
    """Returns the arguments with each known flag spelled as it is defined.

    The value of `--flag value` is left as it is, whatever it looks like. A flag whose values are
    on, off and others may stand alone, as a switch does.
    """
    result: list[str] = []
    words = {
        name: choices
        for name in flags_of(config)
        if {"on", "off"} <= set(choices := choices_of(config, name))
    }
    is_value = False
    for number, argument in enumerate(argv):
        if argument == "--":
            return [*result, *argv[number:]]
        spelled = argument if is_value else _spelled_one(defined, argument)
        if not is_value:
            following = next(iter(argv[number + 1 :]), "")
            spelled = _as_switch(words, spelled, following)
        name = spelled.lstrip("-")
        is_value = (
            not is_value
            and spelled.startswith("-")
            and name in defined
            and not defined[name].boolean
        )
        result.append(spelled)
    return result


def _as_switch(words: Mapping[str, Sequence[str]], argument: str, following: str) -> str:
    """Returns --name=on of --name, and --name=off of --noname, for a flag that has these values."""
    if not argument.startswith("--"):
        return argument
    name = argument[2:].replace("-", "_")
    if name in words and following not in words[name]:
        return f"--{name}=on"
    bare = name.removeprefix("no").removeprefix("_")
    return f"--{bare}=off" if name != bare and bare in words else argument


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
    for name, item in flags_of(config).items():
        is_open = item.metadata["positional"] and name not in values
        if is_open and result and not result[0].startswith("-"):
            values[name] = result.pop(0)
    return result


def _unreadable_flagfile(error: absl_flags.CantOpenFlagFileError) -> str:
    cause = error.__context__
    if isinstance(cause, OSError):
        return f"--flagfile={cause.filename}: {cause.strerror}"
    return f"--flagfile: {error}"


def _is_missing(value: Any) -> bool:
    # A table or an array, given in Python, compares with text element by element.
    return value is None or (isinstance(value, str) and not value)


def _typed(item: dataclasses.Field[Any]) -> str:
    """Returns a flag's name as a person types it: DIR of an argument that stands alone."""
    metadata = item.metadata
    return (metadata["positional"] and metadata["metavar"]) or f"--{item.name}"


def _unknown(config: type[Any], verdict: ForeignFlags, values: Mapping[str, Any]) -> str:
    argument = verdict.refused[0]
    if not argument.startswith("-"):
        return _stray(config, verdict.refused, values)
    typed = argument.partition("=")[0]
    name = typed.lstrip("-")
    meant = nearest(name, [*names_of(config), *verdict.known], _typed_as(config))
    alone = [item for item in flags_of(config).values() if item.metadata["positional"]]
    if meant:
        hint = " ".join(filter(None, (f"did you mean --{meant}?", verdict.note)))
    elif alone:
        value = alone[0].metadata["metavar"] or alone[0].name.upper()
        hint = f"{value} stands alone or as --{alone[0].name}={value}; --help lists all flags"
    else:
        hint = "; ".join(filter(None, (verdict.note, "--help lists all flags")))
    return f"unknown flag {typed}; {hint}"


def _typed_as(config: type[Any]) -> dict[str, str]:
    """Returns the names that people type → the flag that is meant."""
    return {
        other: item.name
        for item in flags_of(config).values()
        for other in item.metadata["typed_as"]
    }


def _stray(config: type[Any], refused: Sequence[str], values: Mapping[str, Any]) -> str:
    """Returns the error of arguments without a flag; names the flags that paths are for."""
    stray = [argument for argument in refused if not argument.startswith("-")]
    for item in flags_of(config).values():
        if item.metadata["positional"] and item.name in values:
            typed = f"{_typed(item)} is {values[item.name]!r} already"
            return f"unexpected argument {stray[0]!r}: {typed}; other flags are --name=value"
    meant = _meant(config, stray, values) or _meant(config, stray[:1], values)
    if not meant:
        return f"unexpected argument {stray[0]!r}: flags are written --name=value"
    typed = shlex.join(f"--{name}={value}" for name, value in meant.items())
    listed = ", ".join(map(repr, meant.values()))
    return f"unexpected argument{'s' if len(meant) > 1 else ''} {listed}: did you mean {typed}?"


def _meant(
    config: type[Any], stray: Sequence[str], values: Mapping[str, Any]
) -> dict[str, str] | None:
    """Returns flag → value of arguments that stand alone, or None where one fits no flag.

    A file goes to the flag that people call by its ending. The others go in order to the flags of
    paths that are not given; those behind the last required one take only what exists.
    """
    items = [item for item in flags_of(config).values() if item.name not in values]
    paths = [item for item in items if item.metadata["metavar"].split(",")[0] in PATHS]
    required = [item.default is dataclasses.MISSING for item in paths]
    needed = max((n for n, is_required in enumerate(required, 1) if is_required), default=0)
    order = {item.name: number for number, item in enumerate(paths)}
    typed_as, meant = _typed_as(config), dict[str, str]()
    for argument in stray:
        ending = os.path.splitext(argument)[1].lstrip(".").lower()
        free = [name for name in order if name not in meant]
        name = typed_as.get(ending)
        if name not in free:
            name = free[0] if free else None
        exists = os.path.exists(argument)
        if name is None or not (exists or order[name] < needed):
            return None
        meant[name] = argument
    return meant
