"""`evenshard demo`: draw pictures, bake them, train on them, and say where the reports are.

Each step is a command that a user could type, shown as it is run. A step whose result is
there already is left out, so the demo carries on where it was stopped.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrecords.cli import flags, following
from tfrecords.cli.flags import flag
from tfrecords.cli.run import Command
from tfrecords.errors import UsageError
from tfrecords.system import atomic, extras

# Pictures without a class, to predict.
_UNLABELLED = 100

# The flags that a folder's demo began with.
_FLAGS = "demo.json"


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the demo.

    Attributes:
      title: what it does.
      command: what follows `python -m`, in words.
      flags: of the command.
      result: the file that is there once it is done; None for a step that is always done.
    """

    title: str
    command: tuple[str, ...]
    flags: tuple[str, ...]
    result: Path | None

    @property
    def shown(self) -> str:
        """The command as a person types it."""
        words = self.command if self.command[0] == "evenshard" else ("python", "-m", *self.command)
        return shlex.join((*words, *self.flags))


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """How large the demo is. Fields are the flags of `evenshard demo`."""

    dir: str = flag(
        "evenshard-demo", "Demo", "Where everything goes.", metavar="DIR", positional=True
    )
    scale: float = flag(0.1, "Demo", "Share of the 20,933 pictures to draw.", metavar="S")
    image_size: int = flag(64, "Demo", "Pixels.", metavar="N")
    per_class: int = flag(100, "Demo", "Train records a class.", metavar="N")
    epochs: int = flag(10, "Demo", "Epochs of training.", metavar="N")

    def __post_init__(self) -> None:
        flags.convert_fields(self)
        if not self.dir:
            raise UsageError("--dir is empty: give the folder where everything goes")

    @property
    def size(self) -> dict[str, Any]:
        """Flag → value, of the flags that decide what the steps give."""
        return {name: getattr(self, name) for name in flags.flags_of(DemoConfig) if name != "dir"}


def steps(config: DemoConfig) -> tuple[Step, ...]:
    """Returns the commands of the demo, in order."""
    root = Path(config.dir)
    town, shards, run = root / "town", root / "shards", root / "run"
    return (
        Step(
            "Draw a town of 42 citizens, with very different numbers of pictures",
            ("evenshard.springfield_like",),
            (f"--output_dir={town}", f"--scale={config.scale}", f"--unlabelled={_UNLABELLED}"),
            town / "truth.json",
        ),
        Step(
            "Bake the pictures into balanced shards",
            ("evenshard", "bake"),
            (
                f"--input_dir={town / 'pictures'}",
                f"--output_dir={shards}",
                "--name=town",
                f"--image_size={config.image_size}",
                f"--per_class={config.per_class}",
            ),
            shards / "report" / "index.html",
        ),
        Step("Check every byte of them", ("evenshard", "verify"), (str(shards),), None),
        Step(
            "Train a small network",
            ("evenshard", "train"),
            (
                f"--data_dir={shards}",
                f"--run_dir={run}",
                "--recipe=scratch",
                f"--epochs={config.epochs}",
            ),
            run / "report" / "index.html",
        ),
        Step(
            f"Predict the classes of {_UNLABELLED} new pictures",
            ("evenshard", "predict"),
            (
                f"--run_dir={run}",
                f"--input={town / 'unlabelled'}",
                f"--output={root / 'submission.csv'}",
            ),
            root / "submission.csv",
        ),
    )


def run_demo(config: DemoConfig) -> int:
    """Runs the steps and returns the exit code of the first that fails, or 0.

    Raises:
      MissingExtraError: TensorFlow is not installed.
      UsageError: a demo of other flags is in the folder.
    """
    extras.require("trainer")
    _claim(config)
    todo = steps(config)
    for number, step in enumerate(todo, start=1):
        print(f"\n[{number}/{len(todo)}] {step.title}", flush=True)
        if step.result is not None and step.result.exists():
            print(f"      {step.result} is there already", flush=True)
            continue
        print(f"      {step.shown}", flush=True)
        code = subprocess.run([sys.executable, "-m", *step.command, *step.flags]).returncode
        if code:
            return code
    reports = [step.result for step in todo if step.result and step.result.suffix == ".html"]
    print("\nOpen in a browser:")
    for report in reports:
        print(f"  {report.resolve().as_uri()}")
    print("Now with pictures of your own:")
    print(following.planning())
    return 0


def _claim(config: DemoConfig) -> None:
    """Notes the flags of a demo in its folder, and refuses one that began with others.

    Raises:
      UsageError: it did.
    """
    root = Path(config.dir)
    noted = root / _FLAGS
    try:
        begun = {**config.size, **json.loads(noted.read_text(encoding="utf-8"))}
    except FileNotFoundError:
        if _is_full(root):  # Of a version that noted nothing: nobody knows its flags.
            return
        root.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(noted, json.dumps(config.size).encode())
        return
    except (ValueError, TypeError):
        raise UsageError(f"{noted} is damaged: give another folder, or remove {root}") from None
    if begun == config.size:
        return
    other = dataclasses.replace(config, dir=following.free(config.dir))
    changed = " ".join(f"--{n}={v}" for n, v in begun.items() if v != config.size[n])
    again = _typed(dataclasses.replace(config, **begun))
    raise UsageError(
        f"{root} holds a demo of {changed}: to carry on with it, `{again}`; for these flags "
        f"another folder, `{_typed(other)}`, or remove this one first, "
        f"`rm -r {shlex.quote(config.dir)}`"
    )


def _is_full(root: Path) -> bool:
    return any((root / name).exists() for name in ("town", "shards", "run"))


def _typed(config: DemoConfig) -> str:
    """Returns the command of a demo, as a person types it."""
    given = (word for word in flags.command_line(config) if not word.startswith("--dir="))
    return shlex.join(("evenshard", "demo", config.dir, *given))


COMMAND = Command(
    module="evenshard.demo",
    summary=(
        "Draws a town of 42 citizens, bakes its pictures, verifies, trains a small network and "
        "predicts, from nothing and without a network connection. Each step is shown as the "
        "command that a person would type."
    ),
    arguments="[DIR]",
    config=DemoConfig,
    main=run_demo,
    examples="evenshard demo\nevenshard demo small --scale=0.02 --epochs=2",
    notes=(
        "Finished steps are skipped, so the same command carries on where it stopped. Other flags "
        "need another folder."
    ),
    after_interrupt="the same command carries on",
)


if __name__ == "__main__":
    sys.exit(COMMAND.run())
