"""The invariants of a data set on disk, each a function that returns what breaks it.

`check_shard` reads a shard once, a record at a time; the others work on the few numbers it
keeps of each record (`FACTS`, 28 bytes) and on the manifest. The ledger's are in
`ledger_checks`.
"""

from __future__ import annotations

import enum
import hashlib
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tfrecords import example, framing, manifest, schema, tfds
from tfrecords.images import canonicalise
from tfrecords.manifest import Manifest, ShardInfo, SplitInfo
from tfrecords.schema import ImageRecord, ImageSpec, source_key
from tfrecords.sharding import shard_name, stable_hash

# Of each record: its place, a 64-bit hash of its id, and the small features. Two of 10 million
# different ids share a hash with a probability of 3 in a million.
FACTS = np.dtype(
    [("offset", "<i8"), ("id", "<u8"), ("label", "<i4"), ("rank", "<i4"), ("copy", "<i4")]
)

# What a record that does not parse has for a label: it keeps the positions of the others.
NO_LABEL = -1

SAMPLE_EVERY = 32
_READ_BYTES = 1 << 20
_MAX_RANK = 2**31 - 1
# One damaged file can break an invariant at each of its records; the first few tell the story.
MAX_PROBLEMS_PER_FILE = 20


class Images(str, enum.Enum):
    """Which images are decoded: every one, one in `SAMPLE_EVERY`, or none."""

    ALL = "all"
    SAMPLE = "sample"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
      file: name in the data set's directory.
      what: one line: expected, came.
      offset: byte position of the record at fault, None if it is the file as a whole.
    """

    file: str
    what: str
    offset: int | None = None

    def __str__(self) -> str:
        place = "" if self.offset is None else f"byte {self.offset}: "
        return f"{self.file}: {place}{self.what}"


@dataclass(frozen=True)
class ShardReport:
    """What one pass over a shard found.

    Attributes:
      filename: of the shard.
      problems: in file order.
      facts: `FACTS`[records], as far as the shard could be read.
      intact: whether it is the file that the manifest describes, so that other checks make sense.
    """

    filename: str
    problems: tuple[Problem, ...]
    facts: np.ndarray = field(repr=False)
    intact: bool = True


def check_shard(
    data_dir: Path, info: ShardInfo, classes: int, spec: ImageSpec, images: Images = Images.SAMPLE
) -> ShardReport:
    """Reads one shard and checks CRCs, size, sha256, count, and each record by itself.

    Args:
      data_dir: where the shard is.
      info: what the manifest says of it.
      classes: labels are 0 to `classes` - 1.
      spec: of the images.
      images: which of them to decode.
    """
    name = info.filename
    path = data_dir / name
    try:
        size = path.stat().st_size
        with _HashingFile(path) as raw, io.BufferedReader(raw, _READ_BYTES) as file:
            facts, problems, intact = _scan(file, name, classes, spec, images)
            sha256 = raw.sha256.hexdigest()
    except FileNotFoundError:
        return _unread(name, "is missing")
    except OSError as error:
        return _unread(name, f"cannot be read: {error.strerror or error}")
    if size != info.bytes:
        problems.insert(0, Problem(name, f"has {size:,} bytes, the manifest says {info.bytes:,}"))
    same = intact and sha256 == info.sha256
    if intact and len(facts) != info.records:
        problems.append(
            Problem(name, f"has {len(facts):,} records, the manifest says {info.records:,}")
        )
    if intact and sha256 != info.sha256:
        problems.append(
            Problem(name, f"sha256 is {sha256[:12]}…, the manifest says {info.sha256[:12]}…")
        )
    return ShardReport(name, tuple(problems), facts, same)


class _HashingFile(io.FileIO):
    """A file that hashes what is read from it, so that one pass serves both checks."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.sha256 = hashlib.sha256()

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer) or 0
        self.sha256.update(memoryview(buffer)[:count])
        return count


