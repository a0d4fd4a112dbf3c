"""Writes a shard: images out of packs, wrapped as Examples, in the planned order. Runs in workers.

A shard is built under a temporary name, synced and renamed; a file beside it says what it was
built from, so that a repeated bake recognises it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence

from beam_pipelines.cache import packs, storage
from beam_pipelines.cache.layout import SHARD_DONE
from beam_pipelines.tasks import Assignment, ShardResult, ShardTask
from tfrecords import example, framing
from tfrecords.images.decode_pool import Watch
from tfrecords.manifest import ShardInfo
from tfrecords.schema import ImageRecord

# Images are read pack by pack and written in order; these bound how many wait in memory. From a
# store far away each pack that is opened costs a request, and fewer, larger chunks open fewer.
_CHUNK_BYTES, _FAR_CHUNK_BYTES = 16 * 2**20, 64 * 2**20


def write_shard(task: ShardTask, watch: Watch) -> ShardResult:
    """Writes a shard, unless that has been done."""
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
    done = {"digest": digest, "info": dataclasses.asdict(info)}
    storage.write_bytes(path + SHARD_DONE, json.dumps(done).encode())
    return ShardResult(task.split, info, reused=False)


def _earlier(path: str, digest: str) -> ShardInfo | None:
    if not (storage.exists(path + SHARD_DONE) and storage.exists(path)):
        return None
    done = json.loads(storage.read_bytes(path + SHARD_DONE))
    return ShardInfo(**done["info"]) if done["digest"] == digest else None


def _records(assignments: Sequence[Assignment]) -> Iterator[ImageRecord]:
    for chunk in _chunks(assignments):
        images = _read_images(chunk)
        for assignment, image in zip(chunk, images, strict=True):
            yield ImageRecord(
                image, assignment.label, assignment.id, assignment.rank, assignment.copy
            )


def _chunks(assignments: Sequence[Assignment]) -> Iterator[Sequence[Assignment]]:
    is_far = any(storage.is_remote(assignment.pack) for assignment in assignments[:1])
    most = _FAR_CHUNK_BYTES if is_far else _CHUNK_BYTES
    start = size = 0
    for end, assignment in enumerate(assignments):
        if size + assignment.bytes > most and end > start:
            yield assignments[start:end]
            start, size = end, 0
        size += assignment.bytes
    if start < len(assignments):
        yield assignments[start:]


def _read_images(assignments: Sequence[Assignment]) -> list[bytes]:
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
        of_pack = order[start:end]
        numbers = [assignments[index].number for index in of_pack]
        for index, image in zip(of_pack, packs.read(pack, numbers), strict=True):
            images[index] = image
        start = end
    return images
