"""Makes the tasks of a bake from its plan: copies and shards."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from beam_pipelines.cache import facts_table, storage
from beam_pipelines.cache.layout import COPIES, Layout
from beam_pipelines.flag_rules import identity
from beam_pipelines.planning.bundles import EarlierPacks, finished_packs
from beam_pipelines.planning.decisions import left_out
from beam_pipelines.planning.plan import Plan
from beam_pipelines.planning.records import Records
from beam_pipelines.tasks import (
    Assignment,
    CopyJob,
    CopyTask,
    PlanSummary,
    ShardTask,
)
from tfrecords.schema import TRAIN, record_id
from tfrecords.sharding import shard_name


@dataclass(frozen=True, slots=True, eq=False)
class CopyOrder:
    """The copies of a plan in the order of their packs: by bundle, source and number.

    Attributes:
      bundles: number of bundles.
      record: int64[m], indices of the train records.
      bundle: int32[m].
      start: int64[m], index of the first copy of the same bundle.
    """

    bundles: int
    record: np.ndarray
    bundle: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, plan: Plan, bundles: int) -> CopyOrder:
        """Returns the order of a plan's copies; each source's key decides its bundle."""
        train = plan.records[TRAIN]
        copies = np.flatnonzero(train.copy > 0)
        rows, member = np.unique(train.row[copies], return_inverse=True)
        hashes = facts_table.key_hashes(("bundle",), plan.facts, rows)
        bundle = (hashes % np.uint64(bundles)).astype(np.int32)[member]
        order = np.lexsort((train.copy[copies], train.row[copies], bundle))
        bundle = bundle[order]
        is_first = np.diff(bundle, prepend=-1) > 0
        start = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
        return cls(bundles, copies[order], bundle, start)

    @property
    def packs(self) -> int:
        """Number of bundles that have copies."""
        return len(np.unique(self.start))

    def of_bundles(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yields each bundle that has copies and the indices of their records."""
        starts = np.unique(self.start)
        for records in np.split(np.arange(len(self.record)), starts[1:]):
            if len(records):
                yield int(self.bundle[records[0]]), self.record[records]

    def locations(self, records: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the number of each train record's pack, in order, and its index there."""
        pack, index = np.full((2, records), -1, np.int32)
        pack[self.record] = np.unique(self.start, return_inverse=True)[1]
        index[self.record] = np.arange(len(self.record)) - self.start
        return pack, index


def copy_tasks(plan: Plan, order: CopyOrder, layout: Layout) -> Iterator[CopyTask]:
    """Yields the packs of copies to make: one per bundle that has a source with copies.

    One at a time, so that the copies of millions are never all in memory as objects.
    """
    config = plan.config
    earlier = EarlierPacks(finished_packs(layout.copies_dir, COPIES), order.bundles)
    train = plan.records[TRAIN]
    for index, records in order.of_bundles():
        jobs = tuple(plan.jobs_of(train.row[records], train.copy[records]))
        yield CopyTask(
            pack=f"{index:05d}-of-{order.bundles:05d}-{_digest_of_jobs(jobs)}",
            jobs=jobs,
            listing=layout.listing(index),
            cache_dir=layout.copies_dir,
            earlier=earlier.of(index),
            seed=config.seed,
            spec=config.image,
            limits=config.limits,
            operations=config.augment,
        )


def shard_tasks(
    plan: Plan, order: CopyOrder, packs: Sequence[str], layout: Layout
) -> Iterator[ShardTask]:
    """Yields the shards to write, one at a time, as `copy_tasks` yields packs.

    Args:
      packs: of the copies, in the order of `copy_tasks`.
    """
    # One string object for all records of a pack: a pickled task then holds it once.
    path_of_pack = functools.cache(functools.partial(storage.join, layout.canonical_dir))
    copy_paths = [storage.join(layout.copies_dir, pack) for pack in packs]
    for name, records in plan.records.items():
        count = len(records.row)
        pack, index = order.locations(count) if name == TRAIN else np.zeros((2, count), np.int32)
        images = _Images(path_of_pack, copy_paths, pack, index)
        for shard in range(records.num_shards):
            yield ShardTask(
                split=name,
                filename=shard_name(plan.config.name, name, shard, records.num_shards),
                staging_dir=layout.staging_dir,
                records=tuple(_assignments(plan, records, records.of_shard(shard), images)),
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    """Where the images of a split's records are.

    Attributes:
      path_of_pack: name of a canonical pack → its path.
      copy_paths: paths of packs of copies.
      pack, index: int32[m], of each record: if it is a copy, the index of its pack in
        `copy_paths`, and its own index there.
    """

    path_of_pack: Callable[[str], str]
    copy_paths: Sequence[str]
    pack: np.ndarray
    index: np.ndarray


def _assignments(
    plan: Plan, records: Records, of_shard: slice, images: _Images
) -> Iterator[Assignment]:
    rows = records.row[of_shard]
    columns = ("key", "pack", "index", "encoded_bytes")
    facts = plan.facts.select(columns).take(pa.array(rows))
    values = (
        plan.labels[rows],
        records.rank[of_shard],
        records.copy[of_shard],
        images.pack[of_shard],
        images.index[of_shard],
    )
    for key, name, number, size, label, rank, copy, copy_pack, copy_number in zip(
        *(facts[column].to_pylist() for column in columns),
        *(value.tolist() for value in values),
        strict=True,
    ):
        if copy:
            path, number = images.copy_paths[copy_pack], copy_number
        else:
            path = images.path_of_pack(name)
        yield Assignment(record_id(key, copy), label, rank, copy, path, number, size)


def summary_of(plan: Plan, sources: str, copy_packs: Sequence[str]) -> PlanSummary:
    """Returns the part of a plan that publishing needs.

    Args:
      plan: the plan.
      sources: path of its ledger.
      copy_packs: names of its packs of copies.
    """
    return PlanSummary(
        name=plan.config.name,
        classes=plan.classes,
        image=plan.config.image,
        config=identity.for_manifest(plan.config),
        splits={
            name: (plan.counts(name, copies=False), plan.counts(name, copies=True))
            for name in plan.records
        },
        statuses=plan.statuses(),
        left_out=left_out(plan.decisions, facts_table.column(plan.facts, "reason")),
        sources_digest=plan.sources_digest(),
        sources=sources,
        copy_packs=tuple(copy_packs),
        notes=plan.notes,
        failure=plan.failure,
        folds=plan.folds,
    )


def _digest_of_jobs(jobs: Sequence[CopyJob]) -> str:
    """Returns 12 hex digits that identify what a pack of these copies holds."""
    text = "".join(f"{job.key}\0{job.sha256}\0{job.copies}\n" for job in jobs)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
