"""Augmented copies of a bundle's sources, as a pack. Runs in worker processes.

All copies of one source are made in one place, so a source is decoded once more however
many copies it has.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from beam_pipelines.cache import packs, storage
from beam_pipelines.config import Operation
from beam_pipelines.inputs import prefetch
from beam_pipelines.inputs.prefetch import Content
from beam_pipelines.steps.augment import augmented_copy, copy_generator
from beam_pipelines.workers.pool import Watch
from tfrecords.errors import BakeError
from tfrecords.images import canonicalise
from tfrecords.images.canonicalise import ImageError, PixelLimits
from tfrecords.inputs.rows import SourceFile
from tfrecords.schema import ImageSpec

CONTENTS = ".copies"


@dataclass(frozen=True, slots=True)
class CopyJob:
    """Copies of one source.

    Attributes:
      key: of the source.
      sha256: its bytes must have, hex.
      copies: numbers, from 1.
    """

    key: str
    sha256: str
    copies: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CopyTask:
    """A pack of copies to make.

    Attributes:
      pack: name of the pack, without directory and suffix.
      jobs: in key order.
      listing: path of the `SourceFile` rows of the bundle that the sources belong to.
      cache_dir: where packs of copies live.
      earlier: packs that may hold some of these copies already, without suffix.
      seed, spec, limits, operations: what a copy depends on besides its source.
    """

    pack: str
    jobs: tuple[CopyJob, ...]
    listing: str
    cache_dir: str
    earlier: tuple[str, ...]
    seed: int
    spec: ImageSpec
    limits: PixelLimits
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class CopyResult:
    """A finished pack of copies.

    Attributes:
      pack: its name.
      made: copies made now; the others were reused.
    """

    pack: str
    made: int


def jobs_digest(jobs: tuple[CopyJob, ...]) -> str:
    """Returns 12 hex digits that identify what a pack of these copies holds."""
    text = "".join(f"{job.key}\0{job.sha256}\0{job.copies}\n" for job in jobs)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def make_copies(task: CopyTask, watch: Watch) -> CopyResult:
    """Makes a pack of copies, or finds that it has been made.

    Raises:
      BakeError: a source is not what it was when its facts were taken.
    """
    path = storage.join(task.cache_dir, task.pack)
    if storage.exists(path + CONTENTS):
        return CopyResult(task.pack, made=0)
    files = _source_files(task)
    earlier = _earlier_copies(task)
    found = [[earlier.get((job.sha256, job.key, n)) for n in job.copies] for job in task.jobs]
    wanted = [
        files[job.key] for job, places in zip(task.jobs, found, strict=True) if None in places
    ]
    made = 0
    with (
        packs.write(path) as pack,
        contextlib.closing(prefetch.in_order(wanted)) as contents,
    ):
        for job, places in zip(task.jobs, found, strict=True):
            missing = [n for n, place in zip(job.copies, places, strict=True) if place is None]
            fresh: Iterator[bytes] = iter(())
            if missing:
                data = _unchanged_bytes(files[job.key], next(contents), job)
                fresh = _fresh_copies(files[job.key], data, job, missing, task, watch)
            for place in places:
                pack.append(next(fresh) if place is None else _read(task, place))
            made += len(missing)
    storage.write_bytes(path + CONTENTS, _contents(task.jobs))
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
            raise BakeError(f"{source.path} decoded before and does not now: {error}") from error
    for copy in copies:
        generator = copy_generator(task.seed, job.key, copy)
        yield canonicalise.encode(
            augmented_copy(image, task.spec, task.operations, generator), task.spec
        )


def _unchanged_bytes(source: SourceFile, data: Content, job: CopyJob) -> bytes:
    if isinstance(data, OSError):
        raise BakeError(
            f"{source.path} was readable when the bake began and is not now "
            f"({data.strerror or data}): run the same command again, it carries on"
        ) from data
    if hashlib.sha256(data).hexdigest() != job.sha256:
        raise BakeError(
            f"{source.path} changed while it was being baked: run the same command again, "
            "it carries on"
        )
    return data


def _source_files(task: CopyTask) -> dict[str, SourceFile]:
    wanted = {job.key for job in task.jobs}
    rows = map(SourceFile.from_json, storage.read_bytes(task.listing).splitlines())
    return {row.key: row for row in rows if row.key in wanted}


_Place = tuple[str, int]


def _earlier_copies(task: CopyTask) -> dict[tuple[str, str, int], _Place]:
    """Returns (sha256, key, copy) → (pack, record number) of copies made before."""
    places = {}
    for name in task.earlier:
        rows = json.loads(storage.read_bytes(storage.join(task.cache_dir, name + CONTENTS)))
        for index, (sha256, key, copy) in enumerate(rows):
            places[sha256, key, copy] = (name, index)
    return places


def _read(task: CopyTask, place: _Place) -> bytes:
    pack, index = place
    return next(packs.read(storage.join(task.cache_dir, pack), [index]))


def _contents(jobs: tuple[CopyJob, ...]) -> bytes:
    rows = [(job.sha256, job.key, copy) for job in jobs for copy in job.copies]
    return json.dumps(rows, separators=(",", ":")).encode()
