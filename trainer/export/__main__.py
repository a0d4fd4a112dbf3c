"""`python -m trainer.export`: a run's network as a file that serves without this package."""

from __future__ import annotations

import shlex
import sys

from tfrecords.cli.run import DONE, Command
from trainer import tensorflow_import
from trainer.export.config import ExportConfig


def main(config: ExportConfig) -> int:
    """Exports, and says what was written and how near it is."""
    tensorflow_import.import_tensorflow(config.verbose)
    from trainer.export import run  # TensorFlow takes seconds to import: not for --help.

    result = run.run(config)
    print(run.describe(result))
    served = shlex.join((str(result.reader), str(result.exported[0].path)))
    print(f"next: python {served} PICTURE")
    return DONE


COMMAND = Command(
    module="trainer.export",
    summary=(
        "Writes a trained network as a SavedModel, ONNX or LiteRT file, and checks that its "
        "predictions agree with the original's."
    ),
    arguments="--run_dir=R",
    config=ExportConfig,
    main=main,
    notes=(
        "The export includes the class names, the softmax and the resizing rule. predict.py, which "
        "is written next to the files, reads each format without this package; docs/export.md "
        "says how. If the check fails, nothing is written, and the exit code is 1."
    ),
    examples="evenshard export --run_dir=runs/a --format=saved_model,onnx,litert",
    extra="trainer",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
