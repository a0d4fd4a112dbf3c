"""Deals the input of a bake into bundles and has the workers begin.

Imports neither Arrow nor what draws and plans: the workers decode while those are imported.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from beam_pipelines.cache import storage
from beam_pipelines.cache.layout import FACTS, Layout
from beam_pipelines.config import PrepareConfig
from beam_pipelines.inputs import sources
from beam_pipelines.inputs.bake_input import BakeInput
from beam_pipelines.planning.bundles import bundle_tasks
from beam_pipelines.steps.canonicalise import canonicalise_bundle
from beam_pipelines.tasks import BundleTask
from tfrecords.cli import audience
from tfrecords.images.decode_pool import WorkerPool

# Bundles that each worker, and all together, may begin while Beam is still being imported: two
# seconds of decoding of small pictures, more of large ones. Their facts wait in memory, 0.2 MB a
# bundle.
_HEAD_START, _MOST_HEAD_START = 32, 256


@dataclass(frozen=True, slots=True)
class Dealt:
    """The input of a bake, in bundles.

    Attributes:
      config: as the input decides it.
      notes: of how the input was understood.
      bundles: of the sources.
      files: number of sources.
      to_decode: number of those that are read; others are left out by what the listing says.
      spooled: those paths below the spool directory that the sources are read from.
    """

    config: PrepareConfig
    notes: tuple[str, ...]
    bundles: list[BundleTask]
    files: int
    to_decode: int
    spooled: frozenset[str]


def deal(understood: BakeInput, layout: Layout, pool: WorkerPool | None) -> Dealt:
    """Returns the bundles of the sources. The rows themselves are on disk.

    The pool begins the first bundles as soon as they are dealt.
    """
    rows, config = understood.rows, understood.config
    sources.check_groups(rows, config.group_by, config.group_column)
    most = min(pool.workers * _HEAD_START, _MOST_HEAD_START) if pool else 0
    bundles: list[BundleTask] = []
    done = 0
    for bundle in bundle_tasks(rows, config, layout):
        done += storage.exists(storage.join(bundle.cache_dir, bundle.pack + FACTS))
        if pool is not None and len(bundles) < most:
            pool.begin(canonicalise_bundle, bundle)
        bundles.append(bundle)
    reused = f"; {done} of {len(bundles)} bundles are decoded already" if done else ""
    for note in understood.notes:
        say(f"input: {note}")
    say(f"{understood.summary}{reused}")
    below = storage.join(layout.spool_dir, "")
    spooled = frozenset(row.path for row in rows if row.path.startswith(below))
    to_decode = sum(row.problem is None for row in rows)
    return Dealt(config, understood.notes, bundles, len(rows), to_decode, spooled)


def say(text: str) -> None:
    """Tells a person something of the bake, as a line of its own."""
    if said := audience.said(text):
        print(said, file=sys.stderr, flush=True)
