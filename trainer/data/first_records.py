"""Whether shards of raw pixels are those of their data set, by the first pictures of each.

Shards of JPEG and PNG of two bakes differ in size, and a split of which one has another size than
the manifest says is not opened. Raw pictures of one shape and ids of one length all have the same
size: a shard that was copied from another bake would be trained on in silence. `sources.parquet`
says which picture stands where, and has its perceptual hash, which raw pixels give exactly. Only
`evenshard verify` reads every byte.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tfrecords import example, framing, ledger
from tfrecords.errors import TrainerError
from tfrecords.images import canonicalise, fingerprints
from tfrecords.images.canonicalise import PIXELS_VERSION
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from tfrecords.schema import Encoding, ImageSpec, record_id
from trainer.data.selection import Source

# Originals are looked for among so many records of a shard, and so many of them are looked at.
_RECORDS, _PICTURES = 64, 4

# Of a picture: its place in the shard, its key, its perceptual hash.
_Row = tuple[int, str, int | None]


def check(manifest: Manifest, *sources: Source) -> None:
    """Checks the first pictures of each shard of raw pixels, on a local disk.

    A data set without a readable ledger is not checked: what needs it says so.

    Args:
      manifest: of the data set.
      *sources: its splits that are to be read.

    Raises:
      TrainerError: a shard holds other pictures than the data set has there, or is damaged.
    """
    read = (path for source in sources for path in source.shard_paths)
    paths = {path.name: path for path in read if isinstance(path, Path)}
    if manifest.image.encoding is not Encoding.RAW or not paths:
        return
    # Pixels of other rules than today's have hashes of other rules, too.
    hashed = manifest.config.get("pixels_version", PIXELS_VERSION) == PIXELS_VERSION
    try:
        rows = _first_rows(sources[0].data_dir, paths)
    except ledger.LedgerError:
        return
    for name, of_shard in sorted(rows.items()):
        try:
            what = _fault(paths[name], of_shard, manifest.image, hashed=hashed)
        except (OSError, ValueError) as error:
            raise TrainerError(f"{error}: bake again, or restore the file") from error
        if what:
            raise TrainerError(
                f"shard {paths[name]} is not of this data set: {what}; bake again, or restore "
                "the file (`evenshard verify` checks them all)"
            )


def _first_rows(data_dir: Folder, shards: Collection[str]) -> dict[str, list[_Row]]:
    """Returns what the ledger says of the first originals of each shard."""
    found: dict[str, list[_Row]] = {}
    names = pa.array(sorted(shards), pa.string())
    for batch in ledger.stream(data_dir, ("key", "phash", "shard", "position")):
        rows = pa.Table.from_batches([batch])
        early = pc.fill_null(pc.less(rows["position"], _RECORDS), False)
        rows = rows.filter(pc.and_(early, pc.is_in(rows["shard"], names)))
        for row in rows.to_pylist():
            known = found.setdefault(row["shard"], [])
            known.append((row["position"], row["key"], row["phash"]))
            if len(known) > 2 * _PICTURES:
                known[:] = sorted(known)[:_PICTURES]
    return {name: sorted(known)[:_PICTURES] for name, known in found.items()}


def _fault(path: Path, rows: list[_Row], spec: ImageSpec, *, hashed: bool) -> str:
    """Returns what one of the pictures is that should be another; "" where none is."""
    payloads = dict(_payloads(path, {position for position, _, _ in rows}))
    for position, key, phash in rows:
        if position not in payloads:
            return f"it has no record {position}, which sources.parquet says is {key!r}"
        record = example.decode(payloads[position])
        if record.id != record_id(key, 0):
            return f"its record {position} is {record.id!r}, sources.parquet says {key!r}"
        if not hashed or phash is None:
            continue
        if fingerprints.difference_hash(canonicalise.decode_record(record.image, spec)) != phash:
            return f"its record {position}, {key!r}, has other pixels than sources.parquet says"
    return ""


def _payloads(path: Path, positions: Collection[int]) -> Iterator[tuple[int, bytes]]:
    """Yields (position, payload) of some records; of the others only the length is read."""
    with path.open("rb") as file:
        yield from framing.read_at(file, str(path), positions)
