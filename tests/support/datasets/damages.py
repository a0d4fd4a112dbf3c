"""Damages to a data set, each a function of its seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfrecords import verify as verifying
from tfrecords.checks.shards import Images
from tfrecords.manifest import ManifestError
from tfrecords.sharding import stable_hash

KINDS = ("flip", "cut", "swap", "delete", "append", "blank", "insert")


def damage(files: list[Path], seed: int) -> str:
    """Damages a data set in a way that is a function of the seed; says how."""
    rng = np.random.default_rng(stable_hash("damage", seed))
    kind = KINDS[rng.integers(len(KINDS))]
    path = files[rng.integers(len(files))]
    data = bytearray(path.read_bytes())
    at = int(rng.integers(len(data)))
    if kind == "flip":
        data[at] ^= 1 << int(rng.integers(8))
    elif kind == "cut":
        del data[at:]
    elif kind == "append":
        data += rng.bytes(int(rng.integers(1, 40))) if rng.integers(2) else b"\n"
    elif kind == "blank":
        length = int(rng.integers(1, 512))
        fill = 0 if any(data[at : at + length]) else 0xFF
        data[at : at + length] = bytes([fill]) * len(data[at : at + length])
    elif kind == "insert":
        data[at:at] = rng.bytes(1) if rng.integers(2) else b" "
    elif kind == "delete":
        path.unlink()
        return f"{seed}: {kind} {path.name}"
    elif kind == "swap":
        other = files[(files.index(path) + int(rng.integers(1, len(files)))) % len(files)]
        path.write_bytes(other.read_bytes())
        other.write_bytes(data)
        return f"{seed}: {kind} {path.name} and {other.name}"
    path.write_bytes(data)
    return f"{seed}: {kind} {path.name} at {at}"


def is_found(data_dir: Path) -> bool:
    try:
        return bool(verifying.verify(data_dir, images=Images.NONE).problems)
    except ManifestError as error:
        assert "\n" not in str(error)
        return True
