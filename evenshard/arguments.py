"""Python arguments: made into configurations, and named as such in errors.

The configurations are those of the commands, whose errors name flags. `naming_arguments` is the
one place where an error on its way to a Python caller says `per_class=0` for `--per_class=0`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import json
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from tfrecords.cli import audience, flags, parsing
from tfrecords.errors import EvenshardError, UsageError

PathLike = str | os.PathLike[str]

ConfigT = TypeVar("ConfigT")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_CONFIGURATIONS = (
    "beam_pipelines.config.PrepareConfig",
    "tfrecords.verify.VerifyConfig",
    "trainer.config.TrainConfig",
    "trainer.evaluate.__main__.EvaluateConfig",
    "trainer.export.config.ExportConfig",
    "trainer.predict.PredictConfig",
)

# Functions that do what the command of their name does, and what has their arguments.
_CALLS = {
    "bake": "beam_pipelines.config.PrepareConfig",
    "plan": "beam_pipelines.config.PrepareConfig",
    "train": "trainer.config.TrainConfig",
}
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")

# Command lines stand between backticks and stay as they are.
_COMMAND = re.compile(r"(`[^`]*`)")
_FLAG = re.compile(r"--(?P<name>[a-z][a-z0-9_]*)(?P<equals>=?)")
# A value that is a word, such as "auto": numbers, paths and lists are left as they were given.
_WORD = re.compile(r"(?<==)([a-z][a-z_]*)(?=[:,.]?(?:[\s;)]|$))")


@contextmanager
def naming_arguments() -> Iterator[None]:
    """Makes errors of the block name Python arguments for flags; type and attributes stay.

    Raises:
      EvenshardError: of the same type, from the one that it translates.
    """
    try:
        yield
    except EvenshardError as error:
        args = tuple(in_python(arg) if isinstance(arg, str) else arg for arg in error.args)
        if args == error.args:
            raise
        raise type(error)(*args) from error


@contextmanager
def speaking_python() -> Iterator[None]:
    """Makes what is said in the block name Python arguments and calls, as errors do."""
    with audience.translated(spoken):
        yield


def spoken(text: str) -> str:
    """Returns what is said to a person at a shell as one who calls from Python reads it.

    A command becomes the call that does the same; the line of what comes next is "" where there is
    none.

    >>> spoken("next: evenshard train --data_dir=o --run_dir=runs/first --fold=0")
    'next: evenshard.train(data_dir="o", run_dir="runs/first", fold=0)'
    >>> spoken("3 pictures beyond --per_class=80: in no shard")
    '3 pictures beyond per_class=80: in no shard'
    """
    before, command, given = text.partition("evenshard ")
    name, _, given = given.partition(" ")
    if command and name in _CALLS and given.lstrip("'").startswith("--"):
        return f"{before}evenshard.{name}({', '.join(_call(_CALLS[name], shlex.split(given)))})"
    if text.startswith("next: "):
        return ""
    return in_python(text).replace("the same command", "the same call")


def _call(path: str, words: Sequence[str]) -> Iterator[str]:
    """Yields the arguments of a call that gives the same as words of a command line."""
    known = flags.flags_of(_load(path))
    others = []
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        if name in known and equals:
            yield f"{name}={_literal(value)}"
        elif name in known or name.removeprefix("no") in known:
            yield f"{name.removeprefix('no')}={name in known}"
        else:
            others.append(word)
    if others:
        yield f"beam_options={others!r}"


def _literal(value: str) -> str:
    return value if _NUMBER.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def in_python(text: str) -> str:
    """Returns a text with each flag as the argument that means the same.

    >>> in_python("--per_class=0 must be at least 1")
    'per_class=0 must be at least 1'
    >>> in_python("use --noresume, or --batch_size=auto")
    'use resume=False, or batch_size="auto"'
    """
    parts = _COMMAND.split(text)
    return "".join(part if part.startswith("`") else _translated(part) for part in parts)


def configuration(
    kind: type[ConfigT], function: Callable[..., Any], given: Mapping[str, Any]
) -> ConfigT:
    """Returns the configuration that a call gives.

    Args:
      kind: of configuration.
      function: that was called; its arguments are named as the fields of `kind`.
      given: its arguments by name. The first may be a configuration, and then stands alone.

    Raises:
      UsageError: a value is refused, or others stand beside a configuration.
    """
    parameters = inspect.signature(function).parameters
    first = given[next(iter(parameters))]
    if not isinstance(first, kind):
        # What a caller left out is not told from a default: neither counts as typed.
        typed = {n: v for n, v in given.items() if not _is_same(v, parameters[n].default)}
        return parsing.build(kind, typed)
    for name, parameter in list(parameters.items())[1:]:
        if not _is_same(given[name], parameter.default):
            raise UsageError(
                f"{name} is given beside a {kind.__name__}: use "
                f"dataclasses.replace(config, {name}=…) instead"
            )
    return first


def documented(kind: type[Any]) -> Callable[[FunctionT], FunctionT]:
    """Adds what each argument means, from the fields of a configuration, to a docstring."""

    def document(function: FunctionT) -> FunctionT:
        helps = {item.name: item.metadata.get("help", "") for item in dataclasses.fields(kind)}
        names = [name for name in inspect.signature(function).parameters if helps.get(name)]
        lines = [f"      {name}: {in_python(helps[name])}" for name in names]
        function.__doc__ = f"{function.__doc__}\n    Args:\n" + "\n".join(lines) + "\n    "
        return function

    return document


def _is_same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and value == default


def _translated(text: str) -> str:
    text = _FLAG.sub(_argument, text.replace("--help", "help()"))
    return _WORD.sub(r'"\1"', text)


def _argument(flag: re.Match[str]) -> str:
    name, equals = flag["name"], flag["equals"]
    if name.removeprefix("no") in _switches() and name not in _switches():
        return f"{name.removeprefix('no')}=False"
    if name in _switches() and not equals:
        return f"{name}=True"
    return f"{name}{equals}"


@functools.cache
def _switches() -> frozenset[str]:
    """Returns the names of all flags that are on or off."""
    kinds = [_load(path) for path in _CONFIGURATIONS]
    return frozenset(
        name
        for kind in kinds
        for name in flags.names_of(kind)
        if flags.metavar_of(kind, name) is None and not name.startswith("no")
    )


def _load(path: str) -> type[Any]:
    module, _, name = path.rpartition(".")
    kind: type[Any] = getattr(importlib.import_module(module), name)
    return kind
