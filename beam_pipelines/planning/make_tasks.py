"""From a listing and a plan to the tasks that workers run: bundles, copies, shards, leaks."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from beam_pipelines.cache import storage
from beam_pipelines.cache.facts import to_lines
from beam_pipelines.config import PrepareConfig
from beam_pipelines.inputs import sources
from beam_pipelines.planning.decisions import STATUS
from beam_pipelines.planning.plan import Plan, Records
from beam_pipelines.similarity.leakage import LeakTask
from beam_pipelines.steps import canonicalise, copies
from beam_pipelines.steps.canonicalise import BundleTask
from beam_pipelines.steps.copies import CopyTask
from beam_pipelines.steps.shards import Assignment, ShardTask
from tfrecords import manifest
from tfrecords.inputs.rows import SourceFile
from tfrecords.ledger import KEPT
from tfrecords.schema import TRAIN, record_id
from tfrecords.sharding import shard_name, stable_hash, stable_hashes

# The bytes of a source by its key.
ReadSource = Callable[[str], bytes]

# A bundle takes a worker about a second: enough to hide the cost of a task, short enough
# to keep all workers busy to the end and to lose little when one dies.
BUNDLE_FILES = 192
_LEAST_FILES = 16
_LEAST_BUNDLES = 8

# The leak meter looks at so many pictures at most: their thumbnails are 77 MB.
MAX_LEAK_PICTURES = 100_000

# Pictures of a task of the leak meter: enough for all workers, few enough for one's memory.
# Each task reads the thumbnails of all packs, since packs hold pictures of all classes.
_LEAK_TASKS = 8
_LEAST_LEAK_PICTURES, _MOST_LEAK_PICTURES = 1_024, 8_192

_PACK_NAME = re.compile(r"(?P<index>\d+)-of-(?P<count>\d+)-[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a bake keeps its files.

    Attributes:
      output_dir: the data set.
      pixels_digest: of what canonical images depend on.
      copies_digest: of what copies depend on.
    """

    output_dir: str
    pixels_digest: str
    copies_digest: str

    @classmethod
    def of(cls, config: PrepareConfig) -> Layout:
        pixels = config.pixels_digest()
        copying = manifest.digest_of_config(
            {
                "pixels": pixels,
                "seed": config.seed,
                "augment": [operation.value for operation in config.augment],
            }
        )[:12]
        return cls(config.output_dir, pixels, copying)

    @property
    def cache_dir(self) -> str:
        """What is removed after a bake, unless the cache is kept."""
        return storage.join(self.output_dir, ".cache")

    @property
    def canonical_dir(self) -> str:
        """Canonical files."""
        return storage.join(self.cache_dir, f"canonical-{self.pixels_digest}")

    @property
    def copies_dir(self) -> str:
        """Packs of copies."""
        return storage.join(self.cache_dir, f"copies-{self.copies_digest}")

    @property
    def listing_dir(self) -> str:
        """Rows of the sources of each bundle."""
        return storage.join(self.cache_dir, "listing")

    @property
    def staging_dir(self) -> str:
        """Shards before they are published."""
        return storage.join(self.cache_dir, "shards")

    @property
    def directories(self) -> tuple[str, ...]:
        """All that a bake writes to."""
        return (
            self.output_dir,
            self.canonical_dir,
            self.copies_dir,
            self.listing_dir,
            self.staging_dir,
        )


