"""Whether runs can answer together: the same classes by name. Needs no TensorFlow."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence

from tfrecords.errors import UsageError
from trainer.runs.config_file import RunConfig

_NAMED = 3


def named(parts: Sequence[str]) -> list[str]:
    """Returns the folders that a list separated by commas names; a name may have commas itself.

    Trials of a sweep do: `epochs=2,fold=0`. Parts that are only together the name of a folder are
    put together again.

    Args:
      parts: of the list.

    Raises:
      UsageError: the list can be read in more than one way.
    """
    readings = list(itertools.islice(_readings(tuple(parts)), 2))
    if len(readings) > 1:
        first, second = (", ".join(map(repr, reading)) for reading in readings)
        raise UsageError(
            f"--run_dir={','.join(parts)} may mean {first} or {second}: rename a folder, or give a "
            "link to it without a comma"
        )
    return list(readings[0]) if readings else list(parts)


def _readings(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yields the ways to put neighbouring parts together so that each is a folder."""
    if not parts:
        yield ()
    for end in range(1, len(parts) + 1):
        if os.path.isdir(name := ",".join(parts[:end])):
            for rest in _readings(parts[end:]):
                yield (name, *rest)


def check(run_dirs: Sequence[str]) -> tuple[str, ...]:
    """Returns the classes of runs that can answer together, in the first one's order.

    No network is read.

    Raises:
      UsageError: a run is given twice, or two differ in their classes.
      TrainerError: one is not a run.
    """
    if not run_dirs:
        raise UsageError("--run_dir is required: directory of a training run, or several")
    seen: dict[str, str] = {}
    for run_dir in run_dirs:
        real = os.path.realpath(run_dir)
        if real in seen:
            raise UsageError(
                f"--run_dir: {seen[real]} and {run_dir} are the same run: give it once"
            )
        seen[real] = run_dir
    first, *others = [RunConfig.read(run_dir).selection.classes for run_dir in run_dirs]
    for run_dir, classes in zip(run_dirs[1:], others, strict=True):
        told = difference(first, classes, run_dirs[0], run_dir)
        if told:
            raise UsageError(f"--run_dir: the runs differ in their classes: {told}")
    return first


def difference(ours: Iterable[str], theirs: Iterable[str], us: str, them: str) -> str:
    """Returns which names only one side has, "" where both have the same."""
    ours, theirs = list(ours), list(theirs)
    parts = [
        f"{len(names):,} only in {where} ({some(names)})"
        for names, where in (
            ([name for name in ours if name not in set(theirs)], us),
            ([name for name in theirs if name not in set(ours)], them),
        )
        if names
    ]
    return ", ".join(parts)


def some(names: Sequence[str]) -> str:
    """Returns the first few names, for people."""
    shown = ", ".join(map(repr, names[:_NAMED]))
    return f"{shown}, …" if len(names) > _NAMED else shown
