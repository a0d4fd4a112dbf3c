"""The whole bake as a Beam pipeline.

Steps run pure functions of other modules. Only facts and file names pass between them; pixels
go from file to file, so no shuffle ever holds an image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipelines import bake_steps
from beam_pipelines.bake_steps import Queue, plan_tasks
from beam_pipelines.cache import facts_table
from beam_pipelines.cache.layout import Layout
from beam_pipelines.choices import ConflictPolicy, NearDuplicates
from beam_pipelines.config import PrepareConfig
from beam_pipelines.planning.stages import near_distance
from beam_pipelines.similarity import beam_join, partitioned
from beam_pipelines.similarity.partitioned import JoinedDuplicates
from beam_pipelines.steps.canonicalise import canonicalise_bundle
from beam_pipelines.steps.copies import make_copies
from beam_pipelines.steps.measure_leaks import Measured, Measurement, measure
from beam_pipelines.steps.publish import Outcome, publish_dataset
from beam_pipelines.steps.shards import write_shard
from beam_pipelines.tasks import (
    BundleResult,
    BundleTask,
    CopyResult,
    CopyTask,
    LeakTask,
    OptimismTask,
    PlanSummary,
    ShardResult,
    ShardTask,
)
from tfrecords.images.decode_pool import Watch, WorkerPool

COPIES, SHARDS, LEAKS, SUMMARY = "copies", "shards", "leaks", "summary"

# The namespace of the counters of `bake_steps`.
COUNTERS = "bake"

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


@dataclass
class BakeDataset(beam.PTransform):
    """The whole bake: bundles in, one outcome out.

    Args:
      config: of the bake.
      num_bundles: number of bundles that the sources are in.
      pool: shares the worker processes between steps.
    """

    config: PrepareConfig
    num_bundles: int
    pool: Shared = field(default_factory=Shared)

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, bundles: beam.PCollection[BundleTask]) -> beam.PCollection[Outcome]:
        layout, pool = Layout.of(self.config), self.pool
        facts = bundles | Canonicalise(self.config, pool)  # (None, Arrow stream)
        plan = facts | MakePlan(self.config, layout, self.num_bundles, pool)
        copies = plan[COPIES] | MakeCopies(self.config, pool)  # pack name
        shards = plan[SHARDS] | WriteShards(self.config, pool, copies)  # ShardResult
        leaks = plan[LEAKS] | MeasureLeaks(self.config, pool)  # LeakMeter or Optimism
        return plan[SUMMARY] | "Publish" >> beam.Map(
            publish_dataset,
            beam.pvalue.AsList(shards),
            beam.pvalue.AsList(leaks),
            layout,
        ).with_output_types(Outcome)


@dataclass
class Canonicalise(beam.PTransform):
    """Decodes bundles into canonical packs; emits their facts, `facts_table.facts_block`."""

    config: PrepareConfig
    pool: Shared

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, bundles: beam.PCollection[BundleTask]) -> beam.PCollection[tuple[None, bytes]]:
        return (
            bundles
            | "CanonicaliseBundles"
            >> beam.ParDo(
                RunTasks(canonicalise_bundle, self.config.workers, self.pool)
            ).with_output_types(BundleResult)
            # BundleResult
            | "CollectFacts" >> beam.Map(_facts_block).with_output_types(tuple[None, bytes])
        )


@dataclass
class MakePlan(beam.PTransform):
    """Plans in one worker; outputs `COPIES`, `SHARDS`, `LEAKS` and `SUMMARY`.

    Of many facts, all workers find the near duplicates first: that is the expensive part.
    """

    config: PrepareConfig
    layout: Layout
    num_bundles: int
    pool: Shared

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, facts: beam.PCollection[tuple[None, bytes]]) -> Any:
        planner = PlanDataset(self.config, self.layout, self.num_bundles, self.pool)
        return (
            facts
            | "GroupFacts" >> beam.GroupByKey()
            # (None, [Arrow stream])
            | "Plan"
            >> beam.ParDo(planner, *self._near_duplicates(facts)).with_outputs(
                COPIES, SHARDS, LEAKS, SUMMARY
            )
        )

    def _near_duplicates(
        self, facts: beam.PCollection[tuple[None, bytes]]
    ) -> tuple[beam.pvalue.AsList, ...]:
        """Returns side inputs of the planner: near duplicates, if all workers should find them."""
        parts = partitioned.count_parts(self.num_bundles, self.config.workers)
        if not parts or self.config.near_duplicates is NearDuplicates.OFF:
            return ()
        labelled = self.config.label_conflicts is ConflictPolicy.DROP_ALL
        join = beam_join.JoinNearDuplicates(near_distance(self.config), parts, labelled)
        outputs = facts | join
        names = (beam_join.TWINS, beam_join.PAIRS)
        return tuple(beam.pvalue.AsList(outputs[name]) for name in names)


@dataclass
class MakeCopies(beam.PTransform):
    """Makes packs of augmented copies from source pixels; emits their names."""

    config: PrepareConfig
    pool: Shared

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, copies: beam.PCollection[CopyTask]) -> beam.PCollection[str]:
        return (
            copies
            | "SpreadCopies" >> beam.Reshuffle()
            # CopyTask
            | "MakePacks"
            >> beam.ParDo(RunTasks(make_copies, self.config.workers, self.pool)).with_output_types(
                CopyResult
            )
            | "CountCopies" >> beam.Map(_count_copies).with_output_types(str)
        )


@dataclass
class WriteShards(beam.PTransform):
    """Copies encoded images from packs into shards, once all copies exist."""

    config: PrepareConfig
    pool: Shared
    copies: beam.PCollection[str]

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, shards: beam.PCollection[ShardTask]) -> beam.PCollection[ShardResult]:
        return (
            shards
            | "SpreadShards" >> beam.Reshuffle()
            # ShardTask; the side input holds shards back until all copies exist
            | "AwaitCopies" >> beam.Map(lambda task, made: task, beam.pvalue.AsList(self.copies))
            | "WriteRecords"
            >> beam.ParDo(RunTasks(write_shard, self.config.workers, self.pool)).with_output_types(
                ShardResult
            )
            | "CountShards" >> beam.Map(_count_shards).with_output_types(ShardResult)
        )


@dataclass
class MeasureLeaks(beam.PTransform):
    """Compares the held-out pictures of classes with their train pictures, by thumbnails.

    Without a shuffle first: a pool takes the tasks as the planner emits them, and on an engine a
    second of work is not worth a shuffle, for which a small Flink cluster lacks network buffers.
    """

    config: PrepareConfig
    pool: Shared

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, classes: beam.PCollection[Measurement]) -> beam.PCollection[Measured]:
        return (
            classes
            # LeakTask or OptimismTask
            | "CompareThumbnails"
            >> beam.ParDo(RunTasks(measure, self.config.workers, self.pool)).with_output_types(
                tuple[Measured, ...]
            )
            | "EachSplit" >> beam.FlatMap(tuple).with_output_types(Measured)
        )


class RunTasks(beam.DoFn, Generic[TaskT, ResultT]):
    """Runs `work` on each task, in a pool of processes or, with 0 workers, in this one.

    Args:
      work: pure function of a task and a `Watch`.
      workers: number of processes; 0 for engines that start workers themselves.
      pool: shared by all steps, so that processes start once.
    """

    def __init__(self, work: Callable[[TaskT, Watch], ResultT], workers: int, pool: Shared) -> None:
        self._work = work
        self._workers = workers
        self._pool = pool
        self._queue: Queue[TaskT, ResultT] | None = None

    def setup(self) -> None:
        self._queue = Queue(self._work, _acquired(self._pool, self._workers))

    def process(self, task: TaskT) -> Iterator[ResultT]:
        if self._queue is None:
            raise ValueError("an engine calls setup first")
        yield from self._queue.submit(task)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for result in self._queue.drain() if self._queue is not None else ():
            yield WindowedValue(result, GlobalWindow().max_timestamp(), [GlobalWindow()])


@beam.typehints.with_output_types(
    Any, **{COPIES: CopyTask, SHARDS: ShardTask, LEAKS: Measurement, SUMMARY: PlanSummary}
)
class PlanDataset(beam.DoFn):
    """Plans from all facts; emits tasks to their outputs and leaves the ledger on disk."""

    def __init__(
        self, config: PrepareConfig, layout: Layout, num_bundles: int, pool: Shared
    ) -> None:
        self._config = config
        self._layout = layout
        self._num_bundles = num_bundles
        self._pool = pool

    def process(
        self,
        grouped: tuple[None, Iterable[bytes]],
        twins: Sequence[bytes] | None = None,
        pairs: Sequence[bytes] | None = None,
    ) -> Iterator[beam.pvalue.TaggedOutput]:
        _, blocks = grouped
        joined = None
        if twins is not None and pairs is not None:
            joined = JoinedDuplicates.of(twins, pairs)
        pool = _acquired(self._pool, self._config.workers)
        for task in plan_tasks(blocks, self._config, self._layout, self._num_bundles, joined, pool):
            yield beam.pvalue.TaggedOutput(_OUTPUTS[type(task)], task)


_OUTPUTS = {
    CopyTask: COPIES,
    LeakTask: LEAKS,
    OptimismTask: LEAKS,
    ShardTask: SHARDS,
    PlanSummary: SUMMARY,
}


def _acquired(pool: Shared, workers: int) -> WorkerPool | None:
    """Returns the pool of this process, None with 0 workers."""
    shared: WorkerPool | None = pool.acquire(lambda: WorkerPool(workers)) if workers else None
    return shared


def _count(result: Any) -> None:
    for name, number in bake_steps.counts(result).items():
        Metrics.counter(COUNTERS, name).inc(number)


def _facts_block(result: BundleResult) -> tuple[None, bytes]:
    _count(result)
    return None, facts_table.facts_block(result.facts)


def _count_copies(result: CopyResult) -> str:
    _count(result)
    return result.pack


def _count_shards(result: ShardResult) -> ShardResult:
    _count(result)
    return result
