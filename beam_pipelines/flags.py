"""Beam's own options beside ours: which arguments are Beam's, and where its steps run."""

from __future__ import annotations

import argparse
import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from beam_pipelines.choices import BEAM_LOCAL_RUNNER, LOCAL_RUNNER
from beam_pipelines.config import PrepareConfig
from tfrecords import locations
from tfrecords.cli.parsing import ForeignFlags
from tfrecords.system import extras

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_WITHOUT_BEAM = "Beam's own flags need Beam (pip install 'evenshard[beam]')"


def require_beam(config: PrepareConfig) -> None:
    """Checks that Beam is installed where a bake needs it: on its runners, and for buckets.

    Raises:
      MissingExtraError: it is not.
    """
    paths = (config.input_dir, config.output_dir, *config.input_tables)
    if needs_beam(config.beam_arguments) or any(map(locations.is_url, paths)):
        extras.require("beam")


def check_beam_flags(arguments: Sequence[str]) -> ForeignFlags:
    """Judges the arguments that are none of ours: every flag must be one of Beam's.

    Beam itself drops a flag that it does not know in silence, and a dataset other than the one
    that was asked for would be baked.
    """
    if not any(argument.startswith("-") for argument in arguments):
        return ForeignFlags(refused=arguments)
    if not extras.is_installed("beam"):
        return ForeignFlags(refused=arguments, note=_WITHOUT_BEAM)
    known = _beam_flags()
    spelled = [_spelled(argument, known) for argument in arguments]
    refused = [
        argument
        for number, argument in enumerate(spelled)
        if _name(argument) not in known and not _is_value(spelled, number, known)
    ]
    return ForeignFlags(accepted=spelled, refused=refused, known=sorted(known))


def _beam_flags() -> dict[str, bool]:
    """Returns each flag that Beam's own options define, without dashes → whether it has a value."""
    with _quiet_beam():
        from apache_beam.options.pipeline_options import PipelineOptions

        parser = argparse.ArgumentParser(add_help=False, conflict_handler="resolve")
        # What `PipelineOptions` itself does with its subclasses before it parses.
        for options in PipelineOptions.__subclasses__():
            options._add_argparse_args(parser)
    return {
        text[2:]: action.nargs != 0
        for action in parser._actions
        for text in action.option_strings
        if text.startswith("--")
    }


def beam_options(arguments: Sequence[str]) -> PipelineOptions:
    """Returns Beam's options for the arguments that are Beam's; imports Beam."""
    with _quiet_beam():
        from apache_beam.options.pipeline_options import PipelineOptions

        local = {f"--runner={LOCAL_RUNNER}": f"--runner={BEAM_LOCAL_RUNNER}"}
        return PipelineOptions([local.get(argument, argument) for argument in arguments])


def runs_here(arguments: Sequence[str]) -> bool:
    """Returns whether the steps run in this process: without Beam, or on its plain local runner."""
    on_beam = f"--runner={BEAM_LOCAL_RUNNER}" in arguments and not _has_running_mode(arguments)
    return on_beam or not needs_beam(arguments)


def needs_beam(arguments: Sequence[str]) -> bool:
    """Returns whether Beam runs the steps: on any runner but our own, or in a mode of Beam's."""
    return f"--runner={LOCAL_RUNNER}" not in arguments or _has_running_mode(arguments)


def _has_running_mode(arguments: Sequence[str]) -> bool:
    return any(argument.startswith("--direct_running_mode") for argument in arguments)


@contextlib.contextmanager
def _quiet_beam() -> Iterator[None]:
    """Silences what Beam 2.77 logs of optional packages and of flags that we check ourselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _name(argument: str) -> str:
    """Returns the name of a flag without dashes; "" of anything else."""
    return argument[2:].partition("=")[0] if argument.startswith("--") else ""


def _spelled(argument: str, known: Collection[str]) -> str:
    """Returns a flag with `_` for `-` where Beam knows it so: --job-name is --job_name."""
    name, equals, value = argument[2:].partition("=")
    spelled = name.replace("-", "_")
    if not argument.startswith("--") or name in known or spelled not in known:
        return argument
    return f"--{spelled}{equals}{value}"


def _is_value(arguments: Sequence[str], number: int, known: Mapping[str, bool]) -> bool:
    """Returns whether an argument is the value of the flag before it, as in `--flag value`."""
    if not number or arguments[number].startswith("-"):
        return False
    before = arguments[number - 1]
    return "=" not in before and known.get(_name(before), False)
