"""Which records of a data set a run reads, and where their shards are; without TensorFlow."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfrecords import folds, schema
from tfrecords.errors import TrainerError, UsageError
from tfrecords.folds import FoldRanks
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest, SplitInfo
from tfrecords.schema import ImageSpec
from trainer import remote
from trainer.choices import READ_PARALLELISM
from trainer.config import TrainConfig


@dataclass(frozen=True)
class Selection:
    """Which records of a data set take part.

    Attributes:
      classes: names of the classes kept; a class's label is its index here.
      labels: the manifest's label of each, ascending.
      max_rank: only records of lower rank; None for all.
      originals_only: no augmented copies.
    """

    classes: tuple[str, ...]
    labels: tuple[int, ...]
    max_rank: int | None = None
    originals_only: bool = False

    @classmethod
    def of(cls, config: TrainConfig, manifest: Manifest) -> Selection:
        """Returns the selection of a run's training records.

        Args:
          config: --train_split, --classes, --num_classes, --per_class, --originals_only.
          manifest: of the data set.

        Raises:
          UsageError: as `select`.
        """
        return select(
            manifest,
            config.train_split,
            config.classes,
            config.num_classes,
            config.per_class,
            config.originals_only,
        )

    @classmethod
    def of_classes(cls, manifest: Manifest, names: Sequence[str]) -> Selection:
        """Returns every record of the named classes, in the manifest's order of classes."""
        labels = tuple(i for i, name in enumerate(manifest.classes) if name in set(names))
        return cls(tuple(manifest.classes[label] for label in labels), labels)

    def natural(self) -> Selection:
        """Returns the selection for evaluation: the same classes, every original, no copy."""
        return dataclasses.replace(self, max_rank=None, originals_only=True)

    def originals(self, split: SplitInfo) -> tuple[int, ...]:
        """Returns the number of selected originals of each class of a split."""
        limit = math.inf if self.max_rank is None else self.max_rank
        return tuple(int(min(split.originals[label], limit)) for label in self.labels)

    def counts(self, split: SplitInfo) -> tuple[int, ...]:
        """Returns the number of selected records of each class of a split."""
        originals = self.originals(split)
        if self.originals_only:
            return originals
        limit = math.inf if self.max_rank is None else self.max_rank
        return tuple(
            int(min(split.originals[label] + split.copies[label], limit)) for label in self.labels
        )


@dataclass(frozen=True)
class Source:
    """The selected records of one split, on disk.

    Attributes:
      data_dir: of the data set, on this machine or in a bucket.
      split: of the manifest.
      spec: of the stored images.
      selection: which records.
      size: (height, width) of the pixels delivered.
      read_parallelism: shards read at a time; the order of records depends on it.
    """

    data_dir: Folder
    split: SplitInfo
    spec: ImageSpec
    selection: Selection
    size: tuple[int, int]
    read_parallelism: int = READ_PARALLELISM

    @property
    def shard_paths(self) -> tuple[Folder, ...]:
        """The split's shards that hold records, in index order."""
        return tuple(self.data_dir / shard.filename for shard in self.split.shards if shard.records)

    @property
    def files(self) -> tuple[str, ...]:
        """`shard_paths` as the paths or URLs that TensorFlow opens."""
        return tuple(map(str, self.shard_paths))

    @cached_property
    def ranks(self) -> FoldRanks | None:
        """Ranks within the split, where it is one of a fold; read from the ledger.

        Raises:
          ledger.LedgerError: as `folds.load`.
        """
        if self.split.fold is None:
            return None
        named = dict(zip(self.selection.classes, self.selection.labels, strict=True))
        return folds.load(self.data_dir, self.split, named)

    @property
    def limits(self) -> np.ndarray:
        """int64[labels], below which rank a record of each stored label is selected."""
        limits = np.zeros(max(self.selection.labels) + 1, np.int64)
        limits[list(self.selection.labels)] = self.selection.counts(self.split)
        return limits

    @property
    def originals_only(self) -> bool:
        """Whether copies are left out; those in the shards of a fold are of no use to it."""
        is_held_out = self.split.fold is not None and self.split.name != schema.TRAIN
        return self.selection.originals_only or is_held_out

    def selects(self, label: np.ndarray, rank: np.ndarray, copy: np.ndarray) -> np.ndarray:
        """Returns bool[n], whether each stored record of the split's shards is selected.

        Args:
          label, rank, copy: int[n], as stored.
        """
        kept = np.isin(label, self.selection.labels)
        if self.originals_only:
            kept &= copy == 0
        if self.ranks is not None:
            some = np.flatnonzero(kept)
            within = self.ranks.ranks(label[some], rank[some], copy[some])
            kept[some] = within < self.limits[label[some]]
        elif self.selection.max_rank is not None:
            kept &= rank < self.selection.max_rank
        return kept

    @property
    def records(self) -> int:
        """Number of selected records."""
        return sum(self.selection.counts(self.split))

    @property
    def encoded_bytes(self) -> int:
        """Estimated size of the selected records, from the split's mean."""
        return round(self.split.bytes * self.records / max(1, self.split.records))

    @property
    def decoded_bytes(self) -> int:
        """Size of the selected records as pixels."""
        return self.records * self.size[0] * self.size[1] * 3


