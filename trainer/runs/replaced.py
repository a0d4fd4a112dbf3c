"""A run that another one replaces: moved aside, and deleted once its successor has a checkpoint."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tfrecords.errors import TrainerError
from tfrecords.system import atomic
from trainer.runs.config_file import CONFIG

# In the new run: the name of the directory beside it that holds the one before.
MARKER = ".replaces"


def was_trained(run_dir: Path) -> bool:
    """Returns whether a directory holds results of training: a checkpoint, a network, a report."""
    results = ("model.keras", "report/index.html")
    return any((run_dir / "checkpoints").glob("*.ckpt")) or any(
        (run_dir / name).exists() for name in results
    )


def move_aside(run_dir: Path) -> Path:
    """Renames a run's directory to the first free of `RUN.old-1`, `RUN.old-2`, …; returns it.

    Raises:
      TrainerError: it cannot be renamed; nothing is changed.
    """
    aside = _free_name(run_dir)
    try:
        os.rename(run_dir, aside)
    except OSError as error:
        raise TrainerError(
            f"--noresume: cannot move the run in {run_dir} aside to {aside}: {error.strerror}; "
            "move it yourself, or give another --run_dir"
        ) from error
    return aside


def remember(run_dir: Path, aside: Path) -> None:
    """Notes in a new run which directory beside it holds the one before."""
    atomic.write_text(run_dir / MARKER, aside.name)


def kept(run_dir: Path) -> Path | None:
    """Returns the directory of the run that this one replaces, if it is still there."""
    try:
        name = (run_dir / MARKER).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    aside = run_dir.with_name(Path(name).name) if Path(name).name else run_dir
    # A damaged marker must never name what is to be deleted.
    is_ours = aside.name.startswith(f"{run_dir.name}.old-") and aside.is_dir()
    return aside if is_ours else None


def forget(run_dir: Path) -> None:
    """Deletes the run that this one replaces, if any: to be called after the first checkpoint.

    A folder with a page or a network, and nothing else that a run has, may be somebody's own: it
    stays aside.
    """
    if not (run_dir / MARKER).exists():
        return
    aside = kept(run_dir)
    if aside is not None and _is_run(aside):
        shutil.rmtree(aside, ignore_errors=True)
    (run_dir / MARKER).unlink(missing_ok=True)


def _is_run(folder: Path) -> bool:
    return (folder / CONFIG).exists() or any((folder / "checkpoints").glob("*.ckpt"))


def _free_name(run_dir: Path) -> Path:
    number = 1
    while os.path.lexists(run_dir.with_name(f"{run_dir.name}.old-{number}")):
        number += 1
    return run_dir.with_name(f"{run_dir.name}.old-{number}")
