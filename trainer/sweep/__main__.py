"""`python -m trainer.sweep`: a grid of trials on one bake, compared on one page."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from trainer import commandline
from trainer.sweep.config import USAGE, SweepConfig


def main(config: SweepConfig) -> int:
    """Trains the trials, and says what came of them and where."""
    from trainer.sweep import (
        run,
        trials,  # Pillow, numpy, matplotlib: not for --help.
    )

    result = run.run(config)
    if config.plan_only:
        for entry in result.entries:
            print(f"{entry.status:<8} {entry.name}")
        return commandline.DONE
    counts = Counter(entry.status for entry in result.entries)
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
    for entry in result.entries:
        if entry.status in (trials.FAILED, trials.REFUSED):
            print(f"{entry.name}: {entry.status}, {entry.reason}")
    print(f"leaderboard: {result.page}")
    if result.complete:
        return commandline.DONE
    print(
        "not all trials are done; the same command carries on, and tries failed ones again",
        file=sys.stderr,
    )
    return commandline.FAILED


def cli(argv: Sequence[str]) -> int:
    """Returns the exit code of a command line."""
    config = commandline.parse(SweepConfig, argv, USAGE)
    return commandline.run(main, config, config.verbose)


if __name__ == "__main__":
    sys.exit(cli(sys.argv[1:]))
