"""`python -m beam_pipelines.prepare`: pictures in, balanced shards out.

Worker processes import this module again as their `__main__`; it stays light, and Beam is
imported only by the process that runs the pipeline.
"""

from __future__ import annotations

import argparse
import sys

from beam_pipelines import memory, options
from tfrecords import cli


def main() -> int:
    """Runs the command and returns its exit code."""
    return cli.run(options.make_parser(), _prepare, foreign=options.check_beam_flags)


def _prepare(flags: argparse.Namespace) -> int:
    config = options.config_of(flags)
    if config.plan_only:
        from beam_pipelines import estimate

        return estimate.run(config)
    memory.release_early()
    from beam_pipelines import bake

    return bake.run(config, [f"--runner={flags.runner}", *flags.foreign])


if __name__ == "__main__":
    sys.exit(main())
