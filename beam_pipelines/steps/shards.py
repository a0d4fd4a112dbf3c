"""One shard: images out of packs, wrapped as Examples, in their planned order.

Runs in worker processes. A shard is built under a temporary name, synced and renamed; a note
beside it says what it was built from, so that a repeated bake recognises it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from beam_pipelines.cache import packs, storage
from beam_pipelines.workers.pool import Watch
from tfrecords import example, framing
from tfrecords.manifest import ShardInfo
from tfrecords.schema import ImageRecord

DONE = ".done"

# Images are gathered pack by pack and written in order; this bounds what waits in memory.
_GATHER_BYTES = 64 * 2**20


class Assignment(NamedTuple):
    """A record's place.

    A tuple, since each passes through four pickles on its way to a shard: a dataclass with slots
    looks its fields up in each of them, at five times the cost.

    Attributes:
      id, label, rank, copy: of the `ImageRecord`.
      pack: path of the pack that holds its image, without suffix.
      number: of its record there.
      bytes: size of the image, estimated for a copy.
    """

    id: str
    label: int
    rank: int
    copy: int
    pack: str
    number: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard to write.

    Attributes:
      split: name of its split.
      filename: of the shard.
      staging_dir: where it waits for the manifest.
      records: in order.
    """

    split: str
    filename: str
    staging_dir: str
    records: tuple[Assignment, ...]

    def digest(self) -> str:
        """Returns what the shard's bytes depend on, hex. Packs are named by their contents."""
        digest = hashlib.sha256()
        for record in self.records:
            digest.update(repr(tuple(record)).encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class ShardResult:
    """A written shard.

    Attributes:
      split: name of its split.
      info: for the manifest.
      reused: whether an earlier run had written it.
    """

    split: str
    info: ShardInfo
    reused: bool


def write_shard(task: ShardTask, watch: Watch) -> ShardResult:
    """Writes a shard, or finds that it has been written."""
    del watch  # Nothing is decoded here.
    path = storage.join(task.staging_dir, task.filename)
    digest = task.digest()
    earlier = _earlier(path, digest)
    if earlier is not None:
        return ShardResult(task.split, earlier, reused=True)
    sha256, size = hashlib.sha256(), 0
    with storage.publish(path, durable=True) as file:
        for record in _records(task.records):
            framed = framing.frame(example.encode(record))
            sha256.update(framed)
            size += len(framed)
            file.write(framed)
    info = ShardInfo(task.filename, len(task.records), size, sha256.hexdigest())
    note = {"digest": digest, "info": dataclasses.asdict(info)}
    storage.write_bytes(path + DONE, json.dumps(note).encode())
    return ShardResult(task.split, info, reused=False)


def _earlier(path: str, digest: str) -> ShardInfo | None:
    if not (storage.exists(path + DONE) and storage.exists(path)):
        return None
    note = json.loads(storage.read_bytes(path + DONE))
    return ShardInfo(**note["info"]) if note["digest"] == digest else None


def _records(assignments: Sequence[Assignment]) -> Iterator[ImageRecord]:
    for chunk in _chunks(assignments):
        images = _gather(chunk)
        for assignment, image in zip(chunk, images, strict=True):
            yield ImageRecord(
                image, assignment.label, assignment.id, assignment.rank, assignment.copy
            )


def _chunks(assignments: Sequence[Assignment]) -> Iterator[Sequence[Assignment]]:
    start = size = 0
    for end, assignment in enumerate(assignments):
        if size + assignment.bytes > _GATHER_BYTES and end > start:
            yield assignments[start:end]
            start, size = end, 0
        size += assignment.bytes
    if start < len(assignments):
        yield assignments[start:]


def _gather(assignments: Sequence[Assignment]) -> list[bytes]:
    """Returns the images of assignments; each pack is opened once and read forwards."""
    images: list[bytes] = [b""] * len(assignments)
    order = sorted(
        range(len(assignments)), key=lambda i: (assignments[i].pack, assignments[i].number)
    )
    start = 0
    while start < len(order):
        pack = assignments[order[start]].pack
        end = start
        while end < len(order) and assignments[order[end]].pack == pack:
            end += 1
        places = order[start:end]
        indices = [assignments[place].number for place in places]
        for place, image in zip(places, packs.read(pack, indices), strict=True):
            images[place] = image
        start = end
    return images
