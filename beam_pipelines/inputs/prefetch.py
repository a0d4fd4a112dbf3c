"""Reads sources one after another, and ahead of time where storage is slow.

A cached file is read in about 30 µs, and a thread that fetches it would cost as much. From a
disk that seeks, a network file system or an object store it takes milliseconds, in which a core
would be idle: after two such files in a row, the next ones are fetched while this one is
decoded. The order of the files and what is read of them stay the same.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from beam_pipelines.inputs import sources
from tfrecords.inputs.rows import SourceFile

# A read that takes longer is slow: a local disk's flash needs a tenth of it.
SLOW_SECONDS = 0.003

# So many in a row mean slow storage; a single one means that the process waited for its core.
SLOW_READS = 2

# Files fetched at a time: at 30 ms each and 3 ms to decode one, this just keeps a core busy.
READS = 12

# Bytes fetched ahead of their use. A larger file is fetched alone.
AHEAD_BYTES = 16 << 20

# The bytes of a file, or why there are none.
Content = bytes | OSError


def in_order(files: Iterable[SourceFile]) -> Generator[Content]:
    """Yields the content of each source in turn. Close the generator if it is not exhausted."""
    left = deque(files)
    slow = 0
    while left and slow < SLOW_READS:
        began = time.monotonic()
        content = _content(left.popleft())
        slow = slow + 1 if time.monotonic() - began > SLOW_SECONDS else 0
        yield content
    yield from _ahead(left)


def _ahead(left: deque[SourceFile]) -> Generator[Content]:
    """Yields the content of the files in `left` and empties it; several are fetched at a time."""
    if not left:
        return
    under_way: deque[tuple[Future[Content], int]] = deque()
    held = 0
    with ThreadPoolExecutor(READS, thread_name_prefix="read") as threads:
        while left or under_way:
            while left and (
                not under_way or (len(under_way) < READS and held + left[0].bytes <= AHEAD_BYTES)
            ):
                source = left.popleft()
                under_way.append((threads.submit(_content, source), source.bytes))
                held += source.bytes
            future, size = under_way.popleft()
            held -= size
            yield future.result()


def _content(source: SourceFile) -> Content:
    try:
        return sources.read(source)
    except OSError as error:
        return error
