"""A bake on this machine without an engine: the steps of the pipeline, one after the other.

What a step does is in `bake_steps` and `steps`, as for Beam; here is only the order. Beam's own
local runner takes a second of CPU time and 60 MB before it decodes, and holds every task at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from beam_pipelines import bake_steps
from beam_pipelines.bake_steps import Queue
from beam_pipelines.cache import facts_table
from beam_pipelines.cache.layout import Layout
from beam_pipelines.config import PrepareConfig
from beam_pipelines.steps import measure_leaks
from beam_pipelines.steps.canonicalise import canonicalise_bundle
from beam_pipelines.steps.copies import make_copies
from beam_pipelines.steps.measure_leaks import Measured, Measurement
from beam_pipelines.steps.publish import Outcome, publish_dataset
from beam_pipelines.steps.shards import write_shard
from beam_pipelines.tasks import (
    BundleTask,
    CopyResult,
    CopyTask,
    PlanSummary,
    ShardResult,
    ShardTask,
)
from tfrecords.images.decode_pool import WorkerPool

# No measurement is waited for before the shards are: there are few of them.
_ALL = 1 << 20


def bake(
    bundles: Sequence[BundleTask],
    config: PrepareConfig,
    layout: Layout,
    num_bundles: int,
    pool: WorkerPool | None,
    measured_all: Callable[[PlanSummary, Sequence[Measured]], None] | None = None,
) -> tuple[Outcome, dict[str, int]]:
    """Bakes and returns the outcome and the counters.

    Args:
      bundles: of the sources.
      config, layout: of the bake.
      num_bundles: number of bundles that the sources are in.
      pool: of worker processes; None to do everything in this one.
      measured_all: called with the plan and all measurements while the last shards are written.
    """
    counted: Counter[str] = Counter()
    tasks = bake_steps.plan_tasks(
        _facts(bundles, counted, pool), config, layout, num_bundles, pool=pool
    )
    copies: Queue[CopyTask, CopyResult] = Queue(make_copies, pool)
    measuring: Queue[Measurement, tuple[Measured, ...]] = Queue(measure_leaks.measure, pool, _ALL)
    writing: Queue[ShardTask, ShardResult] = Queue(write_shard, pool)
    made: list[CopyResult] = []
    measured: list[tuple[Measured, ...]] = []
    written: list[ShardResult] = []
    summary: PlanSummary | None = None
    for task in tasks:
        if isinstance(task, CopyTask):
            made += copies.submit(task)
        elif isinstance(task, ShardTask):
            # A shard holds copies of any pack: all of them must be there.
            made += copies.drain()
            written += writing.submit(task)
        elif isinstance(task, PlanSummary):
            summary = task
        else:
            measured += measuring.submit(task)
    if summary is None:
        raise ValueError("a plan ends with its summary")
    made += copies.drain()
    measured += measuring.drain()
    found = [each for of_task in measured for each in of_task]
    if measured_all is not None and summary.failure is None:
        measured_all(summary, found)
    written += writing.drain()
    for result in (*made, *written):
        counted.update(bake_steps.counts(result))
    return publish_dataset(summary, written, found, layout), dict(counted)


def _facts(
    bundles: Sequence[BundleTask], counted: Counter[str], pool: WorkerPool | None
) -> Iterator[bytes]:
    """Decodes the bundles and yields their facts."""
    for result in Queue(canonicalise_bundle, pool).of(bundles):
        counted.update(bake_steps.counts(result))
        yield facts_table.facts_block(result.facts)
