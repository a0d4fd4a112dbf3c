"""`python -m trainer.train`: shards in, a trained network and its report out."""

from __future__ import annotations

import sys
from pathlib import Path

from tfrecords.cli import following
from tfrecords.cli.run import DONE, Command
from trainer import remote, tensorflow_import
from trainer.config import TrainConfig


def main(config: TrainConfig) -> int:
    """Trains and says where the results are."""
    tensorflow_import.import_tensorflow(config.verbose)
    from trainer.train import run  # TensorFlow takes seconds to import: not for --help.

    result = run.run(config)
    if result.status == "interrupted":
        print(
            f"interrupted after step {result.step}, unfinished: the same command carries on from "
            "there"
        )
        return 128 + result.stopped_by  # As shells have it.
    if result.status == "paused":
        print(
            f"paused after epoch {result.epochs} of {result.planned}, by --stop_after_epoch: "
            "without it, the same command continues"
        )
        return DONE
    if result.weights == "last":
        print("the checkpoint of the best epoch is gone: model.keras has the last weights")
    epochs = f"{result.epochs} epoch{'' if result.epochs == 1 else 's'}"
    print(
        f"{result.status.replace('_', ' ')} after {epochs}; best is epoch "
        f"{result.best_epoch} with {config.monitor} {result.best[config.monitor]:.4f}\n"
        f"report: {Path(config.run_dir) / 'report' / 'index.html'}"
    )
    print(following.using(config.run_dir, remote.splits_of(config.data_dir)))
    return DONE


COMMAND = Command(
    module="trainer.train",
    summary="Trains a network on a data set that `evenshard bake` wrote.",
    arguments="--data_dir=O --run_dir=R",
    config=TrainConfig,
    main=main,
    notes=(
        "The same command resumes an interrupted run, and ends with the same weights. "
        "Exit code: 0 done or paused, 1 failed, 2 usage, 130 (Ctrl-C) or 143 (SIGTERM) unfinished, "
        "to be run again. "
        "A network of your own: --model=module:function names a function (height, width, classes) "
        "-> keras.Model that takes pixels 0 to 255 and gives logits, without softmax or sigmoid. "
        "The layer that gives them is named head, or the function returns {'model': model, 'head': "
        "its name}; freezing and fine-tuning need it. Layers with trainable=False stay frozen. A "
        "parameter named dropout receives --dropout."
    ),
    examples="""\
evenshard train --data_dir=shards --run_dir=runs/a
evenshard train --data_dir=shards --run_dir=runs/20x300 --num_classes=20 --per_class=300""",
    after_interrupt="the same command carries on from the last checkpoint",
    extra="trainer",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
