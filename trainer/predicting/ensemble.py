"""Several runs that answer as one: the mean of their probabilities, classes aligned by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecords.schema import ImageSpec
from trainer.predicting import together
from trainer.runs import load
from trainer.runs.load import LoadedRun

# uint8[n, height, width, 3] of each size → float32[n, classes]
Probabilities = Callable[[Sequence[tf.Tensor]], tf.Tensor]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Runs of the same classes, one or more.

    Attributes:
      runs: the first one's order of classes is that of all answers.
    """

    runs: tuple[LoadedRun, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in label order."""
        return self.runs[0].selection.classes

    @property
    def train_counts(self) -> np.ndarray:
        """Originals of each class that the runs were trained on, all together: int64[classes]."""
        counts = np.zeros(len(self.classes), np.int64)
        for run in self.runs:
            counts += np.asarray(run.train_counts, np.int64)[list(self.order_of(run))]
        return counts

    @property
    def groups(self) -> tuple[Group, ...]:
        """The runs by the form of their data set's images: each form is decoded once."""
        specs = dict.fromkeys(run.manifest.image for run in self.runs)
        return tuple(
            Group(
                spec,
                tuple((run, self.order_of(run)) for run in self.runs if run.manifest.image == spec),
            )
            for spec in specs
        )

    def order_of(self, run: LoadedRun) -> tuple[int, ...]:
        """Returns where each class of the answers is among those of a run."""
        place = {name: label for label, name in enumerate(run.selection.classes)}
        return tuple(place[name] for name in self.classes)


@dataclass(frozen=True, eq=False)
class Group:
    """Runs whose data sets have images of one form.

    Attributes:
      spec: that form.
      members: (run, where each class of the answers is among its own).
    """

    spec: ImageSpec
    members: tuple[tuple[LoadedRun, tuple[int, ...]], ...]

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """The different (height, width) of the networks' pixels."""
        return tuple(dict.fromkeys(run.size for run, _ in self.members))

    def function(self, tta: str) -> Probabilities:
        """Returns the function that gives the sum of the probabilities of all members.

        It takes the pixels in each of `sizes`.
        """
        sizes = self.sizes
        parts = [
            (sizes.index(run.size), order, load.function_of(run.model, tta), run.probabilities)
            for run, order in self.members
        ]

        def probabilities(images: Sequence[tf.Tensor]) -> tf.Tensor:
            return tf.add_n(
                [
                    tf.gather(tf.nn.softmax(rule.scaled(function(images[size]))), order, axis=1)
                    for size, order, function, rule in parts
                ]
            )

        return probabilities


def of(runs: Ensemble | LoadedRun) -> Ensemble:
    """Returns an ensemble, which may be of one run."""
    return runs if isinstance(runs, Ensemble) else Ensemble((runs,))


def open_runs(
    run_dirs: Sequence[str],
    weights: str = "best",
    device: str = "auto",
    *,
    trust_run_code: bool = False,
) -> Ensemble:
    """Returns the networks of runs, ready to predict.

    Raises:
      UsageError, TrainerError: as `together.check` and `load.open_run`.
    """
    together.check(run_dirs)
    return Ensemble(
        tuple(
            load.open_run(run_dir, weights, device, trust_run_code=trust_run_code)
            for run_dir in run_dirs
        )
    )


def record(runs: Ensemble, run_dirs: Sequence[str], weights: str, tta: str) -> dict[str, Any]:
    """Returns which runs made a prediction, ready for JSON."""
    return {
        "weights": weights,
        "tta": tta,
        "classes": list(runs.classes),
        "runs": [
            {
                "run_dir": run_dir,
                "absolute": str(Path(run_dir).resolve()),
                "fingerprint": run.stored.fingerprint,
                "dataset": {
                    "name": run.stored.dataset.name,
                    "digest": run.stored.dataset.digest,
                },
                "model": run.config.model,
                "image_size": list(run.size),
                "temperature": run.probabilities.temperature.value,
                "versions": dict(run.stored.versions),
            }
            for run_dir, run in zip(run_dirs, runs.runs, strict=True)
        ],
    }
