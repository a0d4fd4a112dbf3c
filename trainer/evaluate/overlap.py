"""Finds pictures of a split that a run has already been trained on, or nearly so."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfrecords import ledger
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from trainer.data.selection import Selection

_COLUMNS = ("key", "class", "sha256", "phash", "group", "split", "rank", "shard")


@dataclass(frozen=True)
class Leak:
    """An evaluated picture that was, or nearly was, trained on.

    Attributes:
      key: of the evaluated picture.
      trained_key: of a training picture that is the same or nearly the same.
      why: "group", "sha256" or "phash": what the two share.
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


def find(trained: Part, evaluated: Part) -> list[Leak]:
    """Returns the pictures of `evaluated` that `trained` holds, or nearly holds, in key order.

    Near-duplicates of one bake share a group, so groups are compared. Two bakes number their
    groups differently: there the files' sha256 and the pictures' perceptual hashes are compared.
    Those find pictures that are the same after resizing, but not every near-duplicate.

    Raises:
      ledger.LedgerError: a data set has no readable sources.parquet.
    """
    one_bake = trained.manifest.digest == evaluated.manifest.digest
    names = ("group",) if one_bake else ("sha256", "phash")
    seen: dict[str, dict[object, str]] = {name: {} for name in names}
    for row in _rows(trained):
        for name in names:
            seen[name].setdefault(row[name], row["key"])
    leaks = []
    for row in _rows(evaluated):
        for name in names:
            if row[name] is not None and row[name] in seen[name]:
                leaks.append(Leak(row["key"], seen[name][row[name]], name))
                break
    return sorted(leaks, key=lambda leak: leak.key)


def explain(leaks: Collection[Leak], split: str) -> str:
    """Returns one line about leaks, with the first as an example."""
    first = next(iter(leaks))
    shared = {
        "group": "are near-duplicates of pictures that the run was trained on",
        "sha256": "are files that the run was trained on",
        "phash": "look the same as pictures that the run was trained on",
    }[first.why]
    example = "itself" if first.key == first.trained_key else repr(first.trained_key)
    return (
        f"{len(leaks):,} pictures of split {split!r} {shared} ({first.key!r}: {example}): "
        "the result would be too good"
    )


def _rows(part: Part) -> Iterator[dict[str, Any]]:
    """Yields the ledger's rows of the originals that take part."""
    classes = pa.array(part.selection.classes, pa.string())
    for batch in ledger.stream(part.data_dir, _COLUMNS):
        table = pa.Table.from_batches([batch])
        keep = pc.and_(pc.equal(table["split"], part.split), pc.is_valid(table["shard"]))
        keep = pc.and_(keep, pc.is_in(table["class"], classes))
        if part.selection.max_rank is not None:
            keep = pc.and_(keep, pc.less(table["rank"], part.selection.max_rank))
        yield from table.filter(keep).to_pylist()
