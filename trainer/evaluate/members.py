"""The runs of an evaluation: one, or several whose probabilities are averaged as in predict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfrecords.errors import UsageError
from tfrecords.manifest import Manifest
from trainer.evaluate.config import EvaluateConfig
from trainer.metrics.metrics import Predictions
from trainer.metrics.probabilities import Temperature
from trainer.predicting import together
from trainer.predicting.ensemble import Ensemble
from trainer.runs.config_file import RunConfig

# A mean of calibrated probabilities; a temperature of its own would be another network's.
OF_THE_MEAN = Temperature(
    note="the mean of several runs has none; the probabilities of each run have that of the run"
)


def check(config: EvaluateConfig, run_dirs: Sequence[str]) -> tuple[RunConfig, ...]:
    """Returns the config.json of runs that can be evaluated together; reads no network.

    Args:
      config: of the evaluation.
      run_dirs: of the runs, as `together.named` gives them.

    Raises:
      UsageError: they differ in their classes, one is given twice, or a flag does not go with
        several runs.
      TrainerError: one is not a run.
    """
    together.check(run_dirs)
    stored = tuple(map(RunConfig.read, run_dirs))
    if len(run_dirs) == 1:
        return stored
    if not config.output_dir:
        raise UsageError(
            "--output_dir is required with several runs: their result belongs to no single run"
        )
    if config.logit_adjustment:
        raise UsageError(
            "--logit_adjustment is for one run: several are averaged as `evenshard predict` does "
            "it, without an adjustment"
        )
    return stored


def manifest_of(config: EvaluateConfig, stored: Sequence[RunConfig], found: Manifest) -> Manifest:
    """Returns a data set's manifest with the splits that the runs saw, if it is their own.

    Args:
      config: of the evaluation.
      stored: of the runs that are evaluated on it.
      found: of the data set.

    Raises:
      UsageError: the split to evaluate is another one for each of them.
    """
    manifests = [each.of_same_fold(found) for each in stored]
    of_folds = [each for each in manifests if each.split_of_fold(config.split)]
    splits = [each.split_of_fold(config.split) for each in of_folds]
    if any(split != splits[0] for split in splits):
        folds = ", ".join(f"--fold={each.flags.fold}" for each in stored)
        raise UsageError(
            f"--split={config.split} differs between folds, and the runs have {folds}: pictures "
            "that one has not seen, others were trained on; give --split=test, or one run at a time"
        )
    return (of_folds or manifests)[0]


def train_counts(runs: Ensemble) -> tuple[int, ...]:
    """Returns the mean number of originals of each class that the runs were trained on."""
    return tuple(round(count / len(runs.runs)) for count in runs.train_counts.tolist())


def mean(runs: Ensemble, predicted: Sequence[Predictions]) -> Predictions:
    """Returns the mean of the runs' probabilities, as logarithms, in the first one's classes.

    Args:
      runs: the runs.
      predicted: of each, its own logits for the same pictures; labels count in its classes.

    Raises:
      ValueError: the pictures are not the same; two bakes may have them in another order.
    """
    first = predicted[0]
    total = np.zeros_like(first.logits)
    for run, each in zip(runs.runs, predicted, strict=True):
        order = _order(first.ids, each.ids)
        total += run.probabilities.of(each.logits)[order][:, list(runs.order_of(run))]
    least = np.finfo(np.float32).tiny  # As `predictions.read` has it.
    logits = np.log(np.maximum(total / len(predicted), least))
    return Predictions(first.ids, first.labels, logits)


def _order(ids: Sequence[str], given: Sequence[str]) -> np.ndarray:
    """Returns int64[n], where each id is among those given."""
    place = {id_: index for index, id_ in enumerate(given)}
    if len(place) != len(ids) or len(given) != len(ids) or not place.keys() >= {*ids}:
        raise ValueError("the runs were given different pictures")
    return np.array([place[id_] for id_ in ids], np.int64)
