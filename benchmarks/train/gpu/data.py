"""Data sets to train on, written on the spot: no bake, no Beam, no pictures are needed.

A few hundred synthetic pictures come again and again under ids of their own: decoding a picture
takes as long whether it was seen before or not.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from PIL import Image

from benchmarks import datasets
from benchmarks.train.gpu.cases import CLASSES
from tfrecords import example, framing, manifest
from tfrecords.images import canonicalise
from tfrecords.schema import TRAIN, VALIDATION, Encoding, ImageRecord, ImageSpec
from tfrecords.sharding import shard_name

NAME = "synthetic"
SHARDS = 8


def write(folder: Path, side: int, records: int, distinct: int) -> Path:
    """Returns the folder with a data set of JPEGs in it; made once.

    Args:
      folder: of the data set.
      side: pixels of a picture.
      records: of the train split; validation has a tenth, and one of each class at least.
      distinct: pictures, a multiple of `CLASSES`.
    """
    if (folder / manifest.MANIFEST).exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    spec = ImageSpec(side, side, encoding=Encoding.JPEG)
    pictures = [_encoded(number, spec) for number in range(distinct)]
    splits = tuple(
        _write_split(folder, name, count, pictures)
        for name, count in ((TRAIN, records), (VALIDATION, max(CLASSES, records // 10)))
    )
    digests = {
        "sources": manifest.digest_of_sources([]),
        "config": manifest.digest_of_config({"seed": 0}),
        "dataset": manifest.digest_of_shards(splits),
    }
    made = manifest.Manifest(
        name=NAME,
        classes=tuple(f"class{label:02d}" for label in range(CLASSES)),
        image=spec,
        splits=splits,
        statuses={"kept": sum(split.records for split in splits)},
        config={"seed": 0},
        digests=digests,
    ).sealed()
    (folder / manifest.MANIFEST).write_text(made.to_json(), encoding="utf-8")
    return folder


def _encoded(number: int, spec: ImageSpec) -> bytes:
    drawn = datasets.picture(number, (spec.width, spec.height))
    return canonicalise.encode(Image.open(io.BytesIO(drawn)).convert("RGB"), spec)


def _write_split(folder: Path, split: str, count: int, pictures: list[bytes]) -> manifest.SplitInfo:
    count -= count % CLASSES
    shards = []
    for shard in range(SHARDS):
        data = b"".join(
            framing.frame(example.encode(_record(split, number, pictures)))
            for number in range(shard, count, SHARDS)
        )
        name = shard_name(NAME, split, shard, SHARDS)
        (folder / name).write_bytes(data)
        held = len(range(shard, count, SHARDS))
        shards.append(manifest.ShardInfo(name, held, len(data), hashlib.sha256(data).hexdigest()))
    none = (0,) * CLASSES
    return manifest.SplitInfo(split, (count // CLASSES,) * CLASSES, none, tuple(shards))


def _record(split: str, number: int, pictures: list[bytes]) -> ImageRecord:
    rank, label = divmod(number, CLASSES)
    id_ = f"class{label:02d}/{split}{rank:05d}.jpg"
    return ImageRecord(pictures[number % len(pictures)], label, id_, rank, 0)
