"""Miniatures of public data sets whose class is in the names of the files: read, or stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tfrecords.inputs.test_public_sets import (
    Case,
    check_read,
    check_stopped,
    each,
    lines,
    paths,
)
from tfrecords.inputs.rules import InputRules

READ = {
    "Oxford Pets: the class in the names": Case(
        paths("images/{c}_{n}.jpg", classes=("Abyssinian", "american_bulldog", "pug")),
        each(2, classes=("Abyssinian", "american_bulldog", "pug")),
        {"annotations/trainval.txt": lines("", "{c}_{n} 1 1 1"), "images/Abyssinian_1.mat": "M"},
        rules=InputRules(class_from=r"([^/]+)_[0-9]+\.jpg"),
        said=("as 'Abyssinian' of 'Abyssinian_0.jpg'",),
        unsaid=("do not match",),
    ),
    "Oxford Pets: with its trimaps, which have the same names": Case(
        paths("images/{c}_{n}.jpg") + paths("annotations/trimaps/{c}_{n}.png"),
        each(2),
        rules=InputRules(class_from=r"([^/]+)_[0-9]+\.jpg", exclude=("/annotations",)),
    ),
    "Cats and dogs: the class in the names of train": Case(
        (*paths("train/{c}.{n}.jpg"), *paths("test1/{n}.jpg")),
        each(2, "train"),
        {"sampleSubmission.csv": lines("id,label", "{n},0")},
        rules=InputRules(class_from=r"([^/]+)\.[0-9]+\.jpg"),
        said=("train/ is a split; 6 files under test1/ have no class and are left for predict",),
        unlabelled=6,
    ),
    "Simpsons: a test set with the class in the names": Case(
        paths("kaggle_simpson_testset/{c}_{n}.jpg", classes=("bart_simpson", "apu")),
        each(3, classes=("bart_simpson", "apu")),
        rules=InputRules(class_from=r"([^/]+)_[0-9]+\.jpg"),
    ),
    "UTKFace: age, gender, race and date": Case(
        paths("UTKFace/{n}_{c}_0_2017011{n}.jpg.chip.jpg", classes=("0", "1")),
        each(3, classes=("0", "1")),
        rules=InputRules(class_from=r"^[^_]+_([01])_"),
    ),
    "RAF, CK+ and their like: a subject, the class and a number": Case(
        paths("S01_{c}_{n:03d}.png"),
        each(2),
        rules=InputRules(class_from=r"[^/_]+_([^/_]+)_[^/]*$"),
    ),
    "classes in names, in folders that are splits": Case(
        paths("train/{c}-{n}.jpg") + paths("test/{c}-{n}.jpg"),
        {**each(2, "train"), **each(2, "test")},
        rules=InputRules(class_from=r"([^/]+)-[0-9]+\.jpg"),
        said=("train/, test/ are splits",),
    ),
}

STOPPED = {
    "Cats and dogs: the class in the names, a sample submission": Case(
        (*paths("train/{c}.{n}.jpg"), *paths("test1/{n}.jpg")),
        r"table of labels with --input_csv, or --class_from='\(\[\^/\]\+\)\\.\[0-9\]\+\\.jpg' "
        "if the names have the class, as 'bird' in 'train/bird",
        {"sampleSubmission.csv": lines("id,label", "{n},0")},
    ),
    "Oxford Pets: its trimaps have the same names": Case(
        paths("images/{c}_{n}.jpg") + paths("annotations/trimaps/{c}_{n}.png"),
        "annotations/ contains files with the names of the other.*out with --exclude=/annotations$",
        rules=InputRules(class_from=r"([^/]+)_[0-9]+\.jpg"),
    ),
    "Oxford Pets, as it is downloaded": Case(
        paths("images/{c}_{n}.jpg") + paths("annotations/trimaps/{c}_{n}.png"),
        r"pictures and what is drawn .*, or --class_from='\S+\\.jpg' .* in 'images/bird_2.jpg'",
        {"annotations/trainval.txt": lines("", "{c}_{n} 1 1 1")},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_classes_are_read_from_names(tmp_path: Path, name: str) -> None:
    check_read(READ[name], tmp_path)


@pytest.mark.parametrize("name", STOPPED)
def test_a_set_with_classes_in_its_names_stops_with_what_to_do(tmp_path: Path, name: str) -> None:
    check_stopped(STOPPED[name], tmp_path)
