"""`evenshard report DIR`: writes the report of a data set or of a trained run again."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from tfrecords import locations
from tfrecords.cli import flags
from tfrecords.cli.flags import flag
from tfrecords.cli.run import DONE, Command
from tfrecords.errors import UsageError
from tfrecords.system import extras
from trainer import run_flags
from trainer.runs import evaluation_file

# By these files a directory is known.
_DATASET, _RUN, _SWEEP, _EVALUATION = (
    "manifest.json", "config.json", "leaderboard.csv", "evaluation.json",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What to report on: one of the three. Fields are the flags of `evenshard report`.

    Raises:
      UsageError: none of them is given, or more than one.
    """

    directory: str = flag(
        "", "What", "Data set, or directory of a trained run; its files show which it is.",
        metavar="DIR", positional=True, typed_as=("dir", "path", "output_dir"),
    )  # fmt: skip
    data_dir: str = flag("", "What", "A data set, instead of DIR; a run is refused.", metavar="DIR")
    run_dir: str = flag("", "What", "A run, instead of DIR; a data set is refused.", metavar="DIR")
    trust_run_code: bool = run_flags.trust_run_code("What")
    verbose: bool = run_flags.verbose("Output")

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        given = {
            typed: value
            for typed, value in (
                ("DIR", self.directory),
                ("--data_dir", self.data_dir),
                ("--run_dir", self.run_dir),
            )
            if value
        }
        if not given:
            raise UsageError(
                "DIR is required, as in: evenshard report shards; or --data_dir=DIR of a data set, "
                "--run_dir=DIR of a run"
            )
        if len(given) > 1:
            listed = ", ".join(f"{typed} {value!r}" for typed, value in given.items())
            raise UsageError(f"one directory at a time is expected, not {listed}: give one")

    @property
    def asked(self) -> str:
        """The directory, whichever way it was given."""
        return self.directory or self.data_dir or self.run_dir


def main(config: ReportConfig) -> int:
    """Writes the report of what the directory is, and says where.

    Raises:
      UsageError: it is neither a data set nor a run, or not the one that was asked for.
    """
    path, is_url = Path(config.asked), locations.is_url(config.asked)
    is_dataset, is_run = is_url or (path / _DATASET).exists(), (path / _RUN).exists()
    if config.run_dir and is_dataset and not is_run:
        raise UsageError(
            f"--run_dir={config.asked} is a data set, not a run: evenshard report "
            f"--data_dir={shlex.quote(config.asked)}"
        )
    if config.data_dir and is_run and not is_dataset:
        raise UsageError(
            f"--data_dir={config.asked} is a run, not a data set: evenshard report "
            f"--run_dir={shlex.quote(config.asked)}"
        )
    if is_dataset and not config.run_dir:
        print(f"report: {_of_dataset(config.asked)}")
    elif is_run:
        print(f"report: {_of_run(config)}")
    elif (path / _SWEEP).exists():
        raise UsageError(
            f"{path} is a sweep: its command, given again, trains only what is not trained and "
            "draws the leaderboard"
        )
    elif (path / _EVALUATION).exists():
        raise UsageError(
            f"{path} is an evaluation: `{evaluation_file.command_of(path)}` writes its report again"
        )
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

    return report_again.write_again(config.asked, trust_run_code=config.trust_run_code)


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
    examples="evenshard report shards\nevenshard report --run_dir=runs/a",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
