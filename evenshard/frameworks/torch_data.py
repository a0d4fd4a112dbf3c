"""A data set as samples for PyTorch, read off the same shards; imports torch.

The records of an epoch are dealt as one line: the shards in an order of that epoch, one behind
the other. Each consumer, a worker of a rank, reads its own unbroken stretch of the line, so that
no shard is read by more than a few. Records lie in a shard in the order of a hash, so a stretch is
a fair sample of all classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.utils.data import IterableDataset, get_worker_info

from evenshard.selecting import is_selected
from tfrecords import example, framing, reader
from tfrecords.errors import UsageError
from tfrecords.images import canonicalise, resize
from tfrecords.manifest import ShardInfo
from tfrecords.schema import ImageRecord, ImageSpec, Resize
from tfrecords.sharding import stable_hash
from trainer.data.selection import Source
from trainer.data.version import DataVersion

Sample = tuple[torch.Tensor, int]
Transform = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Stretch:
    """A part of one shard.

    Attributes:
      shard: its number.
      positions: int64[n], of the records in it, ascending.
    """

    shard: int
    positions: np.ndarray


class TorchDataset(IterableDataset[Sample]):
    """Samples (uint8[3, height, width], label), each once an epoch; made by `torch_dataset`.

    With shuffle, each rank gets equally many: the few records of an epoch that do not divide
    among the ranks are left out, other ones each epoch. Without, every record comes once, and
    ranks may differ by one.

    Where another bake replaces the data set, iteration ends in a `ReplacedDataError`, and no
    sample before it is of the new one.

    Args:
      source: the selected records.
      version: of the data set.
      transform: applied to each image.
      shuffle: a new order each epoch.
      seed: of the order.
      shuffle_buffer: encoded records that a worker shuffles among.
    """

    def __init__(
        self,
        source: Source,
        version: DataVersion,
        transform: Transform | None,
        shuffle: bool,
        seed: int,
        shuffle_buffer: int,
    ) -> None:
        if not isinstance(shuffle, bool):
            raise UsageError(
                f"shuffle={shuffle!r}: True or False is expected; shuffle_buffer is a number of "
                "records"
            )
        if shuffle_buffer < 1:
            raise UsageError(f"shuffle_buffer={shuffle_buffer} must be at least 1")
        self._source = source
        self._version = version
        self._transform = transform
        self._shuffle = shuffle
        self._seed = seed
        self._buffer = shuffle_buffer
        self._rank, self._ranks = _rank()
        with version.reading():
            self._positions = _selected_positions(source)
        # Shared memory: workers that live through epochs see what `set_epoch` says.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in label order."""
        return self._source.selection.classes

    @property
    def records(self) -> int:
        """Number of samples of an epoch on this rank, all workers together."""
        return len(self._stretch(self._rank, self._ranks))

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next pass; it is a function of (seed, epoch)."""
        self._epoch[0] = epoch

    def __iter__(self) -> Iterator[Sample]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        epoch = int(self._epoch[0])
        of_rank = self._stretch(self._rank, self._ranks)
        mine = _part(of_rank, worker, workers)
        records = self._read(epoch, mine)
        if self._shuffle:
            key = stable_hash("torch", self._seed, epoch, self._rank, worker)
            records = _shuffled(records, self._buffer, np.random.default_rng(key))
        labels = {label: index for index, label in enumerate(self._source.selection.labels)}
        for record in records:
            image = _pixels(record, self._source.spec, self._source.size)
            tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
            yield self._transform(tensor) if self._transform else tensor, labels[record.label]

    def _stretch(self, rank: int, ranks: int) -> range:
        total = sum(map(len, self._positions))
        if self._shuffle:
            total -= total % ranks
        return _part(range(total), rank, ranks)

    def _read(self, epoch: int, line: range) -> Iterator[ImageRecord]:
        """Yields the records in a stretch of an epoch's line."""
        with self._version.reading():
            for stretch in stretches(self._positions, self._order(epoch), line):
                name = self._shards[stretch.shard].filename
                with (self._source.data_dir / name).open("rb") as file:
                    self._version.check()  # What is open stays what it is.
                    for stored in reader.read_at(file, name, stretch.positions.tolist()):
                        yield stored.record

    def _order(self, epoch: int) -> np.ndarray:
        if not self._shuffle:
            return np.arange(len(self._positions))
        generator = np.random.default_rng(stable_hash("torch files", self._seed, epoch))
        return generator.permutation(len(self._positions))

    @property
    def _shards(self) -> tuple[ShardInfo, ...]:
        return self._source.split.shards


def stretches(
    positions: tuple[np.ndarray, ...], order: np.ndarray, line: range
) -> Iterator[Stretch]:
    """Yields which records of which shards a part of the line consists of.

    Args:
      positions: of the selected records in each shard.
      order: of the shards in the line.
      line: unbroken numbers of records.
    """
    first = 0
    for shard in order.tolist():
        here = positions[shard]
        low, high = max(line.start - first, 0), min(line.stop - first, len(here))
        if low < high:
            yield Stretch(shard, here[low:high])
        first += len(here)


def _part(line: range, index: int, parts: int) -> range:
    """Returns one of `parts` unbroken parts of a range, which differ by at most one in length."""
    bounds = [line.start + len(line) * i // parts for i in (index, index + 1)]
    return range(*bounds)


def _rank() -> tuple[int, int]:
    """Returns this process's rank and the number of ranks."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _selected_positions(source: Source) -> tuple[np.ndarray, ...]:
    """Returns int64[n] for each shard, the positions of its selected records.

    Where the selection leaves out any, the split is read once to learn which.
    """
    shards = source.split.shards
    if source.records == source.split.records:
        return tuple(np.arange(shard.records) for shard in shards)
    result = []
    for shard in shards:
        payloads = framing.read_records(source.data_dir / shard.filename)
        selected = (is_selected(example.decode(payload), source) for payload in payloads)
        result.append(np.flatnonzero(np.fromiter(selected, bool)))
    return tuple(result)


def _shuffled(
    records: Iterator[ImageRecord], size: int, generator: np.random.Generator
) -> Iterator[ImageRecord]:
    """Yields the records in a random order, as far as `size` of them at a time allow."""
    held: list[ImageRecord] = []
    for record in records:
        if len(held) < size:
            held.append(record)
            continue
        index = int(generator.integers(size))
        yield held[index]
        held[index] = record
    for index in generator.permutation(len(held)).tolist():
        yield held[index]


def _pixels(record: ImageRecord, spec: ImageSpec, size: tuple[int, int]) -> np.ndarray:
    """Returns uint8[*size, 3]; a smaller size comes as the bake's own resizing makes it."""
    pixels = canonicalise.decode_record(record.image, spec)
    if pixels.shape[:2] == size:
        return pixels
    # Pictures of unequal shapes are cropped to the centred box of the size's aspect ratio.
    fit = Resize.SQUASH if spec.fixed_size else Resize.CROP
    target = ImageSpec(*size, fit)
    return np.asarray(resize.resize(Image.fromarray(pixels), target))
