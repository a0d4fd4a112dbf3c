"""What each run of an evaluation is given: one data set for all, or each its own.

Runs of several bakes of the same pictures, such as two sizes, each see them as their own bake has
them, decoded and resized by its rules. That is one evaluation only where the split holds the same
files of the same classes in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tfrecords import ledger
from tfrecords.errors import TrainerError, UsageError
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from trainer import remote
from trainer.data.selection import Selection
from trainer.data.version import DataVersion
from trainer.evaluate.config import EvaluateConfig
from trainer.runs import locate
from trainer.runs.config_file import RunConfig

_COLUMNS = ("key", "class", "sha256", "shard")


@dataclass(frozen=True, eq=False)
class Given:
    """Records that one run or several are evaluated on.

    Attributes:
      data_dir: of the data set.
      manifest: of the data set, with the splits that its runs saw.
      selection: the classes that runs and data set share, less those that --classes leaves out.
      version: of the data set.
    """

    data_dir: Folder
    manifest: Manifest
    selection: Selection
    version: DataVersion


def data_dirs(
    config: EvaluateConfig, run_dirs: Sequence[str], stored: Sequence[RunConfig]
) -> tuple[Folder, ...]:
    """Returns the directory of the data set of each run: that of --data_dir, or its own.

    Raises:
      TrainerError: the data set that a run was trained on is gone.
      UsageError: a URL that TensorFlow does not read.
    """
    if config.data_dir:
        return (remote.folder(config.data_dir),) * len(run_dirs)
    found: dict[str, Folder] = {}
    for run_dir, each in zip(run_dirs, stored, strict=True):
        if each.dataset.digest not in found:
            found[each.dataset.digest] = locate.data_dir(run_dir, each)
    return tuple(found[each.dataset.digest] for each in stored)


def check_same(run_dirs: Sequence[str], given: Sequence[Given], split: str) -> None:
    """Checks that a split holds the same pictures of the same classes for all runs.

    Args:
      run_dirs: of the runs.
      given: of each run.
      split: its name.

    Raises:
      UsageError: one has others; names the run.
      TrainerError: it is not known which pictures one has.
    """
    first, *_ = given
    known: dict[str, dict[str, tuple[str, str]]] = {}
    for run_dir, each in zip(run_dirs, given, strict=True):
        if (digest := each.manifest.digest) not in known:
            known[digest] = _pictures(run_dir, each, split)
            if known[digest] != known[first.manifest.digest]:
                raise UsageError(
                    f"--run_dir: the runs differ in their data set, and {split!r} holds other "
                    f"pictures for {run_dir} ({_named(each)}) than for {run_dirs[0]} "
                    f"({_named(first)}): "
                    f"{_difference(known[first.manifest.digest], known[digest])}; "
                    "--data_dir names one data set for all, and `evenshard predict "
                    f"--run_dir={','.join(run_dirs)} --input=FOLDER` predicts pictures that no "
                    "run was trained on, to be compared with their classes"
                )


def _pictures(run_dir: str, given: Given, split: str) -> dict[str, tuple[str, str]]:
    """Returns key → (class, sha256) of the originals of a split."""
    shards = [shard.filename for shard in given.manifest.split(split).shards]
    of_split, classes = pa.array(shards, pa.string()), pa.array(given.selection.classes)
    found: dict[str, tuple[str, str]] = {}
    try:
        for batch in ledger.stream(given.data_dir, _COLUMNS):
            kept = pc.and_(pc.is_in(batch["shard"], of_split), pc.is_in(batch["class"], classes))
            rows = batch.filter(kept)
            values = (rows[name].to_pylist() for name in ("key", "class", "sha256"))
            found |= {key: (name, sha256) for key, name, sha256 in zip(*values, strict=True)}
    except ledger.LedgerError as error:
        raise TrainerError(
            f"{run_dir}: cannot check whether {split!r} holds the same pictures for all runs: "
            f"{error}; --data_dir names one data set for all"
        ) from error
    return found


def _difference(first: Mapping[str, tuple[str, str]], other: Mapping[str, tuple[str, str]]) -> str:
    """Returns how two sets of pictures differ, with an example."""
    differing = [key for key in sorted({*first, *other}) if first.get(key) != other.get(key)]
    if len(differing) == len({*first} ^ {*other}):
        how = "are in one of them only"
    else:
        how = "are in one of them only, or have another class or other bytes"
    return f"{len(differing):,} {how}, such as {differing[0]!r}"


def _named(given: Given) -> str:
    return f"{given.manifest.name}, {given.manifest.digest[:12]}…"
