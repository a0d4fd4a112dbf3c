"""`python -m trainer.train`: shards in, a trained network and its report out."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from trainer import commandline, tensorflow_import
from trainer import config as flags
from trainer.config import TrainConfig


def main(config: TrainConfig) -> int:
    """Trains and says where the results are."""
    tensorflow_import.import_tensorflow(config.verbose)
    from trainer.train import loop  # TensorFlow takes seconds to import: not for --help.

    result = loop.run(config)
    if result.status == "interrupted":
        print(f"interrupted after step {result.step}; the same command carries on from there")
        return commandline.DONE
    if result.status == "paused":
        print(f"paused after epoch {result.epochs} of {config.epochs}, by --stop_after_epoch")
        return commandline.DONE
    print(
        f"{result.status.replace('_', ' ')} after {result.epochs} epochs; best is epoch "
        f"{result.best_epoch} with {config.monitor} {result.best[config.monitor]:.4f}\n"
        f"report: {result.run_dir / 'report' / 'index.html'}"
    )
    return commandline.DONE


def cli(argv: Sequence[str]) -> int:
    """Returns the exit code of a command line."""
    config = flags.parse(argv)
    return commandline.run(main, config, config.verbose)


if __name__ == "__main__":
    sys.exit(cli(sys.argv[1:]))
