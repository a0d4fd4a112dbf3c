"""`evenshard clean DIR`: lists caches and leftovers below a folder, and removes them with --yes."""

from __future__ import annotations

import shlex
import sys
from dataclasses import MISSING, dataclass
from pathlib import Path

from evenshard.machine import leftovers
from evenshard.machine.leftovers import Leftover
from tfrecords import locations
from tfrecords.cli import flags, run
from tfrecords.cli.flags import flag
from tfrecords.cli.run import Command
from tfrecords.errors import UsageError
from tfrecords.sizes import readable
from tfrecords.system.locks import LockedError


@dataclass(frozen=True, kw_only=True)
class CleanConfig:
    """Where to look, and whether to remove. Fields are the flags of `evenshard clean`."""

    dir: str = flag(
        MISSING, "Clean", "A data set, a run, or a folder above them.", metavar="DIR",
        positional=True,
    )  # fmt: skip
    yes: bool = flag(False, "Clean", "Remove what is listed.")

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        if locations.is_url(self.dir):
            raise UsageError(
                f"{self.dir}: a folder of this machine is expected; remove .cache from a bucket "
                "with its own tools"
            )
        if not self.dir:
            raise UsageError("a folder is expected, as in: evenshard clean shards")


def main(config: CleanConfig) -> int:
    """Lists what may go, removes it with --yes, and returns the exit code.

    Raises:
      UsageError: the folder is absent.
    """
    found = leftovers.find(Path(config.dir))
    free = [each for each in found if not each.kept_for]
    for each in found:
        print(line(each))
    if not free:
        print(f"nothing to remove in {config.dir}")
        return run.DONE
    total = f"{readable(sum(each.bytes for each in free))} in {_places(len(free))}"
    if not config.yes:
        print(f"{total} can be removed: evenshard clean {shlex.quote(config.dir)} --yes")
        return run.DONE
    failed = sum(not _removed(each) for each in free)
    print(f"removed {_places(len(free) - failed)}" if failed else f"removed {total}")
    return run.FAILED if failed else run.DONE


def line(found: Leftover) -> str:
    """Returns the line that lists a leftover."""
    stays = f" (stays: {found.kept_for})" if found.kept_for else ""
    return f"{readable(found.bytes):>10}  {found.path}  {found.what}{stays}"


def _removed(found: Leftover) -> bool:
    try:
        leftovers.remove(found)
    except (LockedError, OSError) as error:
        print(f"warning: {found.path} stays: {run.one_line(error)}", file=sys.stderr)
        return False
    return True


def _places(count: int) -> str:
    return f"{count} place" if count == 1 else f"{count} places"


COMMAND = Command(
    module="evenshard.clean",
    summary=(
        "Lists what can be removed below a folder: caches of bakes, features of frozen networks, "
        "runs that --noresume has replaced, files of commands that were killed. Removes it with "
        "--yes."
    ),
    arguments="DIR",
    config=CleanConfig,
    main=main,
    notes=(
        "It keeps data sets, runs, everything that this program did not write, and what another "
        "process is using."
    ),
    examples="evenshard clean shards\nevenshard clean . --yes",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
