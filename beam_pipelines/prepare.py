"""`python -m beam_pipelines.prepare`: pictures in, balanced shards out.

It stays light: worker processes start while Beam is imported, which only the process that runs
the pipeline does.
"""

from __future__ import annotations

import sys

from beam_pipelines import flags
from beam_pipelines.config import PrepareConfig
from tfrecords.cli.run import Command
from tfrecords.images.decode_pool import WorkerPool
from tfrecords.system import allocator


def main(config: PrepareConfig) -> int:
    """Bakes, or prints the plan of a bake; returns the exit code.

    Raises:
      MissingExtraError: Beam is needed and not installed.
    """
    flags.require_beam(config)
    if config.plan_only:
        from beam_pipelines import preview

        return preview.run(config)
    allocator.release_early()
    return bake(config)


def bake(config: PrepareConfig) -> int:
    """Bakes, and leaves the process as it was: for callers that go on; returns the exit code."""
    pool = _pool(config)
    try:
        from beam_pipelines import run

        return run.run(config, config.beam_arguments, pool)
    finally:
        if pool is not None:
            pool.close()


def _pool(config: PrepareConfig) -> WorkerPool | None:
    """Returns worker processes that start while this one imports, where they can be used."""
    if not config.workers or not flags.runs_here(config.beam_arguments):
        return None
    pool = WorkerPool(config.workers)
    pool.warm_up()
    return pool


COMMAND = Command(
    module="beam_pipelines.prepare",
    summary=(
        "Bakes a folder of labelled pictures into balanced TFRecord shards. `evenshard plan` "
        "takes the same flags and shows what a bake would write, without baking; it needs no "
        "--output_dir."
    ),
    arguments="--input_dir=DIR --output_dir=DIR",
    config=PrepareConfig,
    main=main,
    notes=(
        "Options of Apache Beam, such as --project and --region below, are passed on to it. Other "
        "runners than local, and URLs such as gs://, need Beam: pip install 'evenshard[beam]'."
    ),
    examples="""\
evenshard bake --input_dir=pictures --output_dir=shards --per_class=300
evenshard bake --input_dir=train.zip --output_dir=shards --image_size=128
evenshard bake --input_dir=gs://b/pictures --output_dir=gs://b/shards \\
    --runner=DataflowRunner --project=p --region=r --temp_location=gs://b/tmp""",
    foreign=flags.check_beam_flags,
    after_interrupt="the same command carries on where it stopped",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
