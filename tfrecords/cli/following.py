"""The last line of a command: the one that usually follows, ready to paste into a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable


def line(command: str, *arguments: str) -> str:
    """Returns the line "next: evenshard COMMAND …".

    >>> line("train", "--data_dir=my shards", "--run_dir=runs/first")
    "next: evenshard train '--data_dir=my shards' --run_dir=runs/first"
    """
    return f"next: {shlex.join(('evenshard', command, *arguments))}"


def planning() -> str:
    """Returns the line that plans a bake of a person's own pictures."""
    return line("plan", "--input_dir=PICTURES", "--output_dir=shards")


def training(data_dir: str, *others: str, folded: bool = False) -> str:
    """Returns the line that trains on a data set, into a new run; of one with folds, on the first.

    Args:
      data_dir: of the data set.
      others: further flags.
      folded: whether it has folds.
    """
    data = f"--data_dir={data_dir}"
    if folded:
        return line("train", data, f"--run_dir={free('runs/fold0')}", "--fold=0", *others)
    return line("train", data, f"--run_dir={free('runs/first')}", *others)


def free(path: str) -> str:
    """Returns the path, or with the first number behind it that is free: runs/first-2."""
    names = (path, *(f"{path}-{number}" for number in range(2, 1000)))
    return next((name for name in names if not os.path.lexists(name)), path)


def using(run_dir: str, splits: Iterable[str]) -> str:
    """Returns the line that follows a training.

    Args:
      run_dir: of the run.
      splits: of its data set that have records: with a test split the run is evaluated first.
    """
    if "test" in splits:
        return line("evaluate", f"--run_dir={run_dir}", "--split=test")
    return predicting(run_dir)


def predicting(run_dir: str) -> str:
    """Returns the line that names the class of unlabelled pictures."""
    return line("predict", f"--run_dir={run_dir}", "--input=PICTURES", "--output=predictions.csv")
