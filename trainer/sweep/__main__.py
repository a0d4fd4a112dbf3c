"""`python -m trainer.sweep`: a grid of trials on one bake, compared on one page."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

from tfrecords.cli import flags, following
from tfrecords.cli.run import DONE, FAILED, Command
from trainer import remote
from trainer.sweep.config import SweepConfig


def main(config: SweepConfig) -> int:
    """Trains the trials, and says what came of them and where."""
    from trainer.sweep import (
        leaderboard,
        run,
        trials,  # Pillow, numpy, matplotlib: not for --help.
    )

    result = run.run(config)
    if config.plan_only:
        for entry in result.entries:
            print(f"{entry.status:<8} {entry.name}")
        print(following.line("sweep", *flags.command_line(replace(config, plan_only=False))))
        return DONE
    counts = Counter(entry.status for entry in result.entries)
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
    for entry in result.entries:
        if entry.status in (trials.FAILED, trials.REFUSED):
            print(f"{entry.name}: {entry.status}, {entry.reason}")
    print(f"leaderboard: {result.page}")
    whole = [group for group in result.groups if group.complete]
    for group in whole:
        print(f"{group.name}: {config.metric} {group.mean:.4f} ± {group.spread:.4f} over "
              f"{group.folds} folds")  # fmt: skip
    if result.complete and whole:
        # The best fold is the luckiest one, not the best training: all of them go on.
        print(following.predicting(",".join(whole[0].run_dirs)))
        return DONE
    if result.complete:
        best, *_ = leaderboard.rows(result.entries, config.metric)
        run_dir = best.entry.trial.config.run_dir
        print(following.using(run_dir, remote.splits_of(config.data_dir)))
        return DONE
    print(
        "not all trials are done; the same command carries on, and tries failed ones again",
        file=sys.stderr,
    )
    return 128 + result.stopped_by if result.interrupted else FAILED  # As shells have it.


COMMAND = Command(
    module="trainer.sweep",
    summary="Trains every trial of a grid on one data set, and compares them on one page.",
    arguments="--data_dir=O --runs_dir=RS --grid=grid.yaml",
    config=SweepConfig,
    main=main,
    notes=(
        "The same command resumes a sweep: finished trials are skipped, a killed one resumes "
        "exactly, a failed one is tried again. docs/sweeps.md describes the grid file."
    ),
    examples=("evenshard sweep --data_dir=shards --runs_dir=runs --grid=experiments/story.yaml"),
    after_interrupt="the same command carries on",
    extra="trainer",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
