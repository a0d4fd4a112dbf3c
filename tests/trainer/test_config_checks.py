"""Flags of a training that are out of range, or contradict each other."""

from __future__ import annotations

import pytest

from tests.support.runs.train_configs import config
from tfrecords.errors import UsageError

HEAD = {"freeze": "backbone", "weights": "imagenet", "model": "resnet50"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_size": "some"}, "--batch_size"),
        ({"batch_size": "0"}, "--batch_size"),
        ({"batch_size": "10", "grad_accum": 4}, "must divide"),
        ({"epochs": 0}, "--epochs must be 1 to"),
        ({"image_size": "64x"}, "--image_size"),
        ({"image_size": "0"}, "--image_size"),
        ({"classes": ("a",), "num_classes": 3}, "exclude each other"),
        ({"freeze_epochs": 1}, "--weights"),
        ({"weights": "imagenet"}, "springfield_cnn has none"),
        ({"weights": "imagenet", "model": "mine:network"}, "mine:network has none"),
        ({"distribute": "mirrored", "jit_compile": True}, "--jit_compile=off"),
        ({"augment": ("auto", "flip")}, "--augment=auto stands alone"),
        ({"seed": -1}, "--seed must be 0 to 2,147,483,647, not -1"),
        ({"unfreeze_epochs": 2}, "go with --freeze=backbone"),
        (HEAD | {"freeze_epochs": 2}, "leave out --epochs and --freeze_epochs"),
        (HEAD | {"epochs": 5}, "leave out --epochs and --freeze_epochs"),
        (HEAD | {"weights": "none"}, "--freeze=backbone trains a head on given weights"),
        (HEAD | {"feature_views": 2, "augment": ("mixup",)}, "leave out mixup, cutmix"),
        ({"fork_epoch": "best"}, "goes with --fork_from"),
        ({"fork_from": "run"}, "are one directory"),
        ({"fork_from": "gs://b/run"}, "not to a URL"),
        ({"run_dir": "gs://b/run"}, "not to a URL"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        config(**changes)
