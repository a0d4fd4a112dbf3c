"""Finds pictures of a split that a run has already been trained on, or nearly so."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from trainer.data.selection import Selection
from trainer.runs import trained_on
from trainer.runs.trained_on import TrainedOn


@dataclass(frozen=True)
class Leak:
    """An evaluated picture that was, or nearly was, trained on.

    Attributes:
      key: of the evaluated picture.
      trained_key: of a training picture that is the same or nearly the same.
      why: "group", "sha256" or "phash": what the two share; "named" for a group that may be of what
        a flag of the bake names, as the pictures of one patient.
    """

    key: str
    trained_key: str
    why: str


@dataclass(frozen=True)
class Part:
    """Some pictures of a data set.

    Attributes:
      data_dir: of the data set.
      manifest: its manifest.
      split: name of the split.
      selection: the classes, and for train the ranks, that take part.
    """

    data_dir: Folder
    manifest: Manifest
    split: str
    selection: Selection


def find(trained: Sequence[TrainedOn], evaluated: Part) -> list[Leak]:
    """Returns the pictures of `evaluated` that a run was trained on, or nearly, in key order.

    Near-duplicates of one bake share a group, so groups are compared. Two bakes number their
    groups differently: there the files' sha256 and the pictures' perceptual hashes are compared.
    Those find pictures that are the same after resizing, but not every near-duplicate.

    Args:
      trained: by data set: a fork was trained on what the run that it began with was, too.
      evaluated: the pictures in question.

    Raises:
      ledger.LedgerError: the evaluated data set has no readable sources.parquet.
    """
    pictures = trained_on.pictures_of(
        evaluated.data_dir,
        evaluated.split,
        evaluated.selection,
        evaluated.manifest.split_of_fold(evaluated.split),
    )
    config = evaluated.manifest.config
    named = bool(config.get("group_by") or config.get("group_column"))
    leaks: dict[str, Leak] = {}
    for each in trained:
        one_bake = each.digest == evaluated.manifest.digest
        for column in ("group",) if one_bake else ("sha256", "phash"):
            why = "named" if column == "group" and named else column
            for key, trained_key in _shared(each.pictures, pictures, column):
                leaks.setdefault(key, Leak(key, trained_key, why))
    return sorted(leaks.values(), key=lambda leak: leak.key)


def explain(leaks: Collection[Leak], split: str) -> str:
    """Returns one line about leaks, with the first as an example."""
    first = next(iter(leaks))
    shared = {
        "group": "are near-duplicates of pictures that the run was trained on",
        "named": "share a group (--group_by, --group_column or near duplicates) with pictures that "
        "the run was trained on",
        "sha256": "are files that the run was trained on",
        "phash": "look the same as pictures that the run was trained on",
    }[first.why]
    example = "itself" if first.key == first.trained_key else repr(first.trained_key)
    return (
        f"{len(leaks):,} pictures of split {split!r} {shared} ({first.key!r}: {example}): "
        "the result would be too good"
    )


def _shared(trained: pa.Table, evaluated: pa.Table, column: str) -> list[tuple[str, str]]:
    """Returns (key, first key trained on) of the evaluated pictures whose value was trained on."""
    values = pc.unique(pc.drop_null(evaluated[column]))
    seen = trained.filter(pc.is_in(trained[column], value_set=values))
    first: dict[object, str] = {}
    for key, value in zip(seen["key"].to_pylist(), seen[column].to_pylist(), strict=True):
        first.setdefault(value, key)
    hits = evaluated.filter(pc.is_in(evaluated[column], value_set=pc.unique(seen[column])))
    rows = zip(hits["key"].to_pylist(), hits[column].to_pylist(), strict=True)
    return [(key, first[value]) for key, value in rows if value is not None]
