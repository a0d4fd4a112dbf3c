"""The flags of `python -m tests.torture`."""

from __future__ import annotations

from dataclasses import dataclass

from tfrecords.cli import flags
from tfrecords.cli.flags import flag
from tfrecords.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class TortureConfig:
    """What to try. Fields are the flags of `python -m tests.torture`.

    Raises:
      UsageError: a number out of range.
    """

    seed: int = flag(0, "What", "Of the cases.", metavar="N")
    minutes: float = flag(20.0, "What", "How long, all kinds together.", metavar="M")
    only: str = flag(
        "", "What", "Kinds, with commas, or what several begin with: kill, full-bake.",
        metavar="KIND",
    )  # fmt: skip
    case: int | None = flag(
        None, "What", "One seed of the table, to try that case of --only=KIND again.", metavar="N"
    )
    most: int = flag(0, "What", "Cases of each kind; 0: as many as there is time for.", metavar="N")
    workers: int = flag(0, "How", "Cases at a time; 0: one a core.", metavar="N")
    folder: str = flag("", "How", "To work in. Default: a temporary one.", metavar="DIR")
    verbose: bool = flag(False, "How", "Show tracebacks, and how each case ended.", short="v")

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        if self.minutes <= 0 or self.workers < 0 or self.most < 0:
            raise UsageError("--minutes, --workers and --most are positive")
