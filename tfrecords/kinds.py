"""What a directory holds, by its files: no command writes where another kind of results is.

All kinds have a `report/`, which one would take from the other; and a run that is started anew
has the directory before it removed.
"""

from __future__ import annotations

from pathlib import Path

from tfrecords.errors import UsageError

DATASET, RUN, SWEEP, EVALUATION = "a data set", "a run", "a sweep", "an evaluation"

# Two files where one name is common elsewhere.
FILES = {
    DATASET: ("manifest.json", "sources.parquet"),
    SWEEP: ("leaderboard.csv",),
    EVALUATION: ("evaluation.json",),
    RUN: ("config.json", "metrics.csv"),
}


def of(directory: str | Path) -> str | None:
    """Returns what a directory of this machine holds; None if it is none of the kinds."""
    found = (
        kind
        for kind, names in FILES.items()
        if all((Path(directory) / name).exists() for name in names)
    )
    return next(found, None)


def refuse_other(directory: str | Path, flag: str, own: str) -> None:
    """Refuses to write one kind of results into a directory that holds another.

    Args:
      directory: to write into, of this machine.
      flag: that names it, without dashes.
      own: the kind that is to be written.

    Raises:
      UsageError: it holds another kind.
    """
    kind = of(directory)
    if kind not in (None, own):
        raise UsageError(
            f"--{flag}={directory} is {kind}, and its files would be lost: give another directory "
            f"for {own}"
        )
