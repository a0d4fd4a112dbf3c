"""The pictures of a few records, found in the shards without reading all of them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from tfrecords import example, framing
from tfrecords.images import canonicalise
from tfrecords.locations import Folder
from tfrecords.manifest import SOURCES, Manifest
from tfrecords.schema import ImageRecord
from trainer import remote


@dataclass(frozen=True, order=True)
class Place:
    """Where a record lies.

    Attributes:
      shard: file name.
      position: index of the record within it.
    """

    shard: str
    position: int


def load(
    data_dir: str | Folder, manifest: Manifest, split: str, ids: Collection[str]
) -> dict[str, Image.Image]:
    """Returns the pictures of the records called `ids`; absent ones are left out.

    `sources.parquet` says which shards and how far into them; without it, or for ids that
    it does not have, the split's shards are searched.

    Raises:
      framing.DamagedRecordError: names the shard and the offset.
      manifest.ManifestError: no such split.
    """
    return {
        record.id: Image.fromarray(canonicalise.decode_record(record.image, manifest.image))
        for record in records(data_dir, manifest, split, ids)
    }


def records(
    data_dir: str | Folder, manifest: Manifest, split: str, ids: Collection[str]
) -> Iterator[ImageRecord]:
    """Yields the records called `ids`, in shard order; raises as `load`."""
    root, left = remote.folder(data_dir), set(ids)
    places = locate(root, left)
    for shard, group in itertools.groupby(sorted(places.values()), lambda place: place.shard):
        for record in _at(root / shard, [place.position for place in group]):
            if record.id in left:
                left.remove(record.id)
                yield record
    for info in manifest.split(split).shards:
        if not left:
            return
        for payload in framing.read_records(root / info.filename):
            record = example.decode(payload)
            if record.id in left:
                left.remove(record.id)
                yield record


def locate(data_dir: Folder, ids: Collection[str]) -> dict[str, Place]:
    """Returns the place of the originals among `ids` that `sources.parquet` knows."""
    if not ids:
        return {}
    wanted = pc.field("key").isin(sorted(ids)) & pc.field("shard").is_valid()
    try:
        with (data_dir / SOURCES).open("rb") as file:
            table = pq.read_table(file, columns=["key", "shard", "position"], filters=wanted)
    except FileNotFoundError:
        return {}
    return {row["key"]: Place(row["shard"], row["position"]) for row in table.to_pylist()}


def _at(path: Folder, positions: list[int]) -> Iterator[ImageRecord]:
    """Yields the records at `positions`, reading no further than the last."""
    wanted = set(positions)
    try:
        for position, payload in enumerate(framing.read_records(path)):
            if position in wanted:
                yield example.decode(payload)
            if position >= positions[-1]:
                return
    except FileNotFoundError:
        return  # Of another bake than the ledger: the split's own shards are searched.
