"""What the cases compare with, made once: pictures, a bake, a training and a sweep undisturbed."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np

from tests.support.datasets import fakes
from tests.support.processes import commands
from tests.support.runs import runs
from tests.torture import case
from tests.torture.case import Lost

BAKE, TRAIN, SWEEP = "beam_pipelines.prepare", "trainer.train", "trainer.sweep"

_BAKE_FLAGS = ("--image_size=24", "--per_class=30", "--encoding=png", "--workers=2")
_EPOCHS = 3
_GRID = """
base: {model: "tests.support.networks.tiny:network", epochs: 2, batch_size: 8, learning_rate: 0.02}
grid: {per_class: [10, 20]}
"""


def make(bench: Path, needs: frozenset[str]) -> None:
    """Makes what is not there yet, and notes how long each command takes.

    Args:
      bench: folder.
      needs: "bake", "train" and "sweep", each of which needs the one before.
    """
    bench.mkdir(parents=True, exist_ok=True)
    if not (bench / "in").exists():
        fakes.write_folders(bench / "in.half", {"apu": 45, "bart": 20, "carl": 9}, side=40)
        (bench / "in.half" / "bart" / "broken.jpg").write_bytes(b"not a picture")
        (bench / "in.half").rename(bench / "in")
    if needs:
        _timed(bench, "o", BAKE, *bake_flags(bench / "in", bench / "o"))
    if needs & {"train", "sweep", "use"}:
        _timed(bench, "r", TRAIN, *train_flags(bench / "o", bench / "r"))
    if "sweep" in needs:
        _timed(bench, "s", SWEEP, *sweep_flags(bench, bench / "s"))


def seconds(bench: Path, name: str) -> float:
    """Returns how long a command of the bench took undisturbed."""
    return float(json.loads((bench / f"{name}.seconds").read_text()))


def bake_flags(input_dir: Path, output_dir: Path) -> tuple[str, ...]:
    """Returns the flags of the bake."""
    return (f"--input_dir={input_dir}", f"--output_dir={output_dir}", *_BAKE_FLAGS)


def train_flags(data_dir: Path, run_dir: Path) -> tuple[str, ...]:
    """Returns the flags of the training."""
    return (
        f"--data_dir={data_dir}",
        f"--run_dir={run_dir}",
        "--model=tests.support.networks.tiny:network",
        "--batch_size=8",
        f"--epochs={_EPOCHS}",
        "--checkpoint_steps=2",
        "--learning_rate=0.02",
        "--progress=none",
    )


def sweep_flags(bench: Path, runs_dir: Path) -> tuple[str, ...]:
    """Returns the flags of the sweep."""
    grid = bench / "grid.yaml"
    if not grid.exists():
        grid.write_text(_GRID)
    return (
        f"--data_dir={bench / 'o'}", f"--runs_dir={runs_dir}", f"--grid={grid}", "--progress=none"
    )  # fmt: skip


def require_same_data_set(data_dir: Path, other: Path) -> None:
    """Raises Lost unless two data sets are the same bytes, and the bake left nothing else."""
    here, there = commands.digests(data_dir), commands.digests(other)
    if here != there:
        names = sorted({*here, *there})
        changed = [name for name in names if here.get(name) != there.get(name)]
        raise Lost(f"the data set differs from the undisturbed one: {changed}")
    case.require_clean(data_dir)
    if (data_dir / ".cache").exists():
        raise Lost("the bake ended and left its cache")
    if not (data_dir / "report" / "index.html").exists():
        raise Lost("the bake ended well without a report")


def require_same_run(run_dir: Path, other: Path) -> None:
    """Raises Lost unless two runs end with the same weights, metrics and predictions."""
    from trainer.metrics import predictions
    from trainer.runs.checkpoints import Store

    try:
        runs.assert_same_end(run_dir, other)
        first, second = (Store(folder / "checkpoints").best() for folder in (run_dir, other))
        assert first is not None and second is not None
        for name, values in first.arrays.items():
            np.testing.assert_array_equal(values, second.arrays[name], err_msg=f"best {name}")
        tables = [predictions.read(folder / predictions.FILENAME) for folder in (run_dir, other)]
        np.testing.assert_array_equal(tables[0][0].logits, tables[1][0].logits)
        assert (run_dir / "model.keras").stat().st_size > 0
        assert (run_dir / "report" / "index.html").exists()
    except (AssertionError, OSError) as error:
        raise Lost(f"the run differs from the undisturbed one: {str(error)[:500]}") from error
    case.require_clean(run_dir)


def _timed(bench: Path, name: str, module: str, *flags: str) -> None:
    """Runs a command that writes to a folder of the bench, unless it has."""
    note = bench / f"{name}.seconds"
    if note.exists():
        return
    shutil.rmtree(bench / name, ignore_errors=True)
    started = time.monotonic()
    case.run(module, *flags).require_done(f"the undisturbed {module}")
    note.write_text(json.dumps(time.monotonic() - started))
