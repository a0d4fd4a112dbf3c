"""The sources.parquet that a bake of `fakes.write_dataset` would have written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tfrecords import example, framing, ledger
from tfrecords.manifest import Manifest


def write(
    root: Path, manifest: Manifest, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Writes the ledger, every picture a group of its own, and returns its rows.

    Args:
      root: of the data set.
      manifest: of it.
      changes: key → columns with other values than these.
    """
    rows = []
    for split in manifest.splits:
        for shard in split.shards:
            for position, data in enumerate(framing.read_records(str(root / shard.filename))):
                record = example.decode(data)
                if record.copy:
                    continue
                number = len(rows)
                place = {"shard": shard.filename, "position": position, "split": split.name}
                kind = {"class": manifest.classes[record.label], "rank": record.rank, "copies": 0}
                file = {"sha256": f"{number:064x}", "bytes": 12_345, "phash": number}
                picture = {"width": 640, "height": 480, "format": "JPEG", "mode": "RGB"}
                row = {"key": record.id, "status": "kept", "group": number}
                rows.append(row | place | kind | file | picture)
    rows = sorted(
        (row | dict((changes or {}).get(row["key"], {})) for row in rows), key=lambda r: r["key"]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=ledger.SCHEMA), root / "sources.parquet")
    return rows
