"""The command `evenshard`, also `python -m evenshard`: one name for all commands.

Only the module of the chosen command is imported; the list of commands answers at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from evenshard import commands, own_packages
from tfrecords.cli import run, utf8
from tfrecords.errors import EvenshardError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command that `argv` names, and returns its exit code.

    Args:
      argv: without the program's name; that of the process by default.
    """
    if argv is None:
        utf8.restart_if_needed()
    utf8.print_anything()
    try:
        return _main(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:  # While a command's module was imported.
        return run.fail("interrupted", run.INTERRUPTED)
    except BrokenPipeError:
        return run.hang_up()


def _main(argv: list[str]) -> int:
    if not argv:
        print(commands.help_text(), file=sys.stderr)
        return run.USAGE
    name, *others = argv
    if name in ("-h", "--help", "help"):
        print(commands.help_text(), flush=True)
        return run.DONE
    if name == "--version":
        print(run.version_line(), flush=True)
        return run.DONE
    try:
        command = commands.find(name)
        own_packages.check()
    except EvenshardError as error:
        return run.fail(str(error), error.exit_code)
    module = importlib.import_module(command.module)
    code: int = module.COMMAND.run([*command.flags, *others], program=f"evenshard {command.name}")
    return code


if __name__ == "__main__":
    sys.exit(main())
