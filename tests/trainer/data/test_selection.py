from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.datasets import fakes
from tfrecords.errors import TrainerError, UsageError
from tfrecords.manifest import Manifest, ManifestError
from tfrecords.schema import ImageSpec, Resize
from trainer.config import TrainConfig
from trainer.data import selection as selections
from trainer.data.selection import Selection


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    data_dir = tmp_path_factory.mktemp("data")
    return fakes.write_dataset(data_dir, copies=4), data_dir


def test_everything_by_default(dataset: tuple[Manifest, Path]) -> None:
    manifest, _ = dataset
    chosen = selections.select(manifest)
    assert chosen.classes == ("apu", "bart", "lisa") and chosen.labels == (0, 1, 2)
    assert chosen.counts(manifest.split("train")) == (12, 9, 7)
    assert chosen.natural().counts(manifest.split("train")) == (8, 5, 3)


def test_per_class_counts_originals_first(dataset: tuple[Manifest, Path]) -> None:
    manifest, _ = dataset
    chosen = selections.select(manifest, per_class=6)
    assert chosen.counts(manifest.split("train")) == (6, 6, 6)
    assert chosen.originals(manifest.split("train")) == (6, 5, 3)
    originals = selections.select(manifest, per_class=6, originals_only=True)
    assert originals.counts(manifest.split("train")) == (6, 5, 3)


def test_classes_keep_the_order_of_the_manifest(dataset: tuple[Manifest, Path]) -> None:
    chosen = selections.select(dataset[0], classes=("lisa", "apu"))
    assert (chosen.classes, chosen.labels) == (("apu", "lisa"), (0, 2))


def test_num_classes_takes_the_largest(dataset: tuple[Manifest, Path]) -> None:
    assert selections.select(dataset[0], num_classes=2).classes == ("apu", "bart")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"classes": ("apu", "ned")}, "no class 'ned'"),
        ({"classes": ("apu",)}, "at least two"),
        ({"num_classes": 4}, "has 3 classes"),
    ],
)
def test_impossible_selections(
    dataset: tuple[Manifest, Path], arguments: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        selections.select(dataset[0], **arguments)  # type: ignore[arg-type]  # Values of a table.


def test_sizes(dataset: tuple[Manifest, Path]) -> None:
    manifest, data_dir = dataset
    chosen = selections.select(manifest)
    assert selections.open_split(manifest, data_dir, "train", chosen).size == (16, 16)
    assert selections.open_split(manifest, data_dir, "train", chosen, (8, 12)).size == (8, 12)
    with pytest.raises(UsageError, match="larger than the stored 16x16"):
        selections.open_split(manifest, data_dir, "train", chosen, (17, 8))
    with pytest.raises(ManifestError, match="no split 'dev'"):
        selections.open_split(manifest, data_dir, "dev", chosen)


def test_unequal_shapes_need_a_size(tmp_path: Path) -> None:
    spec = ImageSpec(16, 16, Resize.SHORT_SIDE)
    manifest = fakes.write_dataset(tmp_path, spec=spec)
    with pytest.raises(UsageError, match="--image_size"):
        selections.open_split(manifest, tmp_path, "train", selections.select(manifest))


def test_a_missing_or_cut_shard_is_named(tmp_path: Path) -> None:
    manifest = fakes.write_dataset(tmp_path)
    shard = tmp_path / manifest.split("train").shards[1].filename
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(TrainerError, match=f"{shard.name} has .* bytes, the manifest says"):
        selections.open_split(manifest, tmp_path, "train", selections.select(manifest))
    shard.unlink()
    with pytest.raises(TrainerError, match=f"{shard.name}: No such file"):
        selections.open_split(manifest, tmp_path, "train", selections.select(manifest))


def test_a_run_selects_and_reads_as_its_flags_say(dataset: tuple[Manifest, Path]) -> None:
    manifest, data_dir = dataset
    config = TrainConfig(
        data_dir=str(data_dir), run_dir="run", classes=("bart", "lisa"), per_class=6,
        originals_only=True, image_size=(8, 12), read_parallelism=3,
    )  # fmt: skip
    chosen = Selection.of(config, manifest)
    assert chosen == Selection(("bart", "lisa"), (1, 2), 6, True)
    source = selections.open_configured(config, manifest, "train", chosen)
    assert (source.size, source.read_parallelism) == ((8, 12), 3)
    assert source.files == tuple(str(path) for path in source.shard_paths)


def test_classes_by_name_keep_every_record(dataset: tuple[Manifest, Path]) -> None:
    chosen = Selection.of_classes(dataset[0], ("lisa", "apu", "nobody"))
    assert chosen == Selection(("apu", "lisa"), (0, 2))