def _scan(
    file: BinaryIO, name: str, classes: int, spec: ImageSpec, images: Images
) -> tuple[np.ndarray, list[Problem], bool]:
    rows: list[tuple[int, int, int, int, int]] = []
    problems: list[Problem] = []
    try:
        for offset, payload in framing.read_frames(file, name):
            try:
                record = example.decode(payload)
                _check_record(record, classes)
                if _chosen(images, len(rows)):
                    canonicalise.decode_record(record.image, spec)
            except ValueError as error:
                problems.append(Problem(name, str(error), offset))
                rows.append((offset, 0, NO_LABEL, 0, 0))
                continue
            rows.append((offset, stable_hash(record.id), record.label, record.rank, record.copy))
    except framing.DamagedRecordError as error:
        problems.append(Problem(name, f"damaged record: {error.what}", error.offset))
        return np.array(rows, FACTS), problems, False
    return np.array(rows, FACTS), problems, True


def _check_record(record: ImageRecord, classes: int) -> None:
    if record.label >= classes:
        raise ValueError(f"label {record.label} of {record.id!r}: 0 to {classes - 1} expected")
    if max(record.rank, record.copy) > _MAX_RANK:
        raise ValueError(f"rank {record.rank}, copy {record.copy} of {record.id!r}: too large")
    source_key(record.id, record.copy)


def _chosen(images: Images, position: int) -> bool:
    if images is Images.SAMPLE:
        return position % SAMPLE_EVERY == 0
    return images is Images.ALL


def _unread(name: str, what: str) -> ShardReport:
    return ShardReport(name, (Problem(name, what),), np.array([], FACTS), intact=False)


def check_manifest(found: Manifest) -> Iterator[Problem]:
    """Checks the manifest against itself: shard names, digests, copies in train only."""
    for split in found.splits:
        for index, shard in enumerate(split.shards):
            expected = shard_name(found.name, split.name, index, len(split.shards))
            if shard.filename != expected:
                yield _of_manifest(f"lists {shard.filename} where {expected} is expected")
        if split.name != schema.TRAIN and any(split.copies):
            yield _of_manifest(f"counts copies in split {split.name!r}; only train may hold any")
    for name, digest in (
        ("dataset", manifest.digest_of_shards(found.splits)),
        ("config", manifest.digest_of_config(found.config)),
    ):
        if found.digests.get(name) != digest:
            yield _of_manifest(
                f"digest {name!r} is {found.digests.get(name, 'missing')[:12]}…, "
                f"its contents give {digest[:12]}…"
            )
    unknown = sorted(found.digests.keys() - {"sources", "config", "dataset", manifest.SEAL})
    if unknown:
        yield _of_manifest(f"has a digest of {unknown[0]!r}, which no version writes")


def check_files(data_dir: Path, found: Manifest, named: Collection[str]) -> Iterator[Problem]:
    """Checks the manifest and the files beside the shards by their digests.

    A manifest that an earlier version wrote has none of them; see `Manifest.covers_itself`.

    Args:
      data_dir: of the data set.
      found: its manifest.
      named: files that are known to be damaged already, and need no second line.
    """
    if not found.covers_itself:
        return
    expected = {manifest.SOURCES, *tfds.metadata_files(found)}
    if found.files.keys() != expected:
        yield _of_manifest(
            f"has the sha256 of {', '.join(sorted(found.files)) or 'no file'}; "
            f"{', '.join(sorted(expected))} expected"
        )
    if manifest.MANIFEST not in named:
        yield from _check_seal(data_dir, found)
    for name, sha256 in found.files.items():
        if name in expected and name not in named:
            yield from _check_sha256(data_dir / name, sha256)


def _check_sha256(path: Path, sha256: str) -> Iterator[Problem]:
    try:
        with _HashingFile(path) as raw, io.BufferedReader(raw, _READ_BYTES) as file:
            while file.read(_READ_BYTES):
                pass
            came = raw.sha256.hexdigest()
    except OSError as error:
        yield Problem(path.name, f"cannot be read: {error.strerror or error}")
        return
    if came != sha256:
        yield Problem(path.name, f"sha256 is {came[:12]}…, the manifest says {sha256[:12]}…")


def _check_seal(data_dir: Path, found: Manifest) -> Iterator[Problem]:
    if found.broken_seal:
        yield _of_manifest(found.broken_seal)
    elif (data_dir / manifest.MANIFEST).read_bytes() != found.to_json().encode():
        yield _of_manifest("is not as a bake writes it: spaces or line ends differ")


def _of_manifest(what: str) -> Problem:
    return Problem(manifest.MANIFEST, what)


