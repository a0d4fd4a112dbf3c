"""`make demo`: draw pictures, bake them, train on them and say where the reports are.

Each step is a command that a user could type, shown as it is run. A step whose result is
there already is left out, so the demo carries on where it was stopped.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tfrecords.cli import run as cli


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


def make_parser() -> cli.CommandParser:
    """Returns the parser of `python -m examples.demo`."""
    parser = cli.CommandParser(
        "examples.demo", "", "Draws 42 citizens, bakes, trains and reports, from nothing."
    )
    group = parser.add_argument_group("demo")
    group.add_argument("--dir", default=".demo", help="where everything goes")
    group.add_argument("--scale", default="0.1", help="share of the 20,933 pictures to draw")
    group.add_argument("--image_size", default="64", metavar="N", help="pixels")
    group.add_argument("--per_class", default="100", metavar="N", help="train records a class")
    group.add_argument("--epochs", default="10", metavar="N", help="of training")
    return parser


def steps(flags: argparse.Namespace) -> tuple[Step, ...]:
    """Returns the commands of the demo, in order."""
    root = Path(flags.dir)
    town, shards, run = root / "town", root / "shards", root / "run"
    return (
        Step(
            "Draw a town of 42 citizens, very unequally many pictures of each",
            "examples.springfield_like",
            (f"--output_dir={town}", f"--scale={flags.scale}"),
            town / "truth.json",
        ),
        Step(
            "Bake the pictures into balanced shards",
            "beam_pipelines.prepare",
            (
                f"--input_dir={town / 'pictures'}",
                f"--output_dir={shards}",
                "--name=town",
                f"--image_size={flags.image_size}",
                f"--per_class={flags.per_class}",
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
            (f"--data_dir={shards}", f"--run_dir={run}", f"--epochs={flags.epochs}"),
            run / "report" / "index.html",
        ),
    )


def run_demo(flags: argparse.Namespace) -> int:
    """Runs the steps and returns the exit code of the first that fails, or 0."""
    todo = steps(flags)
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


if __name__ == "__main__":
    sys.exit(cli.run(make_parser(), run_demo))
