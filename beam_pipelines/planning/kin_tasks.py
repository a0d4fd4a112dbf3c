"""Makes the tasks that compare how pictures look: of the leak meter and its kin.

They name thumbnails instead of holding them, and workers compare these: of 10,000 pictures for
longer than all the rest of the plan takes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from beam_pipelines.cache import facts_table, thumbnails
from beam_pipelines.cache.layout import Layout
from beam_pipelines.planning import kin
from beam_pipelines.planning.decisions import STATUS
from beam_pipelines.planning.plan import Plan
from beam_pipelines.similarity import optimism
from beam_pipelines.similarity.leak_meter import MEASURED_FOLD
from beam_pipelines.tasks import ExpectTask, LeakTask, OptimismTask
from tfrecords.ledger import KEPT

# Pictures of a task of the leak meter: few enough that all workers have one and its memory holds
# them, and no fewer, since each task reads the thumbnails of all packs: these hold all classes.
_LEAK_TASKS = 8
_LEAST_LEAK_PICTURES, _MOST_LEAK_PICTURES = 1_024, 8_192


def leak_tasks(plan: Plan, layout: Layout) -> Iterator[LeakTask]:
    """Yields the classes that the leak meter is to compare, of the originals that are in shards.

    Of more than `kin.MAX_PICTURES` pictures, only some bundles are measured, each of which is a
    random sample of all classes: near pictures in other bundles are then missed.
    """
    split, splits = _measured_splits(plan)
    kept = np.flatnonzero(plan.decisions.status == STATUS[KEPT])
    rows = kin.whole_packs(plan.facts, kept)
    rows = rows[np.argsort(plan.labels[rows], kind="stable")]
    if len(splits) < 2 or not len(rows):
        return
    totals = np.bincount(split[rows], minlength=len(splits)).tolist()
    for part in _whole_classes(plan.labels[rows]):
        some = rows[part]
        yield LeakTask(
            pictures=thumbnails.locate(layout.canonical_dir, plan.facts, some),
            label=plan.labels[some],
            split=split[some],
            keys=tuple(facts_table.keys(plan.facts, some)),
            splits=splits,
            totals=tuple(totals),
            sampled=len(rows) < len(kept),
        )


def _measured_splits(plan: Plan) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the split of each row and the names of all; the first fold is held out, if any."""
    split, splits = plan.decisions.split, plan.config.split_names
    if plan.fold is None:
        return split, splits
    return np.where(plan.fold == 0, len(splits), split).astype(np.int8), (*splits, MEASURED_FOLD)


def optimism_tasks(plan: Plan, layout: Layout) -> Iterator[OptimismTask]:
    """Yields the pictures that say what the first held-out split claims, if it has any."""
    if len(plan.config.split_names) <= optimism.HELD_OUT:
        return
    rows = kin.whole_packs(plan.facts, np.flatnonzero(plan.decisions.status == STATUS[KEPT]))
    train, query = optimism.sample(plan.decisions.split[rows])
    if len(train) and len(query):
        both = rows[np.concatenate([train, query])]
        yield OptimismTask(
            pictures=thumbnails.locate(layout.canonical_dir, plan.facts, both),
            label=plan.labels[both],
            train=len(train),
            split=plan.config.split_names[optimism.HELD_OUT],
        )


def expect_tasks(
    facts: pa.Table,
    layout: Layout,
    rows: np.ndarray,
    label: np.ndarray,
    group: np.ndarray,
    train_share: float,
) -> Iterator[ExpectTask]:
    """Yields what to measure before pictures are split, some classes at a time.

    Args:
      facts: of `facts_table.FACTS`, in key order.
      layout: of the bake.
      rows, label, group: int[k] each, of the pictures.
      train_share: of the pictures, 0 to 1.
    """
    order = np.argsort(label, kind="stable")
    for part in _whole_classes(label[order]):
        some = order[part]
        yield ExpectTask(
            thumbnails.locate(layout.canonical_dir, facts, rows[some]),
            label[some],
            group[some],
            train_share,
            len(rows),
        )


def _whole_classes(labels: np.ndarray) -> Iterator[slice]:
    """Yields slices of sorted labels: whole classes, some for each task."""
    share = -(-len(labels) // _LEAK_TASKS)
    size = min(max(share, _LEAST_LEAK_PICTURES), _MOST_LEAK_PICTURES)
    ends = np.flatnonzero(np.diff(labels, append=labels[-1] + 1)) + 1
    start = 0
    for end in ends.tolist():
        if end - start >= size or end == len(labels):
            yield slice(start, end)
            start = end
