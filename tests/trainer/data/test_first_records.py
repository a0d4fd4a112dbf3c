"""Shards of raw pixels of another bake, which sizes do not tell: the first pictures do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import evenshard
from tests.support.datasets import fakes
from tfrecords import manifest as manifests
from tfrecords.errors import TrainerError
from tfrecords.manifest import SOURCES
from trainer.config import TrainConfig
from trainer.data import first_records
from trainer.data.selection import Selection, open_configured
from trainer.train.prepare import prepare

COUNTS = {"apu": 14, "bart": 10}


def baked(root: Path, name: str, prefix: str) -> Path:
    """Bakes raw pictures; those of another prefix are others, under names of the same length."""
    for index, (class_name, count) in enumerate(COUNTS.items()):
        folder = root / f"{name}_pictures" / class_name
        folder.mkdir(parents=True)
        for number in range(count):
            data = fakes.picture_bytes(
                f"{name}{class_name}{number}", height=24, width=24, hue=index
            )
            (folder / f"{prefix}{number:02}.jpg").write_bytes(data)
    evenshard.bake(
        root / f"{name}_pictures", root / name, name="set", image_size=16, encoding="raw",
        splits="train:0.5,validation:0.25,test:0.25", near_duplicates="off", workers=0,
    )  # fmt: skip
    return root / name


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("raw")
    return {name: baked(root, name, prefix) for name, prefix in
            (("one", "a"), ("same_names", "a"), ("other_names", "b"))}  # fmt: skip


def check(data_dir: Path) -> None:
    config = TrainConfig(data_dir=str(data_dir), run_dir=str(data_dir / "run"))
    manifest = manifests.load(data_dir)
    selection = Selection.of(config, manifest)
    splits = [open_configured(config, manifest, name, selection) for name in ("train", "test")]
    first_records.check(manifest, *splits)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("same_names", "has other pixels than sources.parquet says"),
        ("other_names", "its record [0-9]+ is '.*', sources.parquet says '.*'"),
    ],
)
def test_a_shard_of_another_bake_is_refused(
    sets: dict[str, Path], tmp_path: Path, other: str, said: str
) -> None:
    data_dir = shutil.copytree(sets["one"], tmp_path / "data")
    check(data_dir)
    for split in ("train", "test"):
        (path,) = data_dir.glob(f"set-{split}.tfrecord*")
        own = path.read_bytes()
        path.write_bytes((sets[other] / path.name).read_bytes())
        # As many bytes: nothing else tells it.
        assert len(own) == path.stat().st_size
        with pytest.raises(TrainerError, match=f"shard {path} is not of this data set: .*{said}"):
            check(data_dir)
        path.write_bytes(own)
    check(data_dir)


def test_a_training_looks_before_it_begins(sets: dict[str, Path], tmp_path: Path) -> None:
    data_dir = shutil.copytree(sets["one"], tmp_path / "data")
    config = TrainConfig(
        data_dir=str(data_dir), run_dir=str(tmp_path / "run"), recipe="scratch", device="cpu",
        batch_size=4,
    )  # fmt: skip
    prepare(config)
    (path,) = data_dir.glob("set-validation.tfrecord*")
    shutil.copy(sets["other_names"] / path.name, path)
    with pytest.raises(TrainerError, match="is not of this data set"):
        prepare(config)


def test_without_a_ledger_nothing_is_known(sets: dict[str, Path], tmp_path: Path) -> None:
    data_dir = shutil.copytree(sets["one"], tmp_path / "data")
    (data_dir / SOURCES).unlink()
    check(data_dir)


def test_a_damaged_record_is_told(sets: dict[str, Path], tmp_path: Path) -> None:
    data_dir = shutil.copytree(sets["one"], tmp_path / "data")
    (path,) = data_dir.glob("set-train.tfrecord*")
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    with pytest.raises(TrainerError, match=f"{path}: damaged record at byte 0: .* bake again"):
        check(data_dir)
