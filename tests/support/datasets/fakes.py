"""Small real things to test on: pictures, class folders and data sets on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tfrecords import example, framing, ledger, manifest, tfds
from tfrecords.images import canonicalise, fingerprints
from tfrecords.schema import TRAIN, ImageRecord, ImageSpec, record_id, source_key
from tfrecords.sharding import shard_name, stable_hash

CLASSES = ("apu", "bart", "lisa")


def picture(
    seed: str | int, height: int = 24, width: int = 24, hue: int | None = None
) -> Image.Image:
    """Returns a smooth picture that is a function of `seed`; `hue` (0 to 255) tints it."""
    rng = np.random.default_rng(stable_hash("picture", seed))
    coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    if hue is None:
        return image
    tint = Image.new("HSV", (width, height), (hue, 255, 220)).convert("RGB")
    return Image.blend(image, tint, 0.6)


def picture_bytes(seed: str | int, format: str = "JPEG", **size: int) -> bytes:
    """Returns `picture` encoded as a file of `format`."""
    buffer = io.BytesIO()
    picture(seed, **size).save(buffer, format)
    return buffer.getvalue()


def write_folders(root: Path, counts: Mapping[str, int], side: int = 24) -> Path:
    """Writes `counts[name]` JPEGs into each class folder of `root`; classes differ in hue."""
    for index, (name, count) in enumerate(counts.items()):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            hue = index * 255 // len(counts)
            data = picture_bytes(f"{name}/{number}", height=side, width=side, hue=hue)
            (folder / f"{number:04d}.jpg").write_bytes(data)
    return root


def write_dataset(
    data_dir: Path,
    per_class: Mapping[str, Sequence[int]] | None = None,
    spec: ImageSpec | None = None,
    copies: int = 0,
    shards: int = 2,
) -> manifest.Manifest:
    """Writes a complete data set without the bake.

    Args:
      per_class: split name → originals of each class; three classes by default.
      spec: of the images; 16×16 PNG by default.
      copies: of each train class, ranked behind its originals.
      shards: of each split.
    """
    per_class = per_class or {TRAIN: (8, 5, 3), "validation": (2, 1, 1), "test": (2, 2, 2)}
    spec = spec or ImageSpec(16, 16, encoding="png")  # type: ignore[arg-type]  # A name is converted.
    classes = tuple(CLASSES[i] if i < 3 else f"class{i:02d}" for i in range(len(per_class[TRAIN])))
    data_dir.mkdir(parents=True, exist_ok=True)
    splits = []
    rows: dict[str, dict[str, object]] = {}
    for split, counts in per_class.items():
        extra = copies if split == TRAIN else 0
        records = [
            _record(classes, label, rank, count, split, spec)
            for label, count in enumerate(counts)
            for rank in range(count + extra)
        ]
        records.sort(key=lambda record: stable_hash(record.id))
        names = [shard_name("fake", split, i, shards) for i in range(shards)]
        infos = tuple(
            _write_shard(data_dir / name, records[i::shards]) for i, name in enumerate(names)
        )
        for i, name in enumerate(names):
            for position, record in enumerate(records[i::shards]):
                _add_row(rows, record, split, name, position, classes, spec)
        splits.append(manifest.SplitInfo(split, tuple(counts), (extra,) * len(counts), infos))
    table = pa.Table.from_pylist([rows[key] for key in sorted(rows)], ledger.SCHEMA)
    pq.write_table(table, data_dir / manifest.SOURCES)
    result = manifest.Manifest(
        name="fake",
        classes=classes,
        image=spec,
        splits=tuple(splits),
        statuses={"kept": sum(map(sum, per_class.values()))},
        config={"seed": 0},
        digests={
            "sources": manifest.digest_of_sources(
                zip(*(table[name].to_pylist() for name in ("key", "sha256")), strict=True)
            ),
            "config": manifest.digest_of_config({"seed": 0}),
            "dataset": manifest.digest_of_shards(tuple(splits)),
        },
    )
    return write_manifest(data_dir, result)


def write_manifest(data_dir: Path, unsealed: manifest.Manifest) -> manifest.Manifest:
    """Writes a manifest that covers the files as they are now, and those for TFDS; returns it."""
    texts = tfds.metadata_files(unsealed)
    for name, text in texts.items():
        (data_dir / name).write_text(text, encoding="utf-8")
    files = {
        name: hashlib.sha256((data_dir / name).read_bytes()).hexdigest()
        for name in (*texts, manifest.SOURCES)
    }
    sealed = dataclasses.replace(unsealed, files=files).sealed()
    (data_dir / manifest.MANIFEST).write_text(sealed.to_json(), encoding="utf-8")
    return sealed


def _record(
    classes: Sequence[str], label: int, rank: int, count: int, split: str, spec: ImageSpec
) -> ImageRecord:
    copy, index = divmod(rank, count)
    key = f"{classes[label]}/{split}{index:03d}.png"
    hue = label * 255 // len(classes)
    image = picture(f"{key}{copy}", spec.height, spec.width, hue)
    return ImageRecord(canonicalise.encode(image, spec), label, record_id(key, copy), rank, copy)


def _add_row(
    rows: dict[str, dict[str, object]],
    record: ImageRecord,
    split: str,
    shard: str,
    position: int,
    classes: Sequence[str],
    spec: ImageSpec,
) -> None:
    """Enters a record into the ledger: a row for an original, one more copy for a copy."""
    key = source_key(record.id, record.copy)
    row = rows.setdefault(key, {"copies": 0})
    if record.copy:
        row["copies"] = int(str(row["copies"])) + 1
        return
    image = Image.fromarray(canonicalise.decode_record(record.image, spec))
    row |= {
        "key": key,
        "class": classes[record.label],
        "status": ledger.KEPT,
        "sha256": hashlib.sha256(key.encode()).hexdigest(),
        "phash": fingerprints.difference_hash(image),
        "bytes": len(record.image),
        "width": image.width,
        "height": image.height,
        "format": "PNG",
        "mode": "RGB",
        "group": stable_hash(key) >> 1,
        "split": split,
        "rank": record.rank,
        "shard": shard,
        "position": position,
    }


def _write_shard(path: Path, records: Sequence[ImageRecord]) -> manifest.ShardInfo:
    data = b"".join(framing.frame(example.encode(record)) for record in records)
    path.write_bytes(data)
    return manifest.ShardInfo(path.name, len(records), len(data), hashlib.sha256(data).hexdigest())
