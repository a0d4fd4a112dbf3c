"""Configurations of a bake, from the flags that a person would type."""

from __future__ import annotations

from beam_pipelines.config import PrepareConfig
from beam_pipelines.flags import check_beam_flags
from tfrecords.cli import parsing


def config_of(*argv: str) -> PrepareConfig:
    """Returns the configuration of a command line, by default from folder "in" to "out"."""
    return parsing.parse(
        PrepareConfig, ["--input_dir=in", "--output_dir=out", *argv], check_beam_flags
    )
