"""The folder that the pages of the documentation speak of."""

from __future__ import annotations

import csv
import shutil
import zipfile
from pathlib import Path

import pytest

import evenshard
from tests.docs.snippets import TINY
from tests.support.datasets import fakes

_COUNTS = {"apu": 40, "bart": 20, "lisa": 12}


@pytest.fixture(scope="session")
def pages_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures/, unlabelled/, two zips of contests, shards/ and runs/a."""
    root = tmp_path_factory.mktemp("pages")
    fakes.write_folders(root / "pictures", _COUNTS, side=32)
    (root / "unlabelled").mkdir()
    for number, hue in enumerate((0, 85, 170), start=1):
        fakes.picture(f"new {number}", hue=hue).save(root / "unlabelled" / f"{number}.jpg")
    _write_contest(root)
    _write_contest_of_a_table(root)
    evenshard.bake(root / "pictures", root / "shards", image_size=32, per_class=24, workers=1)
    evenshard.train(
        root / "shards", root / "runs" / "a", model=TINY, epochs=1, batch_size=16, progress="none"
    )
    return root


def _write_contest(root: Path) -> None:
    """Writes springfield.zip in the form that the zips of contests have."""
    sample = root / "sample.csv"
    with sample.open("w", newline="", encoding="utf-8") as file:
        rows = [("Id", "Expected"), *((f"{n}.jpg", "apu") for n in (1, 2, 3))]
        csv.writer(file).writerows(rows)
    with zipfile.ZipFile(root / "springfield.zip", "w") as archive:
        for path in sorted((root / "pictures").rglob("*.jpg")):
            archive.write(path, f"train/train/{path.relative_to(root / 'pictures')}")
        for path in sorted((root / "unlabelled").iterdir()):
            archive.write(path, f"testset/testset/{path.name}")
        archive.write(sample, "sample_submission.csv")
    (root / "town").mkdir()
    shutil.copy(sample, root / "town" / "unlabelled.csv")


def _write_contest_of_a_table(root: Path) -> None:
    """Writes contest.zip, with classes in train.csv and ids that start anew in test/."""
    pictures = sorted((root / "pictures").rglob("*.jpg"))
    new = sorted((root / "unlabelled").iterdir())
    with zipfile.ZipFile(root / "contest.zip", "w") as archive:
        for folder, paths in (("train", pictures), ("test", new)):
            for number, path in enumerate(paths, start=1):
                archive.write(path, f"{folder}/{number}.jpg")
        rows = [f"{number},{path.parent.name}" for number, path in enumerate(pictures, start=1)]
        archive.writestr("train.csv", "\n".join(["id,label", *rows, ""]))
        sample = [f"{number},apu" for number in range(1, len(new) + 1)]
        archive.writestr("sample_submission.csv", "\n".join(["id,label", *sample, ""]))


@pytest.fixture
def folder(pages_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, as the working directory, from which modules are imported."""
    here = tmp_path / "here"
    shutil.copytree(pages_world, here)
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here))
    return here


@pytest.fixture
def first_folder(folder: Path) -> Path:
    """That folder without shards/ and runs/, where tutorials begin."""
    shutil.rmtree(folder / "shards")
    shutil.rmtree(folder / "runs")
    return folder
