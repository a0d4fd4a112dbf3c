"""The commands of `evenshard`: names, modules and one-line summaries; imports none of them."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from tfrecords.cli import parsing
from tfrecords.errors import UsageError

_PREPARE, _TRAIN, _USE = "Prepare data", "Train", "Use what was trained"
_MACHINE = "This machine"


@dataclass(frozen=True)
class SubCommand:
    """A command of `evenshard`.

    Attributes:
      name: as it is typed.
      module: that has its `COMMAND`.
      group: heading of the help under which it appears.
      summary: one line.
      flags: that the name stands for.
      typed_as: names that people type for it.
    """

    name: str
    module: str
    group: str
    summary: str
    flags: tuple[str, ...] = ()
    typed_as: tuple[str, ...] = ()


_BAKE = "beam_pipelines.prepare"

COMMANDS = (
    SubCommand("bake", _BAKE, _PREPARE, "Bake class folders into balanced TFRecord shards.",
               typed_as=("prepare", "build", "create", "convert")),
    SubCommand("plan", _BAKE, _PREPARE, "Show what a bake would write, and how long it takes.",
               flags=("--plan_only",), typed_as=("preview", "estimate")),
    SubCommand("inspect", "tfrecords.inspect", _PREPARE, "Show what is in a data set.",
               typed_as=("show", "info", "ls")),
    SubCommand("verify", "tfrecords.verify", _PREPARE, "Read every byte, name what is damaged.",
               typed_as=("check", "validate")),
    SubCommand("report", "evenshard.report", _PREPARE,
               "Rewrite the report of a data set or a run.", typed_as=("redraw",)),
    SubCommand("train", "trainer.train.__main__", _TRAIN, "Train a network; resume one.",
               typed_as=("fit", "learn")),
    SubCommand("sweep", "trainer.sweep.__main__", _TRAIN, "Train a grid of trials, compare them.",
               typed_as=("tune", "grid")),
    SubCommand("benchmark", "trainer.benchmark.__main__", _TRAIN,
               "Measure this machine and advise what to change.", typed_as=("bench", "profile")),
    SubCommand("evaluate", "trainer.evaluate.__main__", _USE, "Evaluate a run on a split.",
               typed_as=("eval", "test")),
    SubCommand("predict", "trainer.predict", _USE, "Predict the classes of unlabelled pictures.",
               typed_as=("classify", "infer")),
    SubCommand("export", "trainer.export.__main__", _USE,
               "Write a network as SavedModel, ONNX or LiteRT.", typed_as=("save",)),
    SubCommand("lineage", "trainer.lineage", _USE, "Trace a record back to its source file.",
               typed_as=("trace",)),
    SubCommand("demo", "evenshard.demo", _MACHINE,
               "Draw pictures, bake, train and predict, from nothing.",
               typed_as=("example", "tutorial", "quickstart")),
    SubCommand("doctor", "evenshard.doctor", _MACHINE,
               "Show what is installed, what is wrong, what is slow.",
               typed_as=("diagnose", "env", "system")),
    SubCommand("clean", "evenshard.clean", _MACHINE, "List caches and leftovers; remove them.",
               typed_as=("clear", "gc", "prune")),
    SubCommand("completion", "evenshard.completion", _MACHINE,
               "Print a completion script for bash, zsh or fish."),
)  # fmt: skip


def find(name: str) -> SubCommand:
    """Returns the command of a name.

    Raises:
      UsageError: there is none; the text names the nearest.
    """
    for command in COMMANDS:
        if command.name == name:
            return command
    if name.startswith("-"):
        raise UsageError(f"{name} stands before the command: evenshard COMMAND [--flag=value …]")
    typed_as = {other: command.name for command in COMMANDS for other in command.typed_as}
    meant = parsing.nearest(name, [command.name for command in COMMANDS], typed_as)
    if meant:
        hint = f"did you mean {meant!r}?"
    elif os.path.exists(name):
        plan = shlex.join(("evenshard", "plan", f"--input_dir={name}", "--output_dir=shards"))
        hint = f"to see what a bake of it would write: {plan}"
    else:
        hint = "evenshard --help lists all commands"
    raise UsageError(f"unknown command {name!r}; {hint}")


def help_text() -> str:
    """Returns the list of commands, by group."""
    groups = dict.fromkeys(command.group for command in COMMANDS)
    sections = [
        f"{group}:\n"
        + "\n".join(f"  {c.name:<12} {c.summary}" for c in COMMANDS if c.group == group)
        for group in groups
    ]
    return "\n\n".join(
        (
            "Turns a folder of imbalanced images into balanced TFRecord shards and a trained "
            "classifier.",
            "usage: evenshard COMMAND [--flag=value …]",
            *sections,
            "evenshard COMMAND --help shows its flags; evenshard --version the version.",
        )
    )
