"""The fold that a command takes of a data set whose train split is divided into folds."""

from __future__ import annotations

import shlex

from tfrecords.errors import UsageError
from tfrecords.manifest import Manifest
from tfrecords.schema import TRAIN, VALIDATION
from trainer.config import TrainConfig


def of_run(config: TrainConfig, manifest: Manifest) -> Manifest:
    """Returns the manifest whose train and validation splits are those of a run's --fold.

    Args:
      config: --data_dir, --fold, and the splits to train and to validate on.
      manifest: as on disk.

    Raises:
      UsageError: as `of_fold`; a fold that would neither be trained on nor be validated on.
    """
    found = of_fold(manifest, config.fold, config.data_dir)
    fold, splits = config.fold, {config.train_split, config.validation_split}
    if fold is not None and VALIDATION not in splits:
        judged = config.validation_split
        instead = (
            f"leave --validation_split out, and give `evenshard evaluate --split={judged}` the "
            "trained run"
            if config.train_split == TRAIN != judged
            else "leave both out"
        )
        raise UsageError(
            f"--fold={fold} is the fold to validate on, and with --train_split="
            f"{config.train_split} --validation_split={judged} no split holds its pictures: "
            f"{instead}"
        )
    return found


def of_fold(manifest: Manifest, fold: int | None, data_dir: str) -> Manifest:
    """Returns the manifest whose train and validation splits are those of --fold.

    Args:
      manifest: as on disk.
      fold: --fold; None for a data set without folds, whose manifest is returned as it is.
      data_dir: where it is, for messages.

    Raises:
      UsageError: a data set with folds and no fold, the other way round, or no such fold.
    """
    count = len(manifest.folds)
    if fold is None and not count:
        return manifest
    if fold is None:
        place = shlex.quote(f"--data_dir={data_dir}")
        raise UsageError(
            f"{data_dir} is divided into {count} folds: say which one to validate on, as in "
            f"`evenshard train {place} --run_dir=runs/fold0 --fold=0`, up to --fold={count - 1}; "
            "or sweep over all with `folds: all` in a grid"
        )
    if not count:
        raise UsageError(
            f"--fold={fold}: {data_dir} is not divided into folds: leave it out, or bake with "
            "--folds=5"
        )
    if not 0 <= fold < count:
        raise UsageError(f"--fold={fold}: {data_dir} has folds 0 to {count - 1}")
    return manifest.of_fold(fold)
