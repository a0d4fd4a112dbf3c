"""What the workers of a bake are asked to do, and what they answer.

Data only. The planner makes tasks without importing the code that runs them, and a task names
files instead of holding pictures: it stays small on its way through a shuffle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from beam_pipelines.cache.facts import ImageFacts
from beam_pipelines.cache.thumbnails import Located
from beam_pipelines.choices import Operation
from tfrecords.images.canonicalise import PixelLimits
from tfrecords.manifest import FoldInfo, ShardInfo
from tfrecords.schema import ImageSpec


@dataclass(frozen=True, slots=True)
class BundleTask:
    """A bundle of sources to canonicalise.

    Attributes:
      pack: name of the pack to write, without directory and suffix; it contains a digest of
        the listing, so another listing gives another file.
      listing: path of the bundle's `SourceFile` rows, JSON lines.
      cache_dir: directory of canonical packs.
      earlier: packs of earlier bakes that may hold some of these sources already.
      spec, limits: of the images.
    """

    pack: str
    listing: str
    cache_dir: str
    earlier: tuple[str, ...]
    spec: ImageSpec
    limits: PixelLimits


@dataclass(frozen=True, slots=True)
class BundleResult:
    """A canonicalised bundle.

    Attributes:
      facts: one row for each source of the bundle.
      decoded: number of sources decoded by this task; the others were reused.
    """

    facts: tuple[ImageFacts, ...]
    decoded: int


@dataclass(frozen=True, slots=True)
class CopyJob:
    """The augmented copies of one source.

    Attributes:
      key: of the source.
      sha256: digest that the source's bytes must have, hex.
      copies: copy numbers, from 1.
    """

    key: str
    sha256: str
    copies: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CopyTask:
    """A pack of augmented copies to make.

    Attributes:
      pack: name of the pack, without directory and suffix.
      jobs: in key order.
      listing: path of the `SourceFile` rows of the bundle that the sources belong to.
      cache_dir: directory of the packs of copies.
      earlier: packs, without suffix, that may hold some of these copies already.
      seed, spec, limits, operations: what a copy depends on besides its source.
    """

    pack: str
    jobs: tuple[CopyJob, ...]
    listing: str
    cache_dir: str
    earlier: tuple[str, ...]
    seed: int
    spec: ImageSpec
    limits: PixelLimits
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class CopyResult:
    """A finished pack of copies.

    Attributes:
      pack: its name.
      made: number of copies made by this task; the others were reused.
    """

    pack: str
    made: int


class Assignment(NamedTuple):
    """A record of a shard and where its image is.

    A tuple, since each is pickled four times on its way to a shard: a dataclass with slots
    looks its fields up every time, at five times the cost.

    Attributes:
      id, label, rank, copy: of the `ImageRecord`.
      pack: path of the pack that holds its image, without suffix.
      number: index of the image in the pack.
      bytes: size of the image, estimated for a copy.
    """

    id: str
    label: int
    rank: int
    copy: int
    pack: str
    number: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard to write.

    Attributes:
      split: name of its split.
      filename: of the shard.
      staging_dir: directory where it waits for the manifest.
      records: in order.
    """

    split: str
    filename: str
    staging_dir: str
    records: tuple[Assignment, ...]

    def digest(self) -> str:
        """Identifies what the shard's bytes depend on, hex. Packs are named by their contents."""
        digest = hashlib.sha256()
        for record in self.records:
            digest.update(repr(tuple(record)).encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class ShardResult:
    """A written shard.

    Attributes:
      split: name of its split.
      info: for the manifest.
      reused: whether an earlier run had written it.
    """

    split: str
    info: ShardInfo
    reused: bool


@dataclass(frozen=True, slots=True, eq=False)
class ExpectTask:
    """Some classes of which `--split_by=auto` asks how near they would be to train.

    Attributes:
      pictures: where their thumbnails are.
      label: int32[k].
      group: int64[k], which of them stay in one split.
      train_share: of the pictures, 0 to 1.
      total: number of pictures, with those of other tasks.
    """

    pictures: Located
    label: np.ndarray
    group: np.ndarray
    train_share: float
    total: int


@dataclass(frozen=True, slots=True, eq=False)
class LeakTask:
    """Some classes whose held-out pictures are to be compared with their train pictures.

    Attributes:
      pictures: where their thumbnails are.
      label, split: int32[k] and int8[k].
      keys: of the pictures.
      splits: names of all splits, train first.
      totals: number of pictures in each split, including those of other tasks.
      sampled: whether pictures of the data set were left out.
    """

    pictures: Located
    label: np.ndarray
    split: np.ndarray
    keys: tuple[str, ...]
    splits: tuple[str, ...]
    totals: tuple[int, ...]
    sampled: bool


@dataclass(frozen=True, slots=True, eq=False)
class OptimismTask:
    """Pictures of the first held-out split to compare with train pictures of any class.

    Attributes:
      pictures: where their thumbnails are, those of train first.
      label: int32[k].
      train: how many of them are of train.
      split: name of the held-out split.
    """

    pictures: Located
    label: np.ndarray
    train: int
    split: str


@dataclass(frozen=True, slots=True)
class StripTask:
    """Some records of a class to draw side by side for the report.

    Attributes:
      images: encoded bytes of the records, at least one.
      spec: of the images.
      side: side of each tile in pixels; tiles are square.
    """

    images: tuple[bytes, ...]
    spec: ImageSpec
    side: int


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """The part of a plan that publishing needs.

    Attributes:
      name, classes, image, config: of the manifest.
      splits: name → originals and copies of each class, train first.
      statuses: number of sources of each status.
      left_out: status → reason in words → number of sources that are in no shard.
      sources_digest: identifies the sources.
      sources: path of the ledger where the planner left it.
      copy_packs: names of the packs of copies that the plan uses.
      notes: what a person should know.
      failure: why no data set may be published, or None.
      folds: of the train split.
    """

    name: str
    classes: tuple[str, ...]
    image: ImageSpec
    config: Mapping[str, Any]
    splits: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    statuses: Mapping[str, int]
    left_out: Mapping[str, Mapping[str, int]]
    sources_digest: str
    sources: str
    copy_packs: tuple[str, ...]
    notes: tuple[str, ...]
    failure: str | None
    folds: tuple[FoldInfo, ...] = ()