def select(
    manifest: Manifest,
    split: str = schema.TRAIN,
    classes: Sequence[str] = (),
    num_classes: int | None = None,
    per_class: int | None = None,
    originals_only: bool = False,
) -> Selection:
    """Returns the selection that the flags of the same names ask for.

    Raises:
      UsageError: a class that the data set does not have, or more classes than it has.
    """
    unknown = [name for name in classes if name not in manifest.classes]
    if unknown:
        shown = ", ".join(manifest.classes[:10]) + (", …" if len(manifest.classes) > 10 else "")
        raise UsageError(f"--classes: the data set has no class {unknown[0]!r}; it has: {shown}")
    if num_classes is not None and num_classes > len(manifest.classes):
        raise UsageError(
            f"--num_classes={num_classes}: the data set has {len(manifest.classes)} classes"
        )
    labels = range(len(manifest.classes))
    if classes:
        kept = [label for label in labels if manifest.classes[label] in classes]
    elif num_classes is not None:
        originals = manifest.split(split).originals
        kept = sorted(sorted(labels, key=lambda label: -originals[label])[:num_classes])
    else:
        kept = list(labels)
    if len(kept) < 2:
        raise UsageError("a classifier needs at least two classes: name more in --classes")
    names = tuple(manifest.classes[label] for label in kept)
    return Selection(names, tuple(kept), per_class, originals_only)


def open_configured(
    config: TrainConfig, manifest: Manifest, split: str, selection: Selection
) -> Source:
    """Returns a split ready to stream, read as the flags of a run say.

    Args:
      config: --data_dir, --image_size, --read_parallelism.
      manifest: of --data_dir.
      split: its name.
      selection: which records.

    Raises:
      As `open_split`.
    """
    return open_split(
        manifest, config.data_dir, split, selection, config.size, config.read_parallelism
    )


def open_split(
    manifest: Manifest,
    data_dir: str | Folder,
    split: str,
    selection: Selection,
    size: tuple[int, int] | None = None,
    read_parallelism: int = READ_PARALLELISM,
) -> Source:
    """Returns a split ready to stream, its files present and of the right size.

    Args:
      manifest: of `data_dir`.
      data_dir: the data set.
      split: its name.
      selection: which records.
      size: (height, width) of the pixels to deliver; None for the stored size.
      read_parallelism: shards read at a time.

    Raises:
      ManifestError: no such split.
      UsageError: a size that the stored images cannot give, a URL that TensorFlow cannot read.
      TrainerError: a shard is missing or of another size than the manifest says.
    """
    source = source_of(manifest, data_dir, split, selection)
    source = dataclasses.replace(
        source, size=_checked_size(manifest.image, size), read_parallelism=read_parallelism
    )
    _check_files(source)
    return source


def source_of(
    manifest: Manifest, data_dir: str | Folder, split: str, selection: Selection
) -> Source:
    """Returns a split at its stored size, its files unseen.

    Raises:
      ManifestError: no such split.
      UsageError: the whole train split of a data set with folds, whose copies belong to a fold.
    """
    if manifest.folds and split == schema.TRAIN and not selection.originals_only:
        raise UsageError(
            f"{data_dir} is divided into {len(manifest.folds)} folds, each with copies of its own: "
            "name a fold, as in fold=0, or take originals only"
        )
    spec = manifest.image
    return Source(
        remote.folder(data_dir), manifest.split(split), spec, selection, (spec.height, spec.width)
    )


def _checked_size(spec: ImageSpec, size: tuple[int, int] | None) -> tuple[int, int]:
    if size is None:
        if not spec.fixed_size:
            raise UsageError(
                "this data set keeps each picture's shape (--resize=short_side): give "
                f"--image_size, up to {spec.height}, to crop its centre"
            )
        return spec.height, spec.width
    if size[0] > spec.height or size[1] > spec.width:
        raise UsageError(
            f"--image_size={size[0]}x{size[1]} is larger than the stored "
            f"{spec.height}x{spec.width}: bake again with a larger --image_size"
        )
    return size


def _check_files(source: Source) -> None:
    paths = [source.data_dir / shard.filename for shard in source.split.shards]
    for path, shard, size in zip(paths, source.split.shards, remote.sizes(paths), strict=True):
        if isinstance(size, OSError):
            raise TrainerError(
                f"cannot read shard {path}: {size.strerror}; the manifest lists it: bake again, "
                "or restore the file"
            ) from size
        if size != shard.bytes:
            raise TrainerError(
                f"shard {path} has {size:,} bytes, the manifest says {shard.bytes:,}: bake "
                "again, or restore the file"
            )
