"""`python -m trainer.evaluate`: a run evaluated on a split that it has not seen."""

from __future__ import annotations

import sys

from tfrecords.cli import following
from tfrecords.cli.run import DONE, Command
from trainer import tensorflow_import
from trainer.evaluate.config import EvaluateConfig


def main(config: EvaluateConfig) -> int:
    """Evaluates, and prints the numbers and where the rest is."""
    tensorflow_import.import_tensorflow(config.verbose)
    from trainer.evaluate import result, run  # TensorFlow takes seconds to import: not for --help.

    print(result.describe(run.run(config)))
    print(following.predicting(",".join(config.run_dir)))
    return DONE


COMMAND = Command(
    module="trainer.evaluate",
    summary=(
        "Evaluates a trained network on a split, and writes numbers, tables, plots and a page into "
        "the run."
    ),
    arguments="--run_dir=R",
    config=EvaluateConfig,
    main=main,
    notes=(
        "A split with near-duplicates of what the run trained on is refused: its result would be "
        "too good."
    ),
    examples=(
        "evenshard evaluate --run_dir=runs/a --split=test\n"
        "evenshard evaluate --run_dir=runs/fold0,runs/fold1 --split=test --output_dir=runs/both"
    ),
    extra="trainer",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
