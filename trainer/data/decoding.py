"""Files to images in the form of the data set, in processes of their own, in order.

The work is `pixels.canonicalise`, the very function of the bake, so a network sees of a new
picture what it would have seen had that been baked. Decoders are native code on bytes from
anywhere: a picture that kills or hangs its process is rejected, and the rest carries on.
"""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import signal
import time
import zipfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType

from tfrecords.images import canonicalise
from tfrecords.images.canonicalise import ImageError, PixelLimits, RejectReason
from tfrecords.schema import ImageSpec
from trainer.predicting.unlabelled import Picture

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
      picture: that was asked for.
      data: its image, encoded as the data set's records are; None where it is rejected.
      reason: of the rejection.
      detail: the same for people.
    """

    picture: Picture
    data: bytes | None
    reason: RejectReason | None = None
    detail: str = ""


def read(picture: Picture) -> bytes:
    """Returns the bytes of a file, or of a zip's member.

    Raises:
      ImageError: unreadable.
    """
    try:
        if picture.member:
            return _archive(picture.path).read(picture.member)
        with open(picture.path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ImageError(RejectReason.UNREADABLE, error.strerror or str(error)) from error
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
        # zipfile says RuntimeError of an encrypted member, NotImplementedError of a method.
        raise ImageError(RejectReason.UNREADABLE, str(error)) from error


def decode(picture: Picture, spec: ImageSpec) -> Decoded:
    """Returns a picture as the bake would store it, or why it cannot be."""
    try:
        return Decoded(picture, canonicalise.canonicalise(read(picture), spec, PixelLimits()).data)
    except ImageError as error:
        return Decoded(picture, None, error.reason, error.detail)


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

    def run(self, pictures: Iterable[Picture]) -> Iterator[Decoded]:
        """Yields each picture decoded, in the order given."""
        rest = iter(pictures)
        pending: deque[tuple[tuple[Picture, ...], Future[list[Decoded]]]] = deque()
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

    def _submit(self, chunk: Sequence[Picture]) -> Future[list[Decoded]]:
        if self._pool is not None:
            try:
                return self._pool.submit(_decode_all, chunk, self._spec, self._seconds)
            except BrokenProcessPool:
                self._pool.shutdown(wait=False)
        self._pool = _processes(self._workers)
        return self._pool.submit(_decode_all, chunk, self._spec, self._seconds)

    def _one_by_one(self, chunk: Sequence[Picture]) -> Iterator[Decoded]:
        alone: ProcessPoolExecutor | None = None
        try:
            for picture in chunk:
                alone = alone or _processes(1)
                started = time.monotonic()
                try:
                    yield from alone.submit(
                        _decode_all, [picture], self._spec, self._seconds
                    ).result()
                except BrokenProcessPool:
                    alone.shutdown(wait=False)
                    alone = None
                    yield self._blame(picture, time.monotonic() - started)
        finally:
            if alone is not None:
                alone.shutdown()

    def _blame(self, picture: Picture, seconds: float) -> Decoded:
        if seconds >= self._seconds:
            text = f"its decoder took more than {self._seconds:g} s"
            return Decoded(picture, None, RejectReason.DECODER_HUNG, text)
        text = "its decoder brought the process down"
        return Decoded(picture, None, RejectReason.DECODER_CRASHED, text)


def _processes(workers: int) -> ProcessPoolExecutor:
    # Forked children of a process with TensorFlow's threads may inherit a held lock.
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=canonicalise.prepare_worker,
    )


def _decode_all(chunk: Sequence[Picture], spec: ImageSpec, seconds: float) -> list[Decoded]:
    """Decodes in a worker; the kernel ends the process if one picture takes too long."""
    found = []
    for picture in chunk:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        found.append(decode(picture, spec))
        signal.setitimer(signal.ITIMER_REAL, 0)
    return found


@functools.lru_cache(maxsize=4)
def _archive(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)
