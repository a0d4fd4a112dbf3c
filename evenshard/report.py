"""`evenshard report DIR`: writes the report of a data set or of a trained run again."""

from __future__ import annotations

import sys
from dataclasses import MISSING, dataclass
from pathlib import Path

from tfrecords import locations
from tfrecords.cli import flags
from tfrecords.cli.flags import flag
from tfrecords.cli.run import DONE, Command
from tfrecords.errors import UsageError
from tfrecords.system import extras

# By these files a directory is known.
_DATASET, _RUN, _SWEEP, _EVALUATION = (
    "manifest.json", "config.json", "leaderboard.csv", "evaluation.json",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What to report on. Fields are the flags of `evenshard report`."""

    directory: str = flag(
        MISSING, "What", "Data set, or directory of a trained run.",
        metavar="DIR", positional=True,
    )  # fmt: skip
    trust_run_code: bool = flag(
        False,
        "What",
        "Run the code that the run directory names or holds, where its network is a person's own "
        "(--model=module:function) and needs it. Only for a run whose author you trust.",
    )
    verbose: bool = flag(False, "Output", "Show tracebacks and TensorFlow's log.", short="v")

    def __post_init__(self) -> None:
        flags.convert_fields(self)


def main(config: ReportConfig) -> int:
    """Writes the report of what the directory is, and says where."""
    path, is_url = Path(config.directory), locations.is_url(config.directory)
    if is_url or (path / _DATASET).exists():
        print(f"report: {_of_dataset(config.directory)}")
    elif (path / _RUN).exists():
        print(f"report: {_of_run(config)}")
    elif (path / _SWEEP).exists():
        raise UsageError(
            f"{path} is a sweep: its command, given again, trains only what is not trained and "
            "draws the leaderboard"
        )
    elif (path / _EVALUATION).exists():
        raise UsageError(f"{path} is an evaluation: `evenshard evaluate` writes its report again")
    else:
        raise UsageError(
            f"{path} is neither a data set nor a run: it has no {_DATASET} and no {_RUN}"
        )
    return DONE


def _of_dataset(directory: str) -> str:
    if locations.is_url(directory):
        extras.require("beam")
    from beam_pipelines.report import again  # Pillow, numpy: not for --help.

    path, note = again.write_again(directory)
    if note:
        print(f"note: {note}", file=sys.stderr)
    return path


def _of_run(config: ReportConfig) -> Path:
    extras.require("trainer")
    from trainer import tensorflow_import

    tensorflow_import.import_tensorflow(config.verbose)
    from trainer.train import report_again  # TensorFlow takes seconds to import.

    return report_again.write_again(config.directory, trust_run_code=config.trust_run_code)


COMMAND = Command(
    module="evenshard.report",
    summary="Writes the report of a data set or of a trained run again.",
    arguments="DIR",
    config=ReportConfig,
    main=main,
    notes=(
        "A bake whose report could not be written is complete without it. Pictures that are not "
        "in the data set are not shown: only the bake itself reads its sources."
    ),
    examples="evenshard report shards",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