def check_directory(data_dir: Path, found: Manifest) -> Iterator[Problem]:
    """Checks for shards that the manifest does not know, and for stale TFDS metadata."""
    listed = {shard.filename for split in found.splits for shard in split.shards}
    for path in sorted(data_dir.iterdir()):
        if ".tfrecord" in path.name and path.name not in listed:
            yield Problem(path.name, "is not in the manifest: left by another bake, delete it")
    for name, text in tfds.metadata_files(found).items():
        try:
            current = (data_dir / name).read_text(encoding="utf-8") == text
        except (OSError, UnicodeDecodeError):
            yield Problem(name, "is missing or unreadable; TFDS needs it to read the data set")
            continue
        if not current:
            yield Problem(name, "differs from what the manifest gives; TFDS would misread")


def check_split(
    split: SplitInfo,
    classes: tuple[str, ...],
    facts: Mapping[str, np.ndarray],
    *,
    folded: bool = False,
) -> Iterator[Problem]:
    """Checks counts, ranks and copies of each class of a split whose shards were all read.

    Args:
      split: as the manifest has it.
      classes: names in label order.
      facts: shard file name → `FACTS`[records].
      folded: whether it is divided into folds, whose ranks `check_folds` checks one by one.
    """
    rows = np.concatenate([facts[shard.filename] for shard in split.shards] or [_NO_FACTS])
    order = np.lexsort((rows["rank"], rows["label"]))
    rows = rows[order]
    bounds = np.searchsorted(rows["label"], np.arange(len(classes) + 1))
    for label, name in enumerate(classes):
        members = rows[bounds[label] : bounds[label + 1]]
        where = f"split {split.name!r}, class {name!r}"
        copies = int(np.count_nonzero(members["copy"]))
        yield from _check_counts(where, split, label, len(members) - copies, copies)
        if not folded:
            yield from _check_ranks(where, members)


_NO_FACTS = np.array([], FACTS)


def _check_counts(
    where: str, split: SplitInfo, label: int, originals: int, copies: int
) -> Iterator[Problem]:
    expected = split.originals[label], split.copies[label]
    if (originals, copies) != expected:
        yield _of_manifest(
            f"{where}: shards hold {originals} originals and {copies} copies, "
            f"the manifest says {expected[0]} and {expected[1]}"
        )
    if split.name != schema.TRAIN and copies:
        yield _of_manifest(f"{where}: shards hold {copies} copies; only train may hold any")


def _check_ranks(where: str, members: np.ndarray) -> Iterator[Problem]:
    """Checks ranks 0, 1, 2… with the originals first, then copies in rounds."""
    wrong = np.flatnonzero(members["rank"] != np.arange(len(members)))
    if wrong.size:
        rank = int(members["rank"][wrong[0]])
        yield _of_manifest(
            f"{where}: ranks should be 0 to {len(members) - 1} once each; rank {rank} is "
            f"where {int(wrong[0])} should be, so --per_class would select wrongly"
        )
    elif np.any(np.diff(members["copy"]) < 0):
        rank = int(np.flatnonzero(np.diff(members["copy"]) < 0)[0]) + 1
        yield _of_manifest(
            f"{where}: rank {rank} is an earlier round than rank {rank - 1}; originals come "
            "first, then copies round by round"
        )


def check_ids(data_dir: Path, facts: Mapping[str, np.ndarray]) -> Iterator[Problem]:
    """Checks that no id occurs twice in all shards read."""
    names = list(facts)
    shards = np.repeat(np.arange(len(names)), [len(facts[name]) for name in names])
    rows = np.concatenate([*facts.values(), _NO_FACTS])
    keep = rows["label"] != NO_LABEL
    rows, shards = rows[keep], shards[keep]
    order = np.argsort(rows["id"], kind="stable")
    ids = rows["id"][order]
    for index in np.flatnonzero(ids[1:] == ids[:-1]):
        first, second = order[index], order[index + 1]
        name, offset = names[shards[second]], int(rows["offset"][second])
        yield Problem(
            name,
            f"id {_id_at(data_dir / name, offset)!r} is also at byte "
            f"{int(rows['offset'][first])} of {names[shards[first]]}",
            offset,
        )


def _id_at(path: Path, offset: int) -> str:
    with open(path, "rb") as file:
        file.seek(offset)
        _, payload = next(framing.read_frames(file, path.name))
    return example.decode(payload).id
