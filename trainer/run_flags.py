"""Flags of every command that reads a trained run."""

from __future__ import annotations

from typing import Any

from tfrecords.cli.flags import flag

WEIGHTS = ("best", "last", "ema")


def trust_run_code(group: str) -> Any:
    """Returns the field --trust_run_code, under a heading of `--help`."""
    return flag(
        False,
        group,
        "Run the code that the run directory names or contains, if its network is user-defined "
        "(--model=module:function) and needs it. Only for a run whose author you trust.",
    )


def weights(group: str) -> Any:
    """Returns the field --weights, under a heading of `--help`."""
    return flag(
        "best",
        group,
        "Weights of the best epoch by the run's --monitor, of the last step, or their moving "
        "average.",
        choices=WEIGHTS,
    )


def verbose(group: str) -> Any:
    """Returns the field --verbose, under a heading of `--help`."""
    return flag(False, group, "Show tracebacks and TensorFlow's log.", short="v")
