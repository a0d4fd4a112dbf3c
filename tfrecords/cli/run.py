"""What every argparse command of ours shares: strict flags, one-line errors, exit codes.

A command module declares a `CommandParser` and a function of the parsed flags, and ends in
`sys.exit(cli.run(parser, command))`. Exit codes: 0 done, 1 failed, 2 usage, and 130 after
Ctrl-C as shells expect.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from tfrecords.errors import EvenshardError, UsageError

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_HELP_WIDTH = 100


# Errors whose text is already written for a person. Anything else is a bug, and says so.
_EXPECTED = (EvenshardError, OSError)


@dataclass(frozen=True, slots=True)
class ForeignFlags:
    """A verdict on arguments that are none of the command's own.

    Attributes:
      refused: the arguments nobody knows, as typed; empty if all are good.
      known: flags that would have been accepted, with dashes; the nearest is sought here too.
    """

    refused: Sequence[str] = ()
    known: Sequence[str] = ()


ForeignCheck = Callable[[Sequence[str]], ForeignFlags]


class CommandParser(argparse.ArgumentParser):
    """An `ArgumentParser` without abbreviations, whose errors are one line with the fix.

    Args:
      module: what follows `python -m`.
      arguments: the positional arguments as the usage line shows them.
      description: what the command does.
      epilog: examples, shown as they are.
    """

    def __init__(
        self, module: str, arguments: str = "", description: str = "", epilog: str = ""
    ) -> None:
        prog = f"python -m {module}"
        super().__init__(
            prog=prog,
            usage=" ".join((prog, arguments, "[flags]")) if arguments else f"{prog} [flags]",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            add_help=False,
            formatter_class=_HelpFormatter,
        )

    def parse_strictly(
        self, argv: Sequence[str] | None = None, foreign: ForeignCheck | None = None
    ) -> argparse.Namespace:
        """Returns the flags; its `foreign` lists the arguments that `foreign` let through.

        Unknown flags are reported before missing ones: `--input_dri=x` is a misspelling, not
        the absence of `--input_dir`.

        Raises:
          UsageError: the text names the argument, and the nearest flag there is.
        """
        argv = sys.argv[1:] if argv is None else list(argv)
        self._ensure_common_flags()
        extra = self._leftovers(argv)
        verdict = foreign(extra) if foreign else ForeignFlags(refused=extra)
        if verdict.refused:
            raise UsageError(self._unknown(verdict))
        namespace, _ = self.parse_known_args(argv)
        namespace.foreign = extra
        return namespace

    def error(self, message: str) -> NoReturn:
        """Raises UsageError; argparse itself would print the whole usage."""
        raise UsageError(message.removeprefix("argument "))

    def _ensure_common_flags(self) -> None:
        if "--help" in self._option_string_actions:
            return
        group = self.add_argument_group("help")
        group.add_argument("-h", "--help", action="help", help="show this text and exit")
        group.add_argument(
            "-v", "--verbose", action="store_true", help="show the traceback of an error"
        )

    def format_help(self) -> str:
        """Returns the text of `--help`, also when nothing was parsed yet."""
        self._ensure_common_flags()
        return super().format_help()

    def _leftovers(self, argv: Sequence[str]) -> list[str]:
        """Returns the arguments that are none of ours, whatever required ones are missing."""
        required = [action for action in self._actions if action.required]
        for action in required:
            action.required = False
        try:
            return self.parse_known_args(argv)[1]
        finally:
            for action in required:
                action.required = True

    def _unknown(self, verdict: ForeignFlags) -> str:
        argument = verdict.refused[0]
        flag = argument.partition("=")[0]
        if not flag.startswith("-"):
            return f"unexpected argument {argument!r}; every option is a flag, see --help"
        match = nearest(flag, [*self._option_string_actions, *verdict.known])
        hint = f"did you mean {match}?" if match else "see --help for all flags"
        return f"unknown flag {flag}; {hint}"


def nearest(flag: str, known: Iterable[str]) -> str | None:
    """Returns the member of `known` most like `flag`, or None if none is anything like it."""
    by_bare_name = {_bare(name): name for name in known}
    matches = difflib.get_close_matches(_bare(flag), by_bare_name, n=1, cutoff=0.5)
    return by_bare_name[matches[0]] if matches else None


def _bare(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_").lower()


def run(
    parser: CommandParser,
    command: Callable[[argparse.Namespace], int | None],
    argv: Sequence[str] | None = None,
    foreign: ForeignCheck | None = None,
) -> int:
    """Parses the command line, calls `command` with it and returns the exit code.

    Args:
      parser: of the command.
      command: returns its exit code; None means done.
      argv: without the program's name; that of the process by default.
      foreign: judges arguments that are none of `parser`'s; by default all are refused.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    verbose = not {"-v", "--verbose"}.isdisjoint(argv)
    try:
        code = command(parser.parse_strictly(argv, foreign))
        # Here, not at the interpreter's exit, so that a closed pipe is caught below.
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail(parser, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        return _hang_up()
    except Exception as error:
        if verbose:
            traceback.print_exc()
        return _fail(parser, _one_line(error), USAGE if isinstance(error, UsageError) else FAILED)
    return code or DONE


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Turns a ValueError of the block into a UsageError: for building a config from flags."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from error


def whole_number(minimum: int) -> Callable[[str], int]:
    """Returns an argparse type: whole numbers from `minimum` up."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            raise argparse.ArgumentTypeError(
                f"a whole number from {minimum} up expected, not {text!r}"
            )
        return value

    return parse


def _fail(parser: CommandParser, text: str, code: int) -> int:
    module = parser.prog.rpartition(" ")[2]
    print(f"{module}: {text}", file=sys.stderr)
    return code


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
        return f"{place}{error.strerror}"
    text = " ".join(str(error).split())
    if isinstance(error, _EXPECTED):
        return text
    return f"unexpected {type(error).__name__}: {text} (please report it; -v shows where)"


def _hang_up() -> int:
    """Ends quietly after the reader of our output went away, as in `… | head`.

    Source: the note on SIGPIPE in Python's `signal` documentation.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Shows `--flag=VALUE` with its default, as wide as the terminal but no wider than reads well.

    Lines of the description and epilog are wrapped; those that begin with a space, as of
    an example, are kept.
    """

    def __init__(self, prog: str) -> None:
        width = min(_HELP_WIDTH, shutil.get_terminal_size((_HELP_WIDTH, 24)).columns - 2)
        super().__init__(prog, max_help_position=28, width=width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(
            indent + (line if line.startswith(" ") else textwrap.fill(line, width))
            for line in text.splitlines()
        )

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return ", ".join(f"{name}={value}" for name in action.option_strings)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # By identity: a default of 0 is worth showing, and equals False.
        hidden = any(action.default is value for value in (None, False, argparse.SUPPRESS))
        if hidden or not action.option_strings or "%(default)" in (action.help or ""):
            return action.help
        return f"{action.help} (default: %(default)s)"
