"""`manifest.json`: what a data set holds. Written last, so its presence means complete.

It contains nothing that depends on time, machine or number of workers: equal input and
configuration give an equal file, but for the sha256 of `sources.parquet`, which depends on the
version of the library that writes it too. It covers every file of the data set, itself included;
the report is none.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfrecords import locations, schema
from tfrecords.errors import EvenshardError, UsageError
from tfrecords.json_fields import JsonObject, shown
from tfrecords.locations import Folder
from tfrecords.schema import Encoding, ImageSpec, Resize
from tfrecords.sharding import is_shard_name

MANIFEST = "manifest.json"
SOURCES = "sources.parquet"

# The name among the digests of that of the manifest itself.
SEAL = "manifest"


class ManifestError(EvenshardError, ValueError):
    """A manifest that is absent, damaged or of another schema; the text says what to do."""


class NoDataSetError(ManifestError, UsageError):
    """The directory that was named does not exist."""


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
        if not is_sha256(self.sha256):
            raise ValueError(f"sha256 of {self.filename} is {self.sha256!r}, not 64 hex digits")


@dataclass(frozen=True, slots=True)
class SplitInfo:
    """One split.

    Attributes:
      name: "train", "validation", ….
      originals: per class, in label order: records that are sources as they came.
      copies: per class, in label order: augmented copies; all zero outside train.
      shards: in index order.
      fold: of a split that `Manifest.of_fold` gives; None for one on disk. Its shards may hold
        other records beside its own: `tfrecords.folds` tells them apart.
    """

    name: str
    originals: tuple[int, ...]
    copies: tuple[int, ...]
    shards: tuple[ShardInfo, ...]
    fold: int | None = None

    def __post_init__(self) -> None:
        if len(self.originals) != len(self.copies):
            raise ValueError(f"split {self.name!r}: originals and copies differ in classes")
        counted = sum(self.originals) + sum(self.copies)
        if counted > self.records if self.fold is not None else counted != self.records:
            raise ValueError(
                f"split {self.name!r}: classes count {counted} records, shards {self.records}"
            )

    @property
    def records(self) -> int:
        """Number of records in all shards, which is more than its own in a split of a fold."""
        return sum(shard.records for shard in self.shards)

    @property
    def bytes(self) -> int:
        """Size of all shards."""
        return sum(shard.bytes for shard in self.shards)


@dataclass(frozen=True, slots=True)
class FoldInfo:
    """One fold of the train split: validation of one run, a part of train for the others.

    Attributes:
      shards: number of train's shards that hold it. Those of fold 0 come first, then those of
        fold 1…; shards after the last fold's are train in every fold.
      originals: per class, in label order: pictures of the fold.
      train_originals, train_copies: per class: what a bake of this fold has in train.
    """

    shards: int
    originals: tuple[int, ...]
    train_originals: tuple[int, ...]
    train_copies: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.originals) == len(self.train_originals) == len(self.train_copies):
            raise ValueError("a fold's counts differ in classes")


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
      digests: "sources" (what went in), "config" and "dataset" (what came out), hex sha256; and
        "manifest", of everything else in this file.
      schema_version: of the record on disk.
      files: name → hex sha256 of each file beside the shards. Empty where an earlier version
        baked the data set, as is "manifest" of `digests`.
      folds: into which train is divided; empty for most data sets.
    """

    name: str
    classes: tuple[str, ...]
    image: ImageSpec
    splits: tuple[SplitInfo, ...]
    statuses: Mapping[str, int]
    config: Mapping[str, Any]
    digests: Mapping[str, str]
    schema_version: int = schema.SCHEMA_VERSION
    files: Mapping[str, str] = field(default_factory=dict)
    folds: tuple[FoldInfo, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("class names are not unique")
        for split in self.splits:
            if len(split.originals) != len(self.classes):
                raise ValueError(
                    f"split {split.name!r} counts {len(split.originals)} classes, "
                    f"the manifest names {len(self.classes)}"
                )
        names = [split.name for split in self.splits]
        if len(set(names)) != len(names):
            raise ValueError(f"a split is named twice: {', '.join(names)}")
        self._check_folds()

    def _check_folds(self) -> None:
        if not self.folds:
            return
        if schema.VALIDATION in [split.name for split in self.splits]:
            raise ValueError(f"it has folds and a split {schema.VALIDATION!r}")
        train = self.split(schema.TRAIN)
        if any(len(fold.originals) != len(self.classes) for fold in self.folds):
            raise ValueError(f"a fold counts other classes than the {len(self.classes)} named")
        if sum(fold.shards for fold in self.folds) > len(train.shards):
            raise ValueError(f"its folds have more shards than the {len(train.shards)} of train")
        for number in range(len(self.folds)):
            try:
                self.of_fold(number)
            except ValueError as error:
                raise ValueError(f"fold {number}: {error}") from error

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

    def split_of_fold(self, name: str) -> SplitInfo | None:
        """Returns the split called `name` if it is one that `of_fold` gave."""
        return next((s for s in self.splits if s.name == name and s.fold is not None), None)

    def shards_of_fold(self, fold: int) -> tuple[ShardInfo, ...]:
        """Returns the shards of train that hold a fold."""
        start = sum(info.shards for info in self.folds[:fold])
        return self.split(schema.TRAIN).shards[start : start + self.folds[fold].shards]

    def fold_of_shard(self, filename: str) -> int | None:
        """Returns the fold that a shard holds, or None."""
        for fold in range(len(self.folds)):
            if any(shard.filename == filename for shard in self.shards_of_fold(fold)):
                return fold
        return None

    def of_fold(self, fold: int) -> Manifest:
        """Returns the manifest as a bake of one fold alone would have its splits.

        Its train split is all other folds, its validation split the fold itself; they name the
        shards that hold their records. All else is as on disk, the digests too.

        Raises:
          IndexError: there is no such fold.
        """
        info, held_out = self.folds[fold], self.shards_of_fold(fold)
        train = dataclasses.replace(
            self.split(schema.TRAIN),
            originals=info.train_originals,
            copies=info.train_copies,
            shards=tuple(s for s in self.split(schema.TRAIN).shards if s not in held_out),
            fold=fold,
        )
        none = (0,) * len(self.classes)
        validation = SplitInfo(schema.VALIDATION, info.originals, none, held_out, fold)
        others = (split for split in self.splits if split.name != schema.TRAIN)
        return dataclasses.replace(self, splits=(train, validation, *others), folds=())

    @property
    def broken_seal(self) -> str:
        """How the digest of the manifest in it differs from what its contents give; else ""."""
        seal = self.digests.get(SEAL, "" if not self.files else "missing")
        came = self.seal() if seal else ""
        if seal == came:
            return ""
        return f"its own digest is {seal[:12]}…, its contents give {came[:12]}…"

    @property
    def digest(self) -> str:
        """The hex sha256 that identifies the contents of all shards."""
        return self.digests["dataset"]

    @property
    def covers_itself(self) -> bool:
        """Whether damage to the manifest and to the files beside the shards can be told."""
        return bool(self.files) or SEAL in self.digests

    def sealed(self) -> Manifest:
        """Returns the manifest with the digest of everything else in it."""
        return dataclasses.replace(self, digests={**self.digests, SEAL: self.seal()})

    def seal(self) -> str:
        """Returns the digest of everything in the manifest but itself."""
        others = {name: digest for name, digest in self.digests.items() if name != SEAL}
        text = dataclasses.replace(self, digests=others).to_json()
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """Returns the text of `manifest.json`."""
        fields = dataclasses.asdict(self)
        # What most data sets have not is left out: older versions read them, and no others.
        for name in ("files", "folds"):
            if not fields[name]:
                del fields[name]
        for split in fields["splits"]:
            if split["fold"] is None:
                del split["fold"]
        ordered = {"schema_version": fields.pop("schema_version")} | fields
        return json.dumps(ordered, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Returns the manifest in `text`.

        Raises:
          ManifestError: not JSON, not a manifest, or of another schema version.
        """
        try:
            document = json.loads(text)
            json.dumps(document, ensure_ascii=False).encode()  # Lone surrogates are no text.
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"not a manifest: not JSON: {error}") from error
        try:
            fields = JsonObject.of(document)
            version = fields.value("schema_version")
            if type(version) is not int:
                raise ValueError(f"schema_version is {shown(version)}, a number expected")
        except ValueError as error:
            raise ManifestError(f"not a manifest: {error}") from error
        if version != schema.SCHEMA_VERSION:
            raise ManifestError(
                f"the data set has schema version {version}, this evenshard reads "
                f"{schema.SCHEMA_VERSION}: bake again, or install the evenshard that baked it"
            )
        try:
            return _of_object(fields)
        except ValueError as error:
            raise ManifestError(f"not a manifest of schema version {version}: {error}") from error


def is_sha256(text: object) -> bool:
    """Returns whether a value is a sha256 in hex."""
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) is not None


def _of_object(document: JsonObject) -> Manifest:
    """Returns the manifest of a JSON object; a ValueError names the field that is wrong."""
    document.refuse_unknown([each.name for each in dataclasses.fields(Manifest)])
    image, statuses, digests = map(document.child, ("image", "statuses", "digests"))
    known_digests = _digests(digests)
    for name in ("dataset", "config", "sources"):
        digests.value(name)
    return Manifest(
        name=document.text("name"),
        classes=document.texts("classes"),
        image=_image(image),
        splits=tuple(map(_split, document.children("splits"))),
        statuses={name: statuses.count(name) for name in statuses.fields},
        config=document.child("config").fields,
        digests=known_digests,
        files=_digests(document.child("files")) if "files" in document else {},
        folds=tuple(map(_fold, document.children("folds"))) if "folds" in document else (),
    )


def _image(image: JsonObject) -> ImageSpec:
    image.refuse_unknown([each.name for each in dataclasses.fields(ImageSpec)])
    height, width, quality = map(image.count, ("height", "width", "jpeg_quality"))
    resize, encoding = map(image.text, ("resize", "encoding"))
    return ImageSpec(height, width, Resize(resize), Encoding(encoding), quality)


def _split(split: JsonObject) -> SplitInfo:
    return SplitInfo(
        originals=split.counts("originals"),
        copies=split.counts("copies"),
        name=split.text("name"),
        shards=tuple(map(_shard, split.children("shards"))),
        fold=split.count("fold") if "fold" in split else None,
    )


def _fold(fold: JsonObject) -> FoldInfo:
    return FoldInfo(
        shards=fold.count("shards"),
        originals=fold.counts("originals"),
        train_originals=fold.counts("train_originals"),
        train_copies=fold.counts("train_copies"),
    )


def _shard(shard: JsonObject) -> ShardInfo:
    return ShardInfo(
        filename=shard.text("filename"),
        records=shard.count("records"),
        bytes=shard.count("bytes"),
        sha256=shard.text("sha256"),
    )


def _digests(digests: JsonObject) -> dict[str, str]:
    for name, value in digests.fields.items():
        if not is_sha256(value):
            raise ValueError(f"{digests.path_of(name)} is {shown(value)}, 64 hex digits expected")
    return dict(digests.fields)


def load(data_dir: str | Folder) -> Manifest:
    """Returns the manifest of the data set in `data_dir`.

    Raises:
      NoDataSetError: there is no such directory.
      ManifestError: the directory is not a complete data set of this schema.
    """
    path = locations.of(data_dir) / MANIFEST
    try:
        with path.open("rb") as file:
            text = file.read().decode("utf-8")
    except FileNotFoundError as error:
        if isinstance(path, Path) and not path.parent.exists():
            raise NoDataSetError(
                f"{data_dir} does not exist; the directory of a data set is expected, as "
                "`evenshard bake --output_dir=…` writes it"
            ) from error
        raise ManifestError(
            f"no {MANIFEST} in {data_dir}: not a data set, as `evenshard bake --input_dir=PICTURES "
            "--output_dir=shards` writes it, or its bake did not finish: then run that bake again"
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


def digest_of_sources(rows: Iterable[tuple[str, str | None]]) -> str:
    """Returns the sha256 over (key, sha256) of every source, given in key order."""
    return _sha256_lines(f"{sha256}  {key}" for key, sha256 in rows)


def _sha256_lines(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
