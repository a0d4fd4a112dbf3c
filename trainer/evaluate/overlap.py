"""Whether a split that is to be judged on was seen, or nearly seen, in training."""

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
    """A picture that is judged on, beside one that was trained on.

    Attributes:
      key: of the picture judged on.
      trained_key: of one that is, or nearly is, the same picture.
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
      selection: the classes, and of train the ranks, that take part.
    """

    data_dir: Folder
    manifest: Manifest
    split: str
    selection: Selection


def find(trained: Part, judged: Part) -> list[Leak]:
    """Returns the pictures of `judged` that `trained` holds, or nearly holds, in key order.

    Within one bake near-duplicates have one group, so groups are compared. Two bakes number
    their groups differently: of those the files' sha256 are compared and the pictures'
    perceptual hashes, which find what is the same after resizing, not all that is near.

    Raises:
      ledger.LedgerError: a data set has no readable sources.parquet.
    """
    one_bake = trained.manifest.digest == judged.manifest.digest
    names = ("group",) if one_bake else ("sha256", "phash")
    seen: dict[str, dict[object, str]] = {name: {} for name in names}
    for row in _rows(trained):
        for name in names:
            seen[name].setdefault(row[name], row["key"])
    leaks = []
    for row in _rows(judged):
        for name in names:
            if row[name] is not None and row[name] in seen[name]:
                leaks.append(Leak(row["key"], seen[name][row[name]], name))
                break
    return sorted(leaks, key=lambda leak: leak.key)


def explain(leaks: Collection[Leak], split: str) -> str:
    """Returns one line on leaks that were found, with the first as an example."""
    first = next(iter(leaks))
    shared = {
        "group": "are near-duplicates of pictures that the run trained on",
        "sha256": "are files that the run trained on",
        "phash": "look the same as pictures that the run trained on",
    }[first.why]
    example = "itself" if first.key == first.trained_key else repr(first.trained_key)
    return (
        f"{len(leaks):,} pictures of split {split!r} {shared} ({first.key!r}: {example}): "
        "the result would flatter"
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
