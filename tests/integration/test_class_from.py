"""A bake of pictures whose class is in their names, with the flag that the error shows."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from beam_pipelines import prepare
from beam_pipelines.config import PrepareConfig
from tests.support.datasets import fakes
from tfrecords import ledger, manifest
from tfrecords.cli import parsing
from tfrecords.errors import UsageError

CLASSES = ("great_dane", "pug")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Ten pictures of each class, and the tables that lie beside such."""
    root = tmp_path / "pets"
    root.mkdir()
    for name in CLASSES:
        for number in range(10):
            (root / f"{name}_{number}.jpg").write_bytes(fakes.picture_bytes(f"{name}{number}"))
    (root / "README.md").write_text("pets")
    return root


def bake(root: Path, *argv: str, output: str = "out") -> int:
    given = (f"--input_dir={root}", f"--output_dir={root.parent / output}", *argv)
    return prepare.main(
        parsing.parse(PrepareConfig, [*given, "--image_size=16", "--workers=0", "--seed=1"])
    )


def rows(folder: Path) -> list[tuple[str, str | None, str | None]]:
    table = ledger.read(str(folder)).select(["key", "class", "split"])
    return sorted((row["key"], row["class"], row["split"]) for row in table.to_pylist())


def test_the_flag_of_the_error_bakes(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="no class folders") as error:
        bake(pets)
    (flag,) = re.findall(r"--class_from=\S+", str(error.value))
    (typed,) = shlex.split(flag)
    assert bake(pets, typed) == 0
    said = capsys.readouterr().err
    assert (
        f"input: the class is what {flag} captures, as 'great_dane' of 'great_dane_0.jpg'" in said
    )
    assert "20 files in 2 classes; left out: 1 sidecar" in said
    out = pets.parent / "out"
    for key, class_name, _ in rows(out):
        assert class_name == (key.rpartition("_")[0] if key.endswith(".jpg") else None)
    assert manifest.load(str(out)).config["class_from"] == typed.partition("=")[2]

    assert bake(pets, typed) == 0
    assert "nothing to do" in capsys.readouterr().err
    other = "--class_from=^([a-z]+)_"
    with pytest.raises(UsageError, match=r"baked otherwise \(--class_from\)"):
        bake(pets, other)
    assert bake(pets, other, "--overwrite") == 0
    assert {name for _, name, _ in rows(out)} == {"great", "pug", None}

    shutil.make_archive(str(pets.parent / "packed"), "zip", pets.parent, "pets")
    assert bake(pets.parent / "packed.zip", other, output="unpacked") == 0
    assert rows(pets.parent / "unpacked") == rows(out)


def test_pictures_that_do_not_match_are_rejected_and_counted(
    pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pets / "cover.jpg").write_bytes(fakes.picture_bytes("cover"))
    assert bake(pets, "--class_from=(.+)_[0-9]", "--max_reject_fraction=0.05") == 0
    said = capsys.readouterr().err
    assert "input: 1 of 21 files does not match" in said and "has no class: cover.jpg" in said
    assert re.search(r"rejected +1 +1 no_class", said)
    (row,) = (
        row
        for row in ledger.read(str(pets.parent / "out")).to_pylist()
        if row["key"] == "cover.jpg"
    )
    assert (row["status"], row["reason"]) == ("rejected", "no_class")
    with pytest.raises(UsageError, match=r"gives only one class, 'p', as of 'pug_0.jpg'; two are"):
        bake(pets, "--class_from=^(p)ug")


def test_a_bake_of_folders_says_nothing_of_it(tmp_path: Path) -> None:
    root = fakes.write_folders(tmp_path / "in", {"apu": 5, "bart": 5})
    assert bake(root) == 0
    assert "class_from" not in manifest.load(str(tmp_path / "out")).config
