"""Grain on ArrayRecord files of the same encoded images, with its own worker processes."""

from __future__ import annotations

import argparse
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grain
import numpy as np
from array_record.python import array_record_module
from PIL import Image

from benchmarks.harness import pace


def convert(folder: Path) -> list[str]:
    """Writes an ArrayRecord file beside each tar: the label in 8 bytes, then the image."""
    names = []
    for tar in sorted(folder.glob("*.tar")):
        target = tar.with_suffix(".array_record")
        names.append(str(target))
        if target.exists():
            continue
        # As Grain's guide has it: one record a group is what random access wants.
        building = target.with_suffix(".building")
        writer = array_record_module.ArrayRecordWriter(str(building), "group_size:1")
        with tarfile.open(tar) as file:
            members = [file.extractfile(member).read() for member in file]
        for image, label in zip(members[::2], members[1::2], strict=True):
            writer.write(int(label).to_bytes(8, "little") + image)
        writer.close()
        building.rename(target)
    return names


class Decode:
    """Turns a record into pixels and label; a class, so that workers can unpickle it."""

    def __init__(self, side: int, raw: bool) -> None:
        self._shape = (side, side, 3)
        self._raw = raw

    def __call__(self, record: bytes) -> tuple[np.ndarray, int]:
        label, image = int.from_bytes(record[:8], "little"), record[8:]
        if self._raw:
            return np.frombuffer(image, np.uint8).reshape(self._shape), label
        return np.asarray(Image.open(io.BytesIO(image)).convert("RGB")), label


def stream(names: list[str], side: int, raw: bool, batch: int) -> Iterator[Any]:
    """Yields (images, labels) without end."""
    source = grain.sources.ArrayRecordDataSource(names)
    records = grain.MapDataset.source(source).shuffle(seed=0).repeat()
    decoded = records.map(Decode(side, raw)).to_iter_dataset()
    workers = len(os.sched_getaffinity(0))
    batched = decoded.batch(batch, drop_remainder=True)
    return iter(batched.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--side", type=int, default=224)
    flags = parser.parse_args()
    # Grain hands absl's flags to its workers: they must have been parsed.
    from absl import flags as absl_flags

    absl_flags.FLAGS(["grain_stream"])
    names = convert(flags.folder)
    raw = flags.folder.name.endswith("-raw")
    pace.measure(
        lambda: stream(names, flags.side, raw, flags.batch),
        lambda batch: len(batch[0]),
        flags.seconds,
    )


if __name__ == "__main__":
    main()
