"""A data set that is replaced after it was opened: readers stop, and never give a mix."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tensorflow as tf

import evenshard
from evenshard import Dataset
from tests.support.datasets import fakes
from tfrecords import manifest as manifests
from tfrecords.schema import ImageRecord
from trainer.data.version import ReplacedDataError

EPOCHS = 3
BATCH = 8

# A reader gives the pixels of the pictures that it read, an epoch in each list.
Epochs = Iterator[list[bytes]]


COUNTS = {"train": (30, 20, 10), "validation": (3, 2, 2)}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    fakes.write_dataset(tmp_path / "shards", COUNTS, shards=3)
    return tmp_path / "shards"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other pictures in shards of the same names."""
    folder = tmp_path_factory.mktemp("other") / "shards"
    fakes.write_dataset(folder, {"train": (10, 40, 12), "validation": (4, 2, 1)}, shards=3)
    return folder


def bake_again(data_dir: Path, other: Path) -> None:
    """Replaces a data set as the bake does: the manifest goes first and comes last."""
    (data_dir / manifests.MANIFEST).unlink()
    for path in sorted(other.iterdir()):
        if path.name != manifests.MANIFEST and path.is_file():
            shutil.copy(path, data_dir / "staged")
            os.replace(data_dir / "staged", data_dir / path.name)
    shutil.copy(other / manifests.MANIFEST, data_dir / manifests.MANIFEST)


def begin_to_bake(data_dir: Path, other: Path) -> None:
    """A bake that was killed between its first rename and its last."""
    (data_dir / manifests.MANIFEST).unlink()


def copy_over(data_dir: Path, other: Path) -> None:
    """Another file in place of each shard, by a tool that knows no manifest."""
    for path in sorted(data_dir.glob("*train*")):
        shutil.copy(path, data_dir / "staged")
        os.replace(data_dir / "staged", path)


def records(dataset: Dataset) -> Epochs:
    for _ in range(EPOCHS):
        yield [dataset.pixels(record).tobytes() for record in dataset.records("train")]


def tensorflow(dataset: Dataset) -> Epochs:
    batches = iter(dataset.tf_dataset("train", batch_size=BATCH, epochs=EPOCHS))
    yield from _epochs(batches)


def tensorflow_in_order(dataset: Dataset) -> Epochs:
    batches = dataset.tf_dataset("train", batch_size=BATCH, epochs=EPOCHS, shuffle=False)
    yield from _epochs(iter(batches))


def _epochs(batches: Iterator[tuple[object, object]]) -> Epochs:
    for _ in range(EPOCHS):
        yield [
            picture.tobytes()
            for _ in range(-(-60 // BATCH))
            for picture in next(batches)[0].numpy()  # type: ignore[attr-defined]  # TensorFlow and PyTorch have no types.
        ]


def torch(dataset: Dataset) -> Epochs:
    pytest.importorskip("torch")
    data = dataset.torch_dataset("train")
    for epoch in range(EPOCHS):
        data.set_epoch(epoch)
        yield [image.permute(1, 2, 0).numpy().tobytes() for image, _ in data]


CHANGES = [bake_again, begin_to_bake, copy_over]
CASES = [
    *itertools.product([records, torch], CHANGES, range(EPOCHS)),
    # TensorFlow traces each stream anew, which takes seconds.
    *itertools.product([tensorflow], [bake_again], range(EPOCHS)),
    (tensorflow, copy_over, 1),
    (tensorflow_in_order, bake_again, 1),
]


@pytest.mark.parametrize(("read", "change", "before"), CASES)
def test_a_reader_stops_and_gives_nothing_of_the_new_one(
    copied: Path, other: Path, read: Callable[[Dataset], Epochs],
    change: Callable[[Path, Path], None], before: int,
) -> None:  # fmt: skip
    old = sorted(evenshard.open(copied).pixels(r).tobytes() for r in _records(copied))
    dataset = evenshard.open(copied)
    epochs = read(dataset)
    for _ in range(before):
        assert sorted(next(epochs)) == old
    change(copied, other)
    # TensorFlow may stumble first over what it reads: a record too many, another encoding.
    streams = read in (tensorflow, tensorflow_in_order)
    with pytest.raises((ReplacedDataError, tf.errors.OpError) if streams else ReplacedDataError):
        next(epochs)


def _records(data_dir: Path) -> list[ImageRecord]:
    return list(evenshard.open(data_dir).records("train"))


def test_within_an_epoch_nothing_of_the_new_one_is_given(copied: Path, other: Path) -> None:
    """TensorFlow reads ahead: what it has read by then is of the old one."""
    old = {record.image for record in evenshard.open(copied).records("train")}
    dataset = evenshard.open(copied)
    given = dataset.records("train")
    first = next(given).image
    stream = iter(dataset.tf_dataset("train", batch_size=4))
    next(stream)
    bake_again(copied, other)
    with pytest.raises(ReplacedDataError):
        for record in given:
            assert record.image in old
    assert first in old
    with pytest.raises(tf.errors.OpError):
        list(stream)


def test_tensorflow_says_so(copied: Path) -> None:
    stream = iter(evenshard.open(copied).tf_dataset("train", batch_size=8, epochs=2))
    next(stream)
    copy_over(copied, copied)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="train.* was replaced by another file"
    ):
        list(stream)


@pytest.mark.parametrize("cache", ["encoded", "decoded"])
def test_what_is_held_in_memory_stays(copied: Path, other: Path, cache: str) -> None:
    def pictures(stream: object) -> list[bytes]:
        return [p.tobytes() for images, _ in stream for p in images.numpy()]  # type: ignore[attr-defined]  # TensorFlow and PyTorch have no types.

    stream = evenshard.open(copied).tf_dataset("train", batch_size=8, epochs=2, cache=cache)
    before = pictures(stream)
    bake_again(copied, other)
    assert pictures(stream) == before


def test_lookups_stop_too(copied: Path, other: Path) -> None:
    dataset = evenshard.open(copied)
    id_ = next(dataset.records("train")).id
    assert dataset.find(id_)
    bake_again(copied, other)
    with pytest.raises(ReplacedDataError):
        dataset.sources(["key"])
    with pytest.raises(ReplacedDataError):
        dataset.find(id_)
    with pytest.raises(ReplacedDataError):
        dataset.tf_dataset("train", batch_size=8)
    # Opened again, it is the new one.
    assert evenshard.open(copied).digest == evenshard.open(other).digest


def test_a_copy_of_the_same_files_is_no_other_data_set(tmp_path: Path) -> None:
    """A manifest that was written again with the same text: touched, restored."""
    fakes.write_dataset(tmp_path / "data", {"train": (4, 3)})
    dataset = evenshard.open(tmp_path / "data")
    path = tmp_path / "data" / manifests.MANIFEST
    path.write_bytes(path.read_bytes())
    assert len(list(dataset.records("train"))) == 7
    assert len(list(dataset.tf_dataset("train", batch_size=4))) == 2
