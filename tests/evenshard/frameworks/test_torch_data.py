from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import evenshard
from tfrecords.system import extras


def test_without_torch_the_pip_line_comes_first(
    dataset: evenshard.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(extras.MissingExtraError, match=r"pip install 'evenshard\[torch\]'"):
        dataset.torch_dataset()


torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from evenshard.frameworks.torch_data import _part, stretches


def samples(data: object) -> list[tuple[bytes, int]]:
    return [(image.numpy().tobytes(), label) for image, label in data]  # type: ignore[attr-defined]  # TensorFlow and PyTorch have no types.


def test_an_epoch_holds_each_record_once(dataset: evenshard.Dataset) -> None:
    data = dataset.torch_dataset("train")
    image, label = next(iter(data))
    assert image.shape == (3, 16, 16)
    assert image.dtype == torch.uint8
    assert isinstance(label, int)
    expected = sorted(
        (dataset.pixels(record).transpose(2, 0, 1).tobytes(), record.label)
        for record in dataset.records("train")
    )
    assert sorted(samples(data)) == expected
    assert data.records == 60
    assert data.classes == dataset.classes


def test_its_order_is_a_function_of_seed_and_epoch(dataset: evenshard.Dataset) -> None:
    data = dataset.torch_dataset("train")
    first = samples(data)
    assert samples(data) == first
    assert samples(dataset.torch_dataset("train")) == first
    data.set_epoch(1)
    second = samples(data)
    assert second != first
    assert sorted(second) == sorted(first)
    assert samples(dataset.torch_dataset("train", seed=1)) != first


def test_without_shuffling_it_is_the_order_of_the_shards(dataset: evenshard.Dataset) -> None:
    data = dataset.torch_dataset("test", shuffle=False)
    assert [label for _, label in data] == [record.label for record in dataset.records("test")]


def test_a_selection_and_a_smaller_size(dataset: evenshard.Dataset) -> None:
    data = dataset.torch_dataset(
        classes=["lisa", "apu"], per_class=3, image_size=8, transform=lambda image: image.float()
    )
    found = list(data)
    assert Counter(label for _, label in found) == {0: 3, 1: 3}
    assert {image.shape for image, _ in found} == {(3, 8, 8)}
    assert {image.dtype for image, _ in found} == {torch.float32}


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_share_the_records_and_see_the_epoch(
    dataset: evenshard.Dataset, workers: int
) -> None:
    data = dataset.torch_dataset("train", per_class=7)
    loader = DataLoader(
        data,
        batch_size=4,
        num_workers=workers,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )

    def epoch(number: int) -> list[bytes]:
        data.set_epoch(number)
        return [image.numpy().tobytes() for images, _ in loader for image in images]

    first, second = epoch(0), epoch(1)
    assert len(first) == 21
    assert sorted(first) == sorted(second) == sorted(image for image, _ in samples(data))
    assert first != second
    assert epoch(0) == first


@pytest.mark.parametrize("shuffle", [True, False])
def test_ranks_share_the_records(
    dataset: evenshard.Dataset, shuffle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = 7
    parts = []
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: ranks)
    for rank in range(ranks):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        data = dataset.torch_dataset("train", shuffle=shuffle)
        parts.append([image for image, _ in samples(data)])
        assert len(parts[-1]) == data.records
    everything = [image for part in parts for image in part]
    assert len(everything) == len(set(everything)) == (56 if shuffle else 60)
    assert {len(part) for part in parts} == ({8} if shuffle else {8, 9})


def test_a_process_group_of_one(dataset: evenshard.Dataset, tmp_path: Path) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        assert dataset.torch_dataset("train").records == 60
    finally:
        torch.distributed.destroy_process_group()


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=6),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_consumers_partition_the_records(counts: list[int], consumers: int, random: object) -> None:
    positions = tuple(np.arange(count) * 2 for count in counts)
    order = np.array(random.sample(range(len(counts)), len(counts)))  # type: ignore[attr-defined]  # Of the standard library.
    found = [
        (stretch.shard, int(position))
        for consumer in range(consumers)
        for stretch in stretches(positions, order, _part(range(sum(counts)), consumer, consumers))
        for position in stretch.positions
    ]
    assert found == [(shard, int(p)) for shard in order.tolist() for p in positions[shard]]


def test_wrong_arguments_are_refused(dataset: evenshard.Dataset) -> None:
    with pytest.raises(evenshard.UsageError, match="shuffle_buffer=0"):
        dataset.torch_dataset(shuffle_buffer=0)
    with pytest.raises(evenshard.UsageError, match="image_size=17x17 is larger"):
        dataset.torch_dataset(image_size=17)
