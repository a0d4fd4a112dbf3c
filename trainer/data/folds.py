"""The fold that a command takes of a data set whose train split is divided into folds."""

from __future__ import annotations

import shlex

from tfrecords.errors import UsageError
from tfrecords.manifest import Manifest


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
