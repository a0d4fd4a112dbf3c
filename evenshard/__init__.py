"""Balanced TFRecord shards from imbalanced image folders, and classifiers trained on them.

    import evenshard

    dataset = evenshard.bake("pictures", "shards", image_size=128, per_class=300)
    run = evenshard.train("shards", "runs/a", epochs=30)
    run.predict("unlabelled")

Arguments have the names of the commands' flags. Importing this package imports neither Beam nor
TensorFlow: what a function needs is imported when it is called.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from evenshard import own_packages
from tfrecords import __version__
from tfrecords.cli import utf8

if TYPE_CHECKING:
    from beam_pipelines.config import PrepareConfig
    from evenshard.baking import bake, plan
    from evenshard.dataset import Dataset, RecordNotFoundError, open
    from evenshard.plan_result import Plan
    from evenshard.running import Run, Runs, load_run
    from evenshard.training import train
    from tfrecords.errors import (
        BakeError,
        DamagedCheckpointWarning,
        EvenshardError,
        EvenshardWarning,
        MendedRunWarning,
        MissingBestWarning,
        OtherPixelsWarning,
        OutOfMemoryError,
        SurroundingsWarning,
        TrainerError,
        UnknownPicturesWarning,
        UsageError,
    )
    from tfrecords.manifest import ManifestError
    from trainer.config import TrainConfig

__all__ = [
    "BakeError",
    "DamagedCheckpointWarning",
    "Dataset",
    "EvenshardError",
    "EvenshardWarning",
    "ManifestError",
    "MendedRunWarning",
    "MissingBestWarning",
    "OtherPixelsWarning",
    "OutOfMemoryError",
    "Plan",
    "PrepareConfig",
    "RecordNotFoundError",
    "Run",
    "Runs",
    "SurroundingsWarning",
    "TrainConfig",
    "TrainerError",
    "UnknownPicturesWarning",
    "UsageError",
    "__version__",
    "bake",
    "load_run",
    "open",
    "plan",
    "train",
]

_MODULES = {
    "BakeError": "tfrecords.errors",
    "DamagedCheckpointWarning": "tfrecords.errors",
    "Dataset": "evenshard.dataset",
    "EvenshardError": "tfrecords.errors",
    "EvenshardWarning": "tfrecords.errors",
    "ManifestError": "tfrecords.manifest",
    "MendedRunWarning": "tfrecords.errors",
    "MissingBestWarning": "tfrecords.errors",
    "OtherPixelsWarning": "tfrecords.errors",
    "OutOfMemoryError": "tfrecords.errors",
    "Plan": "evenshard.plan_result",
    "PrepareConfig": "beam_pipelines.config",
    "RecordNotFoundError": "evenshard.dataset",
    "Run": "evenshard.running",
    "Runs": "evenshard.running",
    "SurroundingsWarning": "tfrecords.errors",
    "TrainConfig": "trainer.config",
    "TrainerError": "tfrecords.errors",
    "UnknownPicturesWarning": "tfrecords.errors",
    "UsageError": "tfrecords.errors",
    "bake": "evenshard.baking",
    "load_run": "evenshard.running",
    "open": "evenshard.dataset",
    "plan": "evenshard.baking",
    "train": "evenshard.training",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    own_packages.check()
    utf8.warn_if_needed()
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value  # Looked up once.
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
