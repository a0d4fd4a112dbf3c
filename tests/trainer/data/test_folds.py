"""The fold of a run: one of its two splits holds the pictures of the fold, or it is refused."""

from __future__ import annotations

import dataclasses

import pytest

from tests.support.datasets import fakes
from tfrecords import manifest as manifests
from tfrecords.errors import UsageError
from tfrecords.manifest import FoldInfo, Manifest
from trainer.config import TrainConfig
from trainer.data.folds import of_run


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("data")
    fakes.write_dataset(folder, {"train": (12, 8, 4), "test": (4, 0, 2)})
    one = FoldInfo(1, (6, 4, 2), (6, 4, 2), (0, 0, 0))
    return dataclasses.replace(manifests.load(folder), folds=(one, one))


def config(**flags: object) -> TrainConfig:
    return TrainConfig(data_dir="d", run_dir="r", **flags)  # type: ignore[arg-type]  # Of a table.


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({}, None),
        ({"train_split": "validation", "validation_split": "train"}, None),
        ({"train_split": "validation", "validation_split": "test"}, None),
        ({"validation_split": "test"}, r"leave --validation_split out, .* --split=test` the"),
        ({"validation_split": "train"}, "leave both out"),
        ({"train_split": "test", "validation_split": "train"}, "leave both out"),
    ],
)
def test_a_fold_without_a_part_in_the_run_is_refused(
    folded: Manifest, splits: dict[str, str], message: str | None
) -> None:
    given = config(fold=1, **splits)
    if message is None:
        assert {each.fold for each in of_run(given, folded).splits if each.name != "test"} == {1}
        return
    with pytest.raises(UsageError, match=rf"--fold=1 is the fold to validate on, and .*{message}"):
        of_run(given, folded)
    # Without folds any two splits will do.
    assert of_run(config(**splits), dataclasses.replace(folded, folds=())).split("test")
