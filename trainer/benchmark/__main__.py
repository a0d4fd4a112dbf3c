"""`python -m trainer.benchmark`: what holds training up on this machine, and what to change."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfrecords.cli import flags, following
from tfrecords.cli.flags import flag
from tfrecords.cli.run import DONE, Command
from tfrecords.errors import UsageError
from tfrecords.system import atomic
from trainer import tensorflow_import
from trainer.benchmark.text import render, to_dict
from trainer.config import TrainConfig
from trainer.recipes.flags import OWN_MODEL


@dataclass(frozen=True)
class BenchmarkConfig(TrainConfig):
    """A training run to be measured, and how."""

    run_dir: str = flag("", "Run", "Not used: nothing is written.", metavar="DIR")
    seconds: float = flag(3.0, "Benchmark", "Seconds to measure each of ten stages.", metavar="S")
    json: str = flag("", "Benchmark", "Also write all numbers to this file.", metavar="FILE")

    def __post_init__(self, settled: Mapping[str, Any] | None) -> None:
        super().__post_init__(settled)
        if self.is_open:  # A step is measured, and a head has none.
            object.__setattr__(self, "model", OWN_MODEL)
        if not 0 < self.seconds <= 3600:
            raise UsageError(f"--seconds must be above 0, up to 3,600, not {self.seconds:g}")
        if self.distribute != "none" or self.steps_per_execution > 1:
            raise UsageError("the benchmark measures one device with --steps_per_execution=1")


def main(config: BenchmarkConfig) -> int:
    """Measures and prints."""
    tensorflow_import.import_tensorflow(config.verbose)
    from trainer.benchmark import measure  # TensorFlow takes seconds to import: not for --help.

    checkup = measure.measure(
        config, config.seconds, lambda what: print(f"measuring {what} …", file=sys.stderr)
    )
    print(render(checkup))
    print(_training(config))
    if config.json:
        text = json.dumps(to_dict(checkup), indent=2)
        atomic.write_text(config.json, text + "\n")
    return DONE


def _training(config: BenchmarkConfig) -> str:
    """Returns the line that trains with the flags that were measured."""
    own = ("--data_dir=", "--run_dir=", "--seconds=", "--json=")
    measured = [each for each in flags.command_line(config) if not each.startswith(own)]
    return following.training(config.data_dir, *measured)


COMMAND = Command(
    module="trainer.benchmark",
    summary=(
        "Measures disk, decoding, augmentation and the step on this machine, alone and together, "
        "and says which of encoding, cache, batch size and cores to change. Takes a minute; "
        "writes nothing."
    ),
    arguments="--data_dir=O",
    config=BenchmarkConfig,
    main=main,
    notes="It takes every flag of evenshard train: give the flags that you want to train with.",
    extra="trainer",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
