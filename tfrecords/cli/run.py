"""What every command shares: its help, one-line errors and exit codes.

A command module declares one `Command` and ends in `sys.exit(COMMAND.run())`. Exit codes:
0 done, 1 failed, 2 usage; 130 after Ctrl-C and 143 after SIGTERM, as shells have them: the work
is unfinished, and the same command carries on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import textwrap
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Generic, TypeVar

from tfrecords.cli import parsing, utf8
from tfrecords.cli.help import help_text
from tfrecords.cli.parsing import ForeignCheck
from tfrecords.errors import EvenshardError, EvenshardWarning
from tfrecords.system import disk, extras

DONE, FAILED, USAGE = 0, 1, 2
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM

_WIDTH = 100

_OUTPUT = "the standard output"  # As errors call it.

ConfigT = TypeVar("ConfigT")


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived, from `kill` or before a machine is taken away; handled as Ctrl-C is."""


@dataclass(frozen=True)
class Command(Generic[ConfigT]):
    """A command: what it is called, what it takes and what it does.

    Attributes:
      module: what follows `python -m`.
      summary: what it does, in one or a few sentences.
      arguments: the required ones, as the usage line shows them.
      config: a dataclass whose fields come from `flags.flag`.
      main: does it, and returns its exit code; None means done.
      notes: further lines of the help, below the summary.
      examples: command lines, shown at the end of the help as they are.
      foreign: judges arguments that are no flags of `config`; by default all are refused.
      after_interrupt: what follows "interrupted", such as how to carry on.
      extra: of this distribution, without which nothing can be done; "" for none.
    """

    module: str
    summary: str
    arguments: str
    config: type[ConfigT]
    main: Callable[[ConfigT], int | None]
    notes: str = ""
    examples: str = ""
    foreign: ForeignCheck | None = None
    after_interrupt: str = ""
    extra: str = ""

    def run(self, argv: Sequence[str] | None = None, program: str = "") -> int:
        """Runs the command and returns its exit code.

        Args:
          argv: without the program's name; that of the process by default.
          program: how the person called it; `python -m MODULE` by default.
        """
        if argv is None:
            utf8.restart_if_needed()
        utf8.print_anything()
        argv = sys.argv[1:] if argv is None else list(argv)
        verbose = not {"-v", "--verbose"}.isdisjoint(argv)
        try:
            with _raising_on_sigterm(), _one_line_warnings():
                code = self._run(argv, program)
            # Here, not at the interpreter's exit, so that a closed pipe or a full disk is caught.
            _flush_output()
        except KeyboardInterrupt as interrupt:
            what, code = (
                ("terminated", TERMINATED)
                if isinstance(interrupt, Terminated)
                else ("interrupted", INTERRUPTED)
            )
            return fail("; ".join(filter(None, (what, self.after_interrupt))), code)
        except BrokenPipeError:
            return hang_up()
        except Exception as error:
            # The outermost boundary: a person gets one line, an engineer -v.
            if verbose:
                traceback.print_exc()
            return fail(one_line(error, "" if _can_print(error) else _OUTPUT), exit_code(error))
        return code or DONE

    def help(self, program: str = "") -> str:
        """Returns the text of `--help`."""
        called = program or f"python -m {self.module}"
        usage = f"usage: {' '.join(filter(None, (called, self.arguments)))} [--flag=value …]"
        wrapped = (textwrap.fill(text, _WIDTH) for text in (self.summary, usage, self.notes))
        top = "\n\n".join(filter(None, wrapped))
        examples = "\n".join(f"  {line}" for line in self.examples.strip().splitlines())
        return help_text(self.config, top, examples and f"Examples:\n{examples}")

    def _run(self, argv: Sequence[str], program: str) -> int | None:
        given = parsing.split(self.config, argv, self.foreign)
        if given.help:
            print(self.help(program))
            return DONE
        if given.version:
            print(version_line())
            return DONE
        config = parsing.build(self.config, given.values)
        for name in given.repeated:
            print(
                f"note: --{name} is given more than once: the last, {given.values[name]}, counts",
                file=sys.stderr,
            )
        if self.extra:
            extras.require(self.extra)
        return self.main(config)


@contextlib.contextmanager
def _raising_on_sigterm() -> Iterator[None]:
    """Lets the first SIGTERM end the block as Ctrl-C does; a second one ends the process.

    Python lets only the main thread handle signals; a handler of somebody else's stays.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        signal.signal(number, signal.SIG_DFL)
        raise Terminated

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def _one_line_warnings() -> Iterator[None]:
    """Shows warnings of ours as `warning: …`, without the place in the code; others as always."""
    usual = warnings.formatwarning

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int,
        line: str | None = None,
    ) -> str:  # fmt: skip
        if issubclass(category, EvenshardWarning):
            return f"warning: {message}\n"
        return usual(message, category, filename, lineno, line)

    warnings.formatwarning = show
    try:
        yield
    finally:
        warnings.formatwarning = usual


def version_line() -> str:
    """Returns what `--version` prints."""
    import platform

    import tfrecords

    return f"evenshard {tfrecords.__version__} (Python {platform.python_version()})"


def fail(text: str, code: int) -> int:
    """Prints an error as every command does, and returns its exit code."""
    with contextlib.suppress(OSError):  # Nobody reads it, or the disk of a log is full.
        print(f"error: {text}", file=sys.stderr)
    return code


def exit_code(error: BaseException) -> int:
    """Returns the exit code of a command that ends with `error`."""
    return error.exit_code if isinstance(error, EvenshardError) else FAILED


def one_line(error: BaseException, where: str = "") -> str:
    """Returns an error as one line for a person.

    Errors of ours and of the system say what to do, and so does a disk's fault, whichever
    library tells it; any other is a bug, and says so.

    Args:
      error: that ended a command.
      where: what is written where a disk's fault names no file.
    """
    fault = None if isinstance(error, EvenshardError) else disk.find(error)
    if fault is not None:
        return fault.line("" if fault.path else where)
    if isinstance(error, OSError) and error.strerror:
        path = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
        return f"{path}{error.strerror}"
    text = " ".join(str(error).split())
    if isinstance(error, (EvenshardError, OSError)):
        return text
    return f"unexpected {type(error).__name__}: {text} (please report it; -v shows where)"


def hang_up() -> int:
    """Ends quietly after the reader of our output went away, as in `… | head`."""
    _drop_output()
    return FAILED


def _flush_output() -> None:
    """Raises what keeps our output from being written with a name for it."""
    try:
        sys.stdout.flush()
    except OSError as error:
        error.filename = error.filename or _OUTPUT
        _drop_output()
        raise


def _can_print(error: BaseException) -> bool:
    """Returns whether our output can be written; what waits is dropped if it cannot.

    A `print` that failed names no file, and leaves nothing behind that would fail again: an error
    without a name is tried with one more line.
    """
    nameless = isinstance(error, OSError) and error.filename is None
    try:
        sys.stdout.flush()
        if nameless and disk.find(error) is not None:
            os.write(sys.stdout.fileno(), b"\n")
    except OSError:
        _drop_output()
        return False
    return True


def _drop_output() -> None:
    """Lets the interpreter's own flush at exit succeed.

    Source: the note on SIGPIPE in Python's `signal` documentation.
    """
    with contextlib.suppress(OSError):  # A notebook's output has no number.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
