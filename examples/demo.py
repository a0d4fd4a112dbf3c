"""`make demo`: draw pictures, bake them, train on them and say where the reports are.

Each step is a command that a user could type, shown as it is run. A step whose result is
there already is left out, so the demo carries on where it was stopped.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tfrecords.cli import flags
from tfrecords.cli.flags import flag
from tfrecords.cli.run import Command


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the demo.

    Attributes:
      title: what it does.
      module: what follows `python -m`.
      flags: of the command.
      result: the file that is there once it is done.
    """

    title: str
    module: str
    flags: tuple[str, ...]
    result: Path


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """How large the demo is. Fields are the flags of `python -m examples.demo`."""

    dir: str = flag(".demo", "Demo", "Where everything goes.", metavar="DIR")
    scale: float = flag(0.1, "Demo", "Share of the 20,933 pictures to draw.", metavar="S")
    image_size: int = flag(64, "Demo", "Pixels.", metavar="N")
    per_class: int = flag(100, "Demo", "Train records a class.", metavar="N")
    epochs: int = flag(10, "Demo", "Epochs of training.", metavar="N")

    def __post_init__(self) -> None:
        flags.convert_fields(self)


def steps(config: DemoConfig) -> tuple[Step, ...]:
    """Returns the commands of the demo, in order."""
    root = Path(config.dir)
    town, shards, run = root / "town", root / "shards", root / "run"
    return (
        Step(
            "Draw a town of 42 citizens, very unequally many pictures of each",
            "examples.springfield_like",
            (f"--output_dir={town}", f"--scale={config.scale}"),
            town / "truth.json",
        ),
        Step(
            "Bake the pictures into balanced shards",
            "beam_pipelines.prepare",
            (
                f"--input_dir={town / 'pictures'}",
                f"--output_dir={shards}",
                "--name=town",
                f"--image_size={config.image_size}",
                f"--per_class={config.per_class}",
            ),
            shards / "report" / "index.html",
        ),
        Step(
            "Check every byte of them",
            "tfrecords.verify",
            (str(shards),),
            root / "never",
        ),
        Step(
            "Train a small network",
            "trainer.train",
            (
                f"--data_dir={shards}",
                f"--run_dir={run}",
                "--recipe=scratch",
                f"--epochs={config.epochs}",
            ),
            run / "report" / "index.html",
        ),
    )


def run_demo(config: DemoConfig) -> int:
    """Runs the steps and returns the exit code of the first that fails, or 0."""
    todo = steps(config)
    for number, step in enumerate(todo, start=1):
        print(f"\n[{number}/{len(todo)}] {step.title}", flush=True)
        if step.result.exists():
            print(f"      {step.result} is there already", flush=True)
            continue
        print(f"      python -m {step.module} {shlex.join(step.flags)}", flush=True)
        code = subprocess.run([sys.executable, "-m", step.module, *step.flags]).returncode
        if code:
            return code
    reports = [step.result for step in todo if step.result.suffix == ".html"]
    print("\nOpen in a browser:")
    for report in reports:
        print(f"  {report.resolve().as_uri()}")
    return 0


COMMAND = Command(
    module="examples.demo",
    summary="Draws 42 citizens, bakes, trains and reports, from nothing.",
    arguments="",
    config=DemoConfig,
    main=run_demo,
    after_interrupt="the same command carries on",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