def count_bundles(files: int) -> int:
    """Returns a power of two, so that the bundles of a grown input are halves of earlier ones."""
    few = min(_LEAST_BUNDLES, files // _LEAST_FILES)
    wanted = max(1, few, -(-files // BUNDLE_FILES))
    return 1 << (wanted - 1).bit_length()


def bundle_tasks(
    rows: Sequence[SourceFile], config: PrepareConfig, layout: Layout
) -> Iterator[BundleTask]:
    """Deals sources into bundles, writes each bundle's listing and yields its task.

    A bundle is a random sample of all classes: the deal is by a hash of the key.
    """
    count = count_bundles(len(rows))
    bundles: dict[int, list[SourceFile]] = defaultdict(list)
    hashes = stable_hashes(("bundle",), (row.key for row in rows))
    for row, hashed in zip(rows, hashes, strict=True):
        bundles[hashed % count].append(row)
    relatives = _Relatives(_packs(layout.canonical_dir, canonicalise.FACTS), count)
    for index in sorted(bundles):
        lines = to_lines(bundles.pop(index))
        digest = hashlib.sha256(lines).hexdigest()[:12]
        listing = _listing_path(layout, index)
        storage.write_bytes(listing, lines)
        yield BundleTask(
            pack=f"{index:05d}-of-{count:05d}-{digest}",
            listing=listing,
            cache_dir=layout.canonical_dir,
            earlier=relatives.of(index),
            spec=config.image,
            limits=config.limits,
        )


@dataclass(frozen=True, slots=True, eq=False)
class CopyOrder:
    """The copies of a plan in the order of their packs: by bundle, source and number.

    Attributes:
      bundles: number of bundles.
      record: int64[m], places in the train records.
      bundle: int32[m].
      start: int64[m], where the bundle of each copy begins.
    """

    bundles: int
    record: np.ndarray
    bundle: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, plan: Plan, bundles: int) -> CopyOrder:
        train = plan.records[TRAIN]
        chosen = np.flatnonzero(train.copy > 0)
        rows, member = np.unique(train.row[chosen], return_inverse=True)
        bundle = (plan.hashes(("bundle",), rows) % np.uint64(bundles)).astype(np.int32)[member]
        line = np.lexsort((train.copy[chosen], train.row[chosen], bundle))
        bundle = bundle[line]
        is_first = np.diff(bundle, prepend=-1) > 0
        start = np.maximum.accumulate(np.where(is_first, np.arange(len(line)), 0))
        return cls(bundles, chosen[line], bundle, start)

    @property
    def packs(self) -> int:
        """Number of bundles that have copies."""
        return len(np.unique(self.start))

    def of_bundles(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yields each bundle that has copies and the places of their records."""
        starts = np.unique(self.start)
        for records in np.split(np.arange(len(self.record)), starts[1:]):
            if len(records):
                yield int(self.bundle[records[0]]), self.record[records]

    def places(self, records: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns, of each train record, its pack's place in order and its index in the pack."""
        pack, index = np.full((2, records), -1, np.int32)
        pack[self.record] = np.unique(self.start, return_inverse=True)[1]
        index[self.record] = np.arange(len(self.record)) - self.start
        return pack, index


def copy_tasks(plan: Plan, order: CopyOrder, layout: Layout) -> Iterator[CopyTask]:
    """Yields the packs of copies to make: one per bundle that has a source with copies.

    One at a time, for the copies of millions are never all objects.
    """
    config = plan.config
    relatives = _Relatives(_packs(layout.copies_dir, copies.CONTENTS), order.bundles)
    train = plan.records[TRAIN]
    for index, records in order.of_bundles():
        jobs = tuple(plan.jobs_of(train.row[records], train.copy[records]))
        yield CopyTask(
            pack=f"{index:05d}-of-{order.bundles:05d}-{copies.jobs_digest(jobs)}",
            jobs=jobs,
            listing=_listing_path(layout, index),
            cache_dir=layout.copies_dir,
            earlier=relatives.of(index),
            seed=config.seed,
            spec=config.image,
            limits=config.limits,
            operations=config.augment,
        )


def shard_tasks(
    plan: Plan, order: CopyOrder, packs: Sequence[str], layout: Layout
) -> Iterator[ShardTask]:
    """Yields the shards to write, one at a time: a plan of millions is never all objects.

    Args:
      packs: of the copies, in the order of `copy_tasks`.
    """
    # One string for all records of a pack: a pickled task then holds it once.
    originals = functools.cache(functools.partial(storage.join, layout.canonical_dir))
    paths = [storage.join(layout.copies_dir, pack) for pack in packs]
    for name, records in plan.records.items():
        count = len(records.row)
        pack, index = order.places(count) if name == TRAIN else np.zeros((2, count), np.int32)
        images = _Images(originals, paths, pack, index)
        for shard in range(records.num_shards):
            yield ShardTask(
                split=name,
                filename=shard_name(plan.config.name, name, shard, records.num_shards),
                staging_dir=layout.staging_dir,
                records=tuple(_assignments(plan, records, records.of_shard(shard), images)),
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    """Where images are: paths of packs, and which copies are where in them.

    Attributes:
      originals: name of a canonical file → its path.
      copies: paths of packs of copies.
      pack, index: int32[m], of each record of a split: if it is a copy, the place of its pack in
        `copies`, and its index there.
    """

    originals: Callable[[str], str]
    copies: Sequence[str]
    pack: np.ndarray
    index: np.ndarray


def _assignments(
    plan: Plan, records: Records, chosen: slice, images: _Images
) -> Iterator[Assignment]:
    rows = records.row[chosen]
    columns = ("key", "pack", "index", "encoded_bytes")
    facts = plan.facts.select(columns).take(pa.array(rows))
    values = (
        plan.labels[rows],
        records.rank[chosen],
        records.copy[chosen],
        images.pack[chosen],
        images.index[chosen],
    )
    for key, name, place, size, label, rank, copy, pack, index in zip(
        *(facts[column].to_pylist() for column in columns),
        *(value.tolist() for value in values),
        strict=True,
    ):
        if copy:
            path, place = images.copies[pack], index
        else:
            path = images.originals(name)
        yield Assignment(record_id(key, copy), label, rank, copy, path, place, size)


def leak_tasks(plan: Plan, layout: Layout) -> Iterator[LeakTask]:
    """Yields the classes that the leak meter is to look at, on the originals that are in shards.

    Of more than `MAX_LEAK_PICTURES` pictures, some bundles are measured, each of which is a
    random sample of all classes: kin in other bundles is then not seen.
    """
    splits = len(plan.config.split_names)
    kept = np.flatnonzero(plan.verdicts.status == STATUS[KEPT])
    rows = _whole_packs(plan, kept)
    rows = rows[np.argsort(plan.labels[rows], kind="stable")]
    totals = np.bincount(plan.verdicts.split[rows], minlength=splits).tolist()
    if splits < 2 or not len(rows):
        return
    wanted = -(-len(rows) // _LEAK_TASKS)
    size = min(max(wanted, _LEAST_LEAK_PICTURES), _MOST_LEAK_PICTURES)
    for part in _whole_classes(plan.labels[rows], size):
        some = rows[part]
        facts = plan.facts.select(["key", "pack", "index"]).take(pa.array(some))
        packs = facts["pack"].cast("string").combine_chunks().dictionary_encode()
        yield LeakTask(
            tuple(storage.join(layout.canonical_dir, p) for p in packs.dictionary.to_pylist()),
            tuple(packs.indices.to_pylist()),
            tuple(facts["index"].to_pylist()),
            tuple(plan.labels[some].tolist()),
            tuple(plan.verdicts.split[some].tolist()),
            tuple(facts["key"].to_pylist()),
            totals=tuple(totals),
            sampled=len(rows) < len(kept),
        )


def _whole_classes(labels: np.ndarray, size: int) -> Iterator[slice]:
    """Yields runs of whole classes of sorted labels, of at least `size` but for the last."""
    ends = np.flatnonzero(np.diff(labels, append=labels[-1] + 1)) + 1
    start = 0
    for end in ends.tolist():
        if end - start >= size or end == len(labels):
            yield slice(start, end)
            start = end


def _whole_packs(plan: Plan, rows: np.ndarray) -> np.ndarray:
    """Returns the rows of as many packs as make up `MAX_LEAK_PICTURES`."""
    if len(rows) <= MAX_LEAK_PICTURES:
        return rows
    packs = plan.facts["pack"].combine_chunks()
    # By the dictionary: as strings the names of a million rows would take 30 MB. It may name
    # packs of other rows, which count nothing, and where it was joined, a pack twice.
    _, number = np.unique(packs.dictionary.to_pylist(), return_inverse=True)
    of_row = number[packs.indices.take(pa.array(rows)).to_numpy()]
    sizes = np.bincount(of_row)
    count = int(np.searchsorted(np.cumsum(sizes[sizes > 0]), MAX_LEAK_PICTURES, side="right"))
    last = np.flatnonzero(sizes)[max(count, 1) - 1]
    return rows[of_row <= last]


def source_reader(layout: Layout, files: int) -> ReadSource:
    """Returns a function that reads a source by its key, from the listings on disk.

    It raises KeyError for an unknown key and OSError where the file cannot be read.

    Args:
      files: number of sources, which says how many bundles there are.
    """
    count = count_bundles(files)

    @functools.lru_cache(maxsize=4)
    def bundle(index: int) -> dict[str, SourceFile]:
        lines = storage.read_bytes(_listing_path(layout, index)).splitlines()
        return {row.key: row for row in map(SourceFile.from_json, lines)}

    return lambda key: sources.read(bundle(stable_hash("bundle", key) % count)[key])


def _listing_path(layout: Layout, index: int) -> str:
    return storage.join(layout.listing_dir, f"{index:05d}.jsonl")


def _packs(directory: str, last_suffix: str) -> dict[str, tuple[int, int]]:
    """Returns name → (bundle, bundles) of the packs that are complete."""
    found = {}
    for filename in storage.list_names(directory):
        match = _PACK_NAME.fullmatch(filename.removesuffix(last_suffix))
        if match is not None and filename.endswith(last_suffix):
            found[match.string] = (int(match["index"]), int(match["count"]))
    return found


class _Relatives:
    """Which packs may hold files of a bundle: counts are powers of two.

    Args:
      known: name of a pack → its bundle and the number of bundles there were.
      count: bundles that there are now.
    """

    def __init__(self, known: dict[str, tuple[int, int]], count: int) -> None:
        self._names: dict[tuple[int, int], list[str]] = defaultdict(list)
        for name, (other, others) in known.items():
            shared = min(count, others)
            self._names[shared, other % shared].append(name)
        self._shared = sorted({shared for shared, _ in self._names})

    def of(self, index: int) -> tuple[str, ...]:
        """Returns the packs for a bundle, sorted."""
        found = (self._names.get((shared, index % shared), []) for shared in self._shared)
        return tuple(sorted(itertools.chain.from_iterable(found)))
