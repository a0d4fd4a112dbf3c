"""Every choice of a sweep: `SweepConfig`, which is also the flags of trainer.sweep."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from tfrecords.cli import flags
from tfrecords.cli.flags import flag
from tfrecords.errors import UsageError
from trainer import remote

METRICS = (
    "val_macro_f1", "val_top1", "val_balanced_accuracy", "val_loss", "val_head", "val_medium",
    "val_tail", "val_ece",
)  # fmt: skip

_WHAT, _HOW, _HALVING, _RUN = "What to try", "How to run it", "Successive halving", "Run"


@dataclass(frozen=True)
class SweepConfig:
    """A sweep. Fields are the flags of `evenshard sweep`.

    Raises:
      UsageError: a value out of range.
    """

    data_dir: str = flag(MISSING, _WHAT, "Directory that `evenshard bake` wrote.", metavar="DIR")
    runs_dir: str = flag(
        MISSING,
        _WHAT,
        "Directory for the trials' run directories, leaderboard.csv and report/index.html.",
        metavar="DIR",
    )
    grid: str = flag(
        MISSING,
        _WHAT,
        "YAML file that says what to try.",
        metavar="FILE",
        typed_as=("yaml", "yml"),
    )
    scale: float = flag(
        1.0, _WHAT, "Make every trial smaller, by the grid's own `scale` section.", metavar="S"
    )
    metric: str = flag(
        "val_macro_f1",
        _WHAT,
        "Metric that orders the leaderboard: of each trial, at the epoch whose weights it keeps.",
        choices=METRICS,
    )

    parallel: int = flag(
        1,
        _HOW,
        "Trials at once. Each gets a GPU of its own as long as there is one, and its share of the "
        "cores.",
        metavar="N",
    )
    plan_only: bool = flag(False, _HOW, "Check and list the trials; train nothing.")

    halving: int = flag(
        0,
        _HALVING,
        "Pause trials at each rung and continue with only the best 1/N, e.g. 3. 0: off.",
        metavar="N",
    )
    rungs: int = flag(
        2,
        _HALVING,
        "Rungs before the end, at 1/N, 1/N², … of a trial's --epochs.",
        metavar="K",
    )

    progress: str = flag(
        "auto", _RUN, "Table on a terminal, else lines.",
        choices=("auto", "table", "lines", "none"),
    )  # fmt: skip

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        remote.check_local("runs_dir", self.runs_dir)
        if not 0 < self.scale <= 100:
            raise UsageError(f"--scale must be above 0, at most 100, not {self.scale:g}")
        if not 1 <= self.parallel <= 1000:
            raise UsageError(f"--parallel must be 1 to 1,000, not {self.parallel}")
        if self.halving == 1 or not 0 <= self.halving <= 100:
            raise UsageError(f"--halving must be 2 to 100, or 0 for off, not {self.halving}")
        if not 1 <= self.rungs <= 10:
            raise UsageError(f"--rungs must be 1 to 10, not {self.rungs}")
