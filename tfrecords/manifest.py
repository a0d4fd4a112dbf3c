"""`manifest.json`: what a data set holds. Written last, so its presence means complete.

It contains nothing that depends on time, machine or number of workers: equal input and
configuration give an equal file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfrecords import locations, schema
from tfrecords.errors import EvenshardError
from tfrecords.locations import Folder
from tfrecords.schema import ImageSpec
from tfrecords.sharding import is_shard_name

MANIFEST = "manifest.json"
SOURCES = "sources.parquet"


class ManifestError(EvenshardError, ValueError):
    """A manifest that is absent, damaged or of another schema; the text says what to do."""


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """One shard file.

    Attributes:
      filename: without directory.
      records: number of records.
      bytes: size of the file.
      sha256: of the file, hex.
    """

    filename: str
    records: int
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if not is_shard_name(self.filename):
            raise ValueError(f"not a shard's name: {self.filename!r}")
        if len(self.sha256) != 64:
            raise ValueError(f"sha256 of {self.filename} has {len(self.sha256)} characters, not 64")


@dataclass(frozen=True, slots=True)
class SplitInfo:
    """One split.

    Attributes:
      name: "train", "validation", ….
      originals: per class, in label order: records that are sources as they came.
      copies: per class, in label order: augmented copies; all zero outside train.
      shards: in index order.
    """

    name: str
    originals: tuple[int, ...]
    copies: tuple[int, ...]
    shards: tuple[ShardInfo, ...]

    def __post_init__(self) -> None:
        if len(self.originals) != len(self.copies):
            raise ValueError(f"split {self.name!r}: originals and copies differ in classes")
        counted = sum(self.originals) + sum(self.copies)
        if counted != self.records:
            raise ValueError(
                f"split {self.name!r}: classes count {counted} records, shards {self.records}"
            )

    @property
    def records(self) -> int:
        """Number of records in all shards."""
        return sum(shard.records for shard in self.shards)

    @property
    def bytes(self) -> int:
        """Size of all shards."""
        return sum(shard.bytes for shard in self.shards)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A complete data set.

    Attributes:
      name: of the data set; starts every shard's name.
      classes: names in label order.
      image: size and encoding of every image.
      splits: train first.
      statuses: number of sources by their status in `sources.parquet`.
      config: the flags of the bake that determine its bytes.
      digests: "sources" (what went in), "config" and "dataset" (what came out), hex sha256.
      schema_version: of the record on disk.
    """

    name: str
    classes: tuple[str, ...]
    image: ImageSpec
    splits: tuple[SplitInfo, ...]
    statuses: Mapping[str, int]
    config: Mapping[str, Any]
    digests: Mapping[str, str]
    schema_version: int = schema.SCHEMA_VERSION

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("class names are not unique")
        for split in self.splits:
            if len(split.originals) != len(self.classes):
                raise ValueError(
                    f"split {split.name!r} counts {len(split.originals)} classes, "
                    f"the manifest names {len(self.classes)}"
                )

    def split(self, name: str) -> SplitInfo:
        """Returns the split called `name`.

        Raises:
          ManifestError: there is none; the text lists those there are.
        """
        for split in self.splits:
            if split.name == name:
                return split
        known = ", ".join(split.name for split in self.splits)
        raise ManifestError(f"no split {name!r} in data set {self.name!r}; it has: {known}")

    @property
    def digest(self) -> str:
        """The hex sha256 that identifies the contents of all shards."""
        return self.digests["dataset"]

    def to_json(self) -> str:
        """Returns the text of `manifest.json`."""
        fields = dataclasses.asdict(self)
        ordered = {"schema_version": fields.pop("schema_version")} | fields
        return json.dumps(ordered, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Returns the manifest in `text`.

        Raises:
          ManifestError: not JSON, not a manifest, or of another schema version.
        """
        try:
            fields = json.loads(text)
            version = fields["schema_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestError(f"not a manifest: {error!r}") from error
        if version != schema.SCHEMA_VERSION:
            raise ManifestError(
                f"the data set has schema version {version}, this evenshard reads "
                f"{schema.SCHEMA_VERSION}: bake again, or install the evenshard that baked it"
            )
        try:
            return cls(
                **fields
                | {
                    "classes": tuple(fields["classes"]),
                    "image": ImageSpec(**fields["image"]),
                    "splits": tuple(map(_split_from_json, fields["splits"])),
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestError(f"not a manifest of schema version {version}: {error}") from error


def _split_from_json(fields: Mapping[str, Any]) -> SplitInfo:
    return SplitInfo(
        name=fields["name"],
        originals=tuple(fields["originals"]),
        copies=tuple(fields["copies"]),
        shards=tuple(ShardInfo(**shard) for shard in fields["shards"]),
    )


def load(data_dir: str | Folder) -> Manifest:
    """Returns the manifest of the data set in `data_dir`.

    Raises:
      ManifestError: the directory is not a complete data set of this schema.
    """
    path = locations.of(data_dir) / MANIFEST
    try:
        with path.open("rb") as file:
            text = file.read().decode("utf-8")
    except FileNotFoundError as error:
        raise ManifestError(
            f"no {MANIFEST} in {data_dir}: not a data set, or its bake did not finish. "
            f"Run `python -m beam_pipelines.prepare --input_dir=… --output_dir={data_dir}` (again)"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"cannot read {path}: {error}") from error
    try:
        return Manifest.from_json(text)
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from error


def digest_of_shards(splits: tuple[SplitInfo, ...]) -> str:
    """Returns the digest of a data set: sha256 over its shards' names and sha256, in order."""
    return _sha256_lines(
        f"{shard.sha256}  {shard.filename}" for split in splits for shard in split.shards
    )


def digest_of_config(config: Mapping[str, Any]) -> str:
    """Returns the sha256 of a configuration, whatever the order of its keys."""
    return _sha256_lines([json.dumps(config, sort_keys=True, ensure_ascii=False)])


def digest_of_sources(rows: Any) -> str:
    """Returns the sha256 over (key, sha256) of every source, given in key order."""
    return _sha256_lines(f"{sha256}  {key}" for key, sha256 in rows)


def _sha256_lines(lines: Any) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
