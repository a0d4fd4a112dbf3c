"""Files to images in the form of the data set, in processes of their own, in order.

The work is `pixels.canonicalise`, the very function of the bake, so a network sees of a new
picture what it would have seen had that been baked. Decoders are native code on bytes from
anywhere: a picture that kills or hangs its process is rejected, and the rest carries on.
"""

from __future__ import annotations

import itertools
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType

from tfrecords.images import canonicalise
from tfrecords.images.canonicalise import ImageError, PixelLimits, RejectReason
from tfrecords.inputs.read import read_source
from tfrecords.inputs.rows import SourceFile
from tfrecords.schema import ImageSpec

# A task costs 0.2 ms to hand over, a small picture 1 ms to decode; 16 of the largest are
# still a fraction of a batch, so that progress shows.
CHUNK = 16

# Chunks under way for each process: it never waits, and memory stays bounded.
_AHEAD = 4

# The slowest good picture seen, 178 million pixels of PNG, takes 4 s.
DECODE_SECONDS = 120.0


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


def decode(source: SourceFile, spec: ImageSpec) -> Decoded:
    """Returns a picture as the bake would store it, or why it cannot be."""
    if source.problem is not None:
        return Decoded(source, None, source.problem, source.detail or "")
    try:
        data = read_source(source)
    except OSError as error:
        return Decoded(source, None, RejectReason.UNREADABLE, error.strerror or str(error))
    try:
        return Decoded(source, canonicalise.canonicalise(data, spec, PixelLimits()).data)
    except ImageError as error:
        return Decoded(source, None, error.reason, error.detail)


class Decoders:
    """Processes that decode; a context that ends them.

    Args:
      spec: form of the images.
      workers: number of processes, at least 1.
      seconds: a picture that takes longer is rejected as decoder_hung.
    """

    def __init__(self, spec: ImageSpec, workers: int, seconds: float = DECODE_SECONDS) -> None:
        self._spec = spec
        self._workers = workers
        self._seconds = seconds
        self._pool: ProcessPoolExecutor | None = None

    def run(self, sources: Iterable[SourceFile]) -> Iterator[Decoded]:
        """Yields each picture decoded, in the order given."""
        rest = iter(sources)
        pending: deque[tuple[tuple[SourceFile, ...], Future[list[Decoded]]]] = deque()
        while True:
            while len(pending) < _AHEAD * self._workers:
                chunk = tuple(itertools.islice(rest, CHUNK))
                if not chunk:
                    break
                pending.append((chunk, self._submit(chunk)))
            if not pending:
                return
            chunk, future = pending.popleft()
            try:
                yield from future.result()
            except BrokenProcessPool:
                # Any chunk under way may be at fault: each that was lost is done one by one.
                yield from self._one_by_one(chunk)

    def __enter__(self) -> Decoders:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _submit(self, chunk: Sequence[SourceFile]) -> Future[list[Decoded]]:
        if self._pool is not None:
            try:
                return self._pool.submit(_decode_all, chunk, self._spec, self._seconds)
            except BrokenProcessPool:
                self._pool.shutdown(wait=False)
        self._pool = _processes(self._workers)
        return self._pool.submit(_decode_all, chunk, self._spec, self._seconds)

    def _one_by_one(self, chunk: Sequence[SourceFile]) -> Iterator[Decoded]:
        alone: ProcessPoolExecutor | None = None
        try:
            for source in chunk:
                alone = alone or _processes(1)
                started = time.monotonic()
                try:
                    yield from alone.submit(
                        _decode_all, [source], self._spec, self._seconds
                    ).result()
                except BrokenProcessPool:
                    alone.shutdown(wait=False)
                    alone = None
                    yield self._blame(source, time.monotonic() - started)
        finally:
            if alone is not None:
                alone.shutdown()

    def _blame(self, source: SourceFile, seconds: float) -> Decoded:
        if seconds >= self._seconds:
            text = f"its decoder took more than {self._seconds:g} s"
            return Decoded(source, None, RejectReason.DECODER_HUNG, text)
        text = "its decoder brought the process down"
        return Decoded(source, None, RejectReason.DECODER_CRASHED, text)


def _processes(workers: int) -> ProcessPoolExecutor:
    # Forked children of a process with TensorFlow's threads may inherit a held lock.
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=canonicalise.prepare_worker,
    )


def _decode_all(chunk: Sequence[SourceFile], spec: ImageSpec, seconds: float) -> list[Decoded]:
    """Decodes in a worker; the kernel ends the process if one picture takes too long."""
    found = []
    for source in chunk:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        found.append(decode(source, spec))
        signal.setitimer(signal.ITIMER_REAL, 0)
    return found
