"""What is said at the start of a run that cannot be what its flags ask for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.support.datasets import fakes
from trainer.config import TrainConfig
from trainer.data.selection import Selection, open_configured
from trainer.data.shortfall import shortfalls, too_many_per_class

JUDGED = (
    "--validation_split=train is what the run trains on: its numbers say nothing about new "
    "pictures, nor does its best epoch or its temperature"
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    fakes.write_dataset(folder, {"train": (12, 8, 5), "validation": (4, 0, 2)}, copies=2)
    return folder


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({}, []),
        ({"per_class": 7}, []),
        ({"per_class": 14}, ["2 of 3 classes have fewer records than --per_class=14, the fewest "
                             "'lisa' with 7: the classes are not balanced"]),
        ({"per_class": 700}, ["--per_class=700 is above the bake's 14 records a class: every one "
                              "is trained on"]),
        ({"per_class": 13, "originals_only": True}, ["--per_class=13 is above the bake's 12 "
                                                     "originals a class: every one is trained on"]),
        ({"batch_size": "31"}, []),
        ({"batch_size": "32"}, ["--batch_size=32 is above the 31 pictures of an epoch: each epoch "
                                "is one step, filled up with repeats that do not count"]),
        ({"batch_size": "32", "freeze": "backbone", "weights": "imagenet"}, []),
        ({"focal_gamma": 3.0}, ["--focal_gamma=3.0 changes nothing here: it goes with "
                                "--loss=focal"]),
        ({"validation_split": "train"}, [JUDGED]),
    ],
)  # fmt: skip
def test_each_is_one_line(
    data_dir: Path, tmp_path: Path, flags: dict[str, object], said: list[str]
) -> None:
    from tfrecords import manifest as manifests

    given = {"batch_size": "8", **flags}
    config = TrainConfig(data_dir=str(data_dir), run_dir=str(tmp_path), **given)  # type: ignore[arg-type]  # Values of a table.
    manifest = manifests.load(data_dir)
    selection = Selection.of(config, manifest)
    train = open_configured(config, manifest, "train", selection)
    validation = open_configured(config, manifest, "validation", selection.natural())
    unseen = (
        "1 of 3 classes has no picture in split 'validation', so nothing will be known about 'bart'"
    )
    assert shortfalls(config, train, validation) == [*said, unseen]
    seen = dataclasses.replace(
        validation, split=dataclasses.replace(validation.split, originals=(3, 1, 2))
    )
    assert shortfalls(config, train, seen) == said
    assert all("\n" not in line for line in said)
    above = bool(said) and "is above the bake's" in said[0]
    assert bool(too_many_per_class(config, train)) == above
