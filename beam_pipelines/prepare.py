"""`python -m beam_pipelines.prepare`: pictures in, balanced shards out.

Worker processes import this module again as their `__main__`; it stays light, and Beam is
imported only by the process that runs the pipeline.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from beam_pipelines import flags as options
from beam_pipelines.config import PrepareConfig
from beam_pipelines.workers.pool import WorkerPool
from tfrecords.cli import run
from tfrecords.system import allocator


def main() -> int:
    """Runs the command and returns its exit code."""
    return run.run(options.make_parser(), _prepare, foreign=options.check_beam_flags)


def _prepare(flags: argparse.Namespace) -> int:
    config = options.config_of(flags)
    if config.plan_only:
        from beam_pipelines import preview

        return preview.run(config)
    allocator.release_early()
    beam_arguments = [f"--runner={flags.runner}", *flags.foreign]
    pool = _pool(config, beam_arguments)
    from beam_pipelines import run as bake

    return bake.run(config, beam_arguments, pool)


def _pool(config: PrepareConfig, beam_arguments: Sequence[str]) -> WorkerPool | None:
    """Returns worker processes that start while this one imports, where they can be used."""
    if not config.workers or not options.runs_here(beam_arguments):
        return None
    pool = WorkerPool(config.workers)
    pool.warm_up()
    return pool


if __name__ == "__main__":
    sys.exit(main())
