"""Draws a town into a directory: plan, draw in processes, truth last."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from evenshard.springfield_like import files, truth
from evenshard.springfield_like.encode import file_bytes
from evenshard.springfield_like.files import PlannedFile
from evenshard.springfield_like.options import Options
from tfrecords.system import atomic

PICTURES, UNLABELLED, TRUTH = "pictures", "unlabelled", "truth.json"
UNLABELLED_CSV, SAMPLE_CSV = "unlabelled.csv", "sample_submission.csv"
_MARKER = ".springfield_like.json"

# Raise it with any change to what is drawn: a town of another version is drawn again.
DRAWING_VERSION = 1

_BATCH = 16


class TownError(Exception):
    """The town cannot be drawn; the message says what to do."""


@dataclass(frozen=True)
class Town:
    """What `draw_town` made.

    Attributes:
      files: of the class folders, sound or not.
      counts: kind → files.
      drawn: whether they were drawn now, or found complete from before.
    """

    files: int
    counts: dict[str, int]
    drawn: bool


def draw_town(options: Options, quiet: bool = False) -> Town:
    """Draws the town, unless the same one is already there complete.

    Raises:
      TownError: the output directory holds something else.
      OSError: a file cannot be written.
    """
    root = options.output_dir
    _refuse_foreign(root)
    sizes = files.class_sizes(options.scale, options.classes)
    pictures = files.plan_pictures(options.seed, sizes)
    unlabelled = files.plan_unlabelled(options.seed, options.unlabelled, options.classes)
    config = _config(options)
    if _is_complete(root, config, len(pictures) + len(unlabelled)):
        if unlabelled and not (root / SAMPLE_CSV).exists():  # Drawn before there were samples.
            (root / SAMPLE_CSV).write_text(_sample(unlabelled))
        return Town(len(pictures), truth.counts(pictures), drawn=False)
    _clear(root)
    (root / _MARKER).write_text(json.dumps(config) + "\n")
    _draw_all(root, options, [*pictures, *unlabelled], quiet)
    if unlabelled:
        (root / UNLABELLED_CSV).write_text(_answers(unlabelled))
        (root / SAMPLE_CSV).write_text(_sample(unlabelled))
    atomic.write_text(root / TRUTH, truth.as_json(config, pictures, unlabelled))
    return Town(len(pictures), truth.counts(pictures), drawn=True)


def _config(options: Options) -> dict[str, Any]:
    return {
        "made_by": "examples.springfield_like",  # Its first name: towns drawn then still count.
        "drawing_version": DRAWING_VERSION,
        "seed": options.seed,
        "scale": options.scale,
        "classes": options.classes,
        "unlabelled": options.unlabelled,
    }


def _is_complete(root: Path, config: dict[str, Any], count: int) -> bool:
    try:
        found = json.loads((root / _MARKER).read_text())
    except (OSError, ValueError):
        return False
    if found != config or not (root / TRUTH).exists():
        return False
    drawn = (len(names) for part in (PICTURES, UNLABELLED) for *_, names in os.walk(root / part))
    return sum(drawn) == count


def _refuse_foreign(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise TownError(f"--output_dir={root} is a file; give a directory")
    if root.exists() and any(root.iterdir()) and not (root / _MARKER).exists():
        raise TownError(
            f"--output_dir={root} is not empty and was not made by this command; "
            "give an empty or a new directory"
        )


def _clear(root: Path) -> None:
    """Removes what this command drew before; other files in `root` stay."""
    root.mkdir(parents=True, exist_ok=True)
    # The truth goes first: without it the rest is known to be incomplete.
    for name in (TRUTH, UNLABELLED_CSV, SAMPLE_CSV):
        (root / name).unlink(missing_ok=True)
    for name in (PICTURES, UNLABELLED):
        if (root / name).exists():
            shutil.rmtree(root / name)


def _draw_all(root: Path, options: Options, planned: Sequence[PlannedFile], quiet: bool) -> None:
    for folder in sorted({_path(root, file).parent for file in planned}):
        folder.mkdir(parents=True, exist_ok=True)
    tasks = [(root, options.seed, planned[i : i + _BATCH]) for i in range(0, len(planned), _BATCH)]
    if options.workers == 1 or len(tasks) == 1:
        _report(map(_draw_batch, tasks), len(planned), quiet)
        return
    # Spawned, not forked: the same on every system, and safe beside threads.
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(options.workers, len(tasks))) as pool:
        _report(pool.imap_unordered(_draw_batch, tasks), len(planned), quiet)


def _draw_batch(task: tuple[Path, int, Sequence[PlannedFile]]) -> int:
    root, seed, batch = task
    for file in batch:
        _path(root, file).write_bytes(file_bytes(seed, file))
    return len(batch)


def _path(root: Path, file: PlannedFile) -> Path:
    return root / file.split / file.key


def _answers(unlabelled: Sequence[PlannedFile]) -> str:
    rows = [f"{file.key},{file.citizen.name}" for file in unlabelled]
    return "\n".join(["Id,Expected", *rows]) + "\n"


def _sample(unlabelled: Sequence[PlannedFile]) -> str:
    """Returns a sample submission: as those of contests, it has one class for all pictures."""
    any_class = min(file.citizen.name for file in unlabelled)
    return "\n".join(["Id,Expected", *(f"{file.key},{any_class}" for file in unlabelled)]) + "\n"


def _report(done: Iterator[int], total: int, quiet: bool) -> None:
    """Consumes `done`, with a bar on a terminal and a line a tenth elsewhere."""
    if quiet or sys.stderr.isatty():
        with tqdm(total=total, unit="picture", desc="drawing", disable=quiet) as bar:
            for count in done:
                bar.update(count)
        return
    drawn = tenths = 0
    for count in done:
        drawn += count
        if drawn * 10 // total > tenths:
            tenths = drawn * 10 // total
            print(f"drawing: {drawn:,} of {total:,} pictures", file=sys.stderr, flush=True)
