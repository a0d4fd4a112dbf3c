"""Sources to images in the form of the data set, in processes of their own, in order.

The work is `canonicalise.canonicalise`, the very function of the bake, so that a network sees of
a new picture what it would have seen had that been baked.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType

from tfrecords.images import canonicalise
from tfrecords.images.canonicalise import ImageError, PixelLimits, RejectReason
from tfrecords.images.decode_pool import DECODE_SECONDS, TaskQueue, Watch, WorkerPool
from tfrecords.inputs.read import read_source, reason_of
from tfrecords.inputs.rows import SourceFile
from tfrecords.schema import ImageSpec

# A task costs 0.2 ms to hand over, a small picture 1 ms to decode; 16 of the largest are
# still a fraction of a batch, so that progress shows.
CHUNK = 16

# Chunks under way for each process: it never waits, and memory stays bounded.
_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture read, or the reason why it could not be.

    Attributes:
      source: that was asked for.
      data: its image, encoded as the data set's records are; None where it is rejected.
      reason: of the rejection.
      detail: the same for people.
    """

    source: SourceFile
    data: bytes | None
    reason: RejectReason | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DecodeTask:
    """Sources to decode, and the form that their images are to have."""

    sources: tuple[SourceFile, ...]
    spec: ImageSpec


class Decoders:
    """Processes that decode; a context that ends them.

    Args:
      spec: form of the images.
      workers: number of processes, at least 1.
      seconds: a picture that takes longer to read and decode is rejected as decoder_hung.
    """

    def __init__(self, spec: ImageSpec, workers: int, seconds: float = DECODE_SECONDS) -> None:
        self._spec = spec
        self._pool = WorkerPool(workers, seconds)

    def run(self, sources: Iterable[SourceFile]) -> Iterator[Decoded]:
        """Yields each picture decoded, in the order given."""
        queue = TaskQueue(self._pool, decode_all, ahead=_AHEAD)
        rest = iter(sources)
        while chunk := tuple(itertools.islice(rest, CHUNK)):
            for done in queue.submit(DecodeTask(chunk, self._spec)):
                yield from done
        for done in queue.drain():
            yield from done

    def __enter__(self) -> Decoders:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.close()


def decode_all(task: DecodeTask, watch: Watch) -> tuple[Decoded, ...]:
    """Decodes the sources of a task, but those that broke a process before."""
    return tuple(_decode_watched(source, task.spec, watch) for source in task.sources)


def decode(source: SourceFile, spec: ImageSpec) -> Decoded:
    """Returns a picture as the bake would store it, or why it cannot be."""
    if source.problem is not None:
        return Decoded(source, None, source.problem, source.detail or "")
    try:
        data = read_source(source)
    except OSError as error:
        return Decoded(source, None, reason_of(error), error.strerror or str(error))
    return decode_bytes(source, data, spec)


def decode_bytes(source: SourceFile, data: bytes, spec: ImageSpec) -> Decoded:
    """Returns the picture in a file's bytes as the bake would store it, or why it cannot be."""
    try:
        return Decoded(source, canonicalise.canonicalise(data, spec, PixelLimits()).data)
    except ImageError as error:
        return Decoded(source, None, error.reason, error.detail)


def _decode_watched(source: SourceFile, spec: ImageSpec, watch: Watch) -> Decoded:
    reason = watch.blamed(source.key)
    if reason is RejectReason.DECODER_HUNG:
        return Decoded(
            source, None, reason, f"reading or decoding it took more than {watch.seconds:g} s"
        )
    if reason is not None:
        return Decoded(source, None, reason, "decoding it crashes the process")
    with watch.decoding(source.key):
        return decode(source, spec)
