"""`python -m tests.torture`: tries to lose data, for as long as it is given, by seed.

Prints a table of what was tried, survived and lost; a lost case is a bug, and its seed tries it
again. The exit code is 1 if any was lost.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile

from tests.torture import run
from tests.torture.config import TortureConfig
from tfrecords.cli.run import DONE, FAILED, Command
from tfrecords.errors import UsageError


def main(config: TortureConfig) -> int:
    """Tries, and prints the table; returns 1 if anything was lost."""
    # Child commands share the cores.
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    kinds = run.chosen(config.only)
    if config.case is not None and len(kinds) != 1:
        raise UsageError("--case needs --only=KIND, one kind")
    with contextlib.ExitStack() as stack:
        work = config.folder or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True)
        )
        tallies = run.run(config, kinds, work)
    if config.case is None:
        print("\n".join(run.table(kinds, tallies, config.seed)))
    for kind in kinds:
        for seed, lost in sorted(tallies[kind.name].lost.items()):
            print(f"lost: python -m tests.torture --only={kind.name} --case={seed}\n  {lost}")
    return FAILED if any(tally.lost for tally in tallies.values()) else DONE


COMMAND = Command(
    module="tests.torture",
    summary="Kills, damages, fills disks, feeds hostile files, by seed, and counts what is lost.",
    arguments="",
    config=TortureConfig,
    main=main,
    notes="A case is tried again by its kind and its seed. docs/reliability.md has the last table.",
    examples="""\
python -m tests.torture --minutes=20
python -m tests.torture --only=kill-bake --case=7""",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
