"""What the steps of a bake do, on any engine: Beam's transforms and a bake without Beam call these.

Imports no Beam.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from beam_pipelines import progress
from beam_pipelines.cache import facts_table, storage, thumbnails
from beam_pipelines.cache.layout import Layout
from beam_pipelines.config import PrepareConfig
from beam_pipelines.planning import kin_tasks, make_tasks
from beam_pipelines.planning.plan import Plan, make_plan
from beam_pipelines.progress import PlannedWork
from beam_pipelines.similarity import leakage
from beam_pipelines.similarity.partitioned import JoinedDuplicates
from beam_pipelines.steps.measure_leaks import expect_readings
from beam_pipelines.tasks import (
    BundleResult,
    CopyResult,
    CopyTask,
    LeakTask,
    OptimismTask,
    PlanSummary,
    ShardResult,
    ShardTask,
)
from tfrecords.images.decode_pool import TaskQueue, Watch, WorkerPool

# Counters of a bake.
DECODED, REJECTED, COPIES_MADE, SHARDS_WRITTEN = "decoded", "rejected", "copies_made", "shards"

# What a plan asks for; its summary comes last, and copies come before the shards that hold them.
PlannedTask: TypeAlias = CopyTask | LeakTask | OptimismTask | ShardTask | PlanSummary

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


class Queue(Generic[TaskT, ResultT]):
    """Runs `work` on tasks; yields the results in the order of the tasks.

    Args:
      work: pure function of a task and a `Watch`.
      pool: of processes; None to work in this one, on one task at a time.
      ahead: tasks for each process that may be queued before a result is waited for.
    """

    def __init__(
        self, work: Callable[[TaskT, Watch], ResultT], pool: WorkerPool | None, ahead: int = 2
    ) -> None:
        self._work = work
        self._queue = None if pool is None else TaskQueue(pool, work, ahead)

    def submit(self, task: TaskT) -> Iterator[ResultT]:
        """Queues a task; yields results of earlier ones once enough are queued."""
        if self._queue is None:
            yield self._work(task, Watch())
        else:
            yield from self._queue.submit(task)

    def drain(self) -> Iterator[ResultT]:
        """Yields the results that are still to come."""
        if self._queue is not None:
            yield from self._queue.drain()

    def of(self, tasks: Iterable[TaskT]) -> Iterator[ResultT]:
        """Yields the results of all tasks."""
        for task in tasks:
            yield from self.submit(task)
        yield from self.drain()


def plan_tasks(
    blocks: Iterable[bytes],
    config: PrepareConfig,
    layout: Layout,
    num_bundles: int,
    joined: JoinedDuplicates | None = None,
    pool: WorkerPool | None = None,
) -> Iterator[PlannedTask]:
    """Plans from all facts, leaves the ledger on disk and yields the tasks, one at a time.

    Args:
      blocks: of `facts_table.facts_block`, in any order.
      config, layout: of the bake.
      num_bundles: number of bundles that the sources are in.
      joined: near duplicates, if workers have found them already.
      pool: measures what the plan needs to know of thumbnails; None to do so in this process.
    """
    facts = facts_table.facts_table(blocks, without=["fingerprint"] if joined else [])
    load = functools.partial(thumbnails.load, layout.canonical_dir, facts)

    def expect(rows: np.ndarray, label: np.ndarray, group: np.ndarray, train: float) -> float:
        tasks = kin_tasks.expect_tasks(facts, layout, rows, label, group, train)
        return leakage.mean_reading(Queue(expect_readings, pool).of(tasks))

    plan = make_plan(facts, config, load, joined, expect)
    sources = storage.join(layout.cache_dir, "sources.parquet")
    with storage.publish(sources) as file:
        facts_table.write_ledger(file, plan.ledger(facts_table.LEDGER_ROWS))
    packs: list[str] = []
    if plan.failure is None:
        order = make_tasks.CopyOrder.of(plan, num_bundles)
        progress.write_planned_work(layout, _planned_work(plan, order.packs))
        for copy_task in make_tasks.copy_tasks(plan, order, layout):
            packs.append(copy_task.pack)
            yield copy_task
        yield from kin_tasks.optimism_tasks(plan, layout)
        yield from kin_tasks.leak_tasks(plan, layout)
        yield from make_tasks.shard_tasks(plan, order, packs, layout)
    yield make_tasks.summary_of(plan, sources, packs)


def _planned_work(plan: Plan, packs: int) -> PlannedWork:
    splits = plan.records.values()
    return PlannedWork(
        packs=packs,
        copies=sum(int((records.copy > 0).sum()) for records in splits),
        shards=sum(records.num_shards for records in splits),
        records=sum(len(records.row) for records in splits),
    )


def counts(result: Any) -> dict[str, int]:
    """Returns what a result adds to the counters of a bake."""
    if isinstance(result, BundleResult):
        rejected = sum(row.reason is not None for row in result.facts)
        return {DECODED: result.decoded, REJECTED: rejected}
    if isinstance(result, CopyResult):
        return {COPIES_MADE: result.made}
    if isinstance(result, ShardResult):
        return {SHARDS_WRITTEN: int(not result.reused)}
    return {}
