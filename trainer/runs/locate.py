"""Where the data set that a run was trained on is now: known by its digest, wherever it lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tfrecords import locations
from tfrecords.errors import TrainerError
from tfrecords.locations import Folder
from tfrecords.manifest import ManifestError
from trainer import remote
from trainer.runs.config_file import DatasetIdentity, RunConfig

# A data set is looked for in the run, beside it, and beside the directory that holds the run.
_LEVELS = 3


def identity(name: str, digest: str, data_dir: str, run_dir: str | Path) -> DatasetIdentity:
    """Returns the identity of a data set and where it lies, as config.json records them.

    Args:
      name: of the data set.
      digest: of its shards.
      data_dir: as given.
      run_dir: of the run.
    """
    if locations.is_url(data_dir):
        return DatasetIdentity(name, digest)
    absolute = locations.absolute(data_dir)
    relative = os.path.relpath(absolute, os.path.abspath(run_dir))
    return DatasetIdentity(name, digest, absolute, relative)


def data_dir(run_dir: str | Path, stored: RunConfig) -> Folder:
    """Returns the directory of the data set that a run was trained on.

    It is looked for as given to the run, then where it was on that machine, then where it was
    relative to the run, then by its name beside the run.

    Raises:
      TrainerError: none of these holds a data set of the run's digest.
      UsageError: a URL that TensorFlow does not read.
    """
    digest = stored.dataset.digest
    others: list[str] = []
    tried: list[str] = []
    for place in _places(Path(run_dir), stored):
        folder = remote.folder(place)
        tried.append(place)
        try:
            there = remote.load(folder).digest
        except ManifestError:
            continue
        if there == digest:
            return folder
        others.append(f"{place} holds another ({there[:12]}…)")
    what = f"the data set that {run_dir} was trained on ({digest[:12]}…)"
    if others:
        raise TrainerError(
            f"{what} is gone: {'; '.join(others)}, such as one that was baked again; give "
            "--data_dir to name the data set to use"
        )
    raise TrainerError(f"{what} is in none of {', '.join(tried)}: give --data_dir")


def _places(run_dir: Path, stored: RunConfig) -> Iterator[str]:
    """Yields the paths to look in, each once, the likeliest first."""
    given, known = stored.flags.data_dir, stored.dataset
    yield given
    if locations.is_url(given):
        return
    seen = {os.path.realpath(given)}
    run = Path(os.path.abspath(run_dir))
    name = Path(known.absolute or given).name
    places = [known.absolute, str(run / known.relative) if known.relative else ""]
    places += [str(parent / name) for parent in [run, *run.parents][:_LEVELS] if name]
    for place in filter(None, places):
        real = os.path.realpath(place)
        if real not in seen:
            seen.add(real)
            yield os.path.normpath(place)
