"""Makes the augmented copies of a bundle's sources, as one pack. Runs in workers.

All copies of a source are made by one task, so it is decoded once more, however many copies it
has.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator

from beam_pipelines.cache import packs, storage
from beam_pipelines.cache.layout import COPIES
from beam_pipelines.inputs import prefetch
from beam_pipelines.inputs.prefetch import Content
from beam_pipelines.steps.augment import augmented_copy, copy_generator
from beam_pipelines.tasks import CopyJob, CopyResult, CopyTask
from tfrecords.errors import BakeError
from tfrecords.images import canonicalise
from tfrecords.images.canonicalise import ImageError
from tfrecords.images.decode_pool import Watch
from tfrecords.inputs.rows import SourceFile

# The pack that holds a copy, and its index there.
_Location = tuple[str, int]


def make_copies(task: CopyTask, watch: Watch) -> CopyResult:
    """Makes a pack of copies, unless that has been done.

    Raises:
      BakeError: a source has changed since its facts were taken.
    """
    path = storage.join(task.cache_dir, task.pack)
    if storage.exists(path + COPIES):
        return CopyResult(task.pack, made=0)
    files = _source_files(task)
    earlier = _earlier_copies(task)
    reusable = [[earlier.get((job.sha256, job.key, n)) for n in job.copies] for job in task.jobs]
    needed = [
        files[job.key]
        for job, locations in zip(task.jobs, reusable, strict=True)
        if None in locations
    ]
    made = 0
    with (
        packs.write(path) as pack,
        contextlib.closing(prefetch.in_order(needed)) as contents,
    ):
        for job, locations in zip(task.jobs, reusable, strict=True):
            missing = [
                number
                for number, location in zip(job.copies, locations, strict=True)
                if location is None
            ]
            fresh: Iterator[bytes] = iter(())
            if missing:
                with watch.decoding(job.key):
                    content = next(contents)
                data = _unchanged_bytes(files[job.key], content, job)
                fresh = _fresh_copies(files[job.key], data, job, missing, task, watch)
            for location in locations:
                pack.append(next(fresh) if location is None else _read(task, location))
            made += len(missing)
    storage.write_bytes(path + COPIES, _contents(task.jobs))
    return CopyResult(task.pack, made)


def _fresh_copies(
    source: SourceFile,
    data: bytes,
    job: CopyJob,
    copies: list[int],
    task: CopyTask,
    watch: Watch,
) -> Iterator[bytes]:
    """Yields encoded copies in order; the source is decoded once."""
    with watch.decoding(job.key):
        try:
            image, _ = canonicalise.decode(data, task.spec, task.limits)
        except ImageError as error:
            raise BakeError(
                f"{source.path} could be decoded before and cannot be now: {error}"
            ) from error
    for copy in copies:
        generator = copy_generator(task.seed, job.key, copy)
        yield canonicalise.encode(
            augmented_copy(image, task.spec, task.operations, generator), task.spec
        )


def _unchanged_bytes(source: SourceFile, data: Content, job: CopyJob) -> bytes:
    if isinstance(data, OSError):
        raise BakeError(
            f"{source.path} could be read when the bake began and cannot be now "
            f"({data.strerror or data}): rerun the command to resume"
        ) from data
    if hashlib.sha256(data).hexdigest() != job.sha256:
        raise BakeError(f"{source.path} changed during the bake: rerun the command to resume")
    return data


def _source_files(task: CopyTask) -> dict[str, SourceFile]:
    keys = {job.key for job in task.jobs}
    rows = map(SourceFile.from_json, storage.read_bytes(task.listing).splitlines())
    return {row.key: row for row in rows if row.key in keys}


def _earlier_copies(task: CopyTask) -> dict[tuple[str, str, int], _Location]:
    """Returns the location of each copy made before, by (sha256, key, copy number)."""
    locations = {}
    for name in task.earlier:
        rows = json.loads(storage.read_bytes(storage.join(task.cache_dir, name + COPIES)))
        for index, (sha256, key, copy) in enumerate(rows):
            locations[sha256, key, copy] = (name, index)
    return locations


def _read(task: CopyTask, location: _Location) -> bytes:
    pack, index = location
    return next(packs.read(storage.join(task.cache_dir, pack), [index]))


def _contents(jobs: tuple[CopyJob, ...]) -> bytes:
    rows = [(job.sha256, job.key, copy) for job in jobs for copy in job.copies]
    return json.dumps(rows, separators=(",", ":")).encode()
