"""`python -m trainer.export`: a run's network as a file that serves without this package."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from trainer import commandline, tensorflow_import
from trainer.export.config import ExportConfig

USAGE = """\
Writes a trained network as a SavedModel, ONNX or LiteRT file, and checks that it still says
what the live one says.

usage: python -m trainer.export --run_dir=R --format=saved_model,onnx,litert [--flag=value ...]

Names of the classes, softmax and the rule of resizing are inside; docs/export.md says how to
read them, examples/serve does it. Exit code 1, and nothing written, where the check fails."""


def main(config: ExportConfig) -> int:
    """Exports, and says what was written and how near it is."""
    tensorflow_import.import_tensorflow(config.verbose)
    from trainer.export import run  # TensorFlow takes seconds to import: not for --help.

    print(run.describe(run.run(config)))
    return commandline.DONE


def cli(argv: Sequence[str]) -> int:
    """Returns the exit code of a command line."""
    config = commandline.parse(ExportConfig, argv, USAGE)
    return commandline.run(main, config, config.verbose)


if __name__ == "__main__":
    sys.exit(cli(sys.argv[1:]))
