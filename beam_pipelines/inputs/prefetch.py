"""Sources read one after another, and ahead of time where storage makes one wait.

A cached file is there in some 30 µs, and a thread that fetches it would cost as much. From a
disk that seeks, a network file system or an object store it takes milliseconds in which a core
would do nothing: after two such files in a row the next ones are fetched while this one is
decoded. What is read, and in which order it comes, is the same.
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

# So many in a row tell slow storage; one alone is a process that had to wait for its core.
SLOW_READS = 2

# Files fetched at a time: at 30 ms each and 3 ms to decode one, a core is just kept busy.
READS = 12

# Bytes held ahead. A larger file is fetched alone.
AHEAD_BYTES = 16 << 20

# The bytes of a file, or why there are none.
Content = bytes | OSError


def in_order(wanted: Iterable[SourceFile]) -> Generator[Content]:
    """Yields the content of each source in turn. Close it when not taken to its end."""
    left = deque(wanted)
    slow = 0
    while left and slow < SLOW_READS:
        began = time.monotonic()
        content = _content(left.popleft())
        slow = slow + 1 if time.monotonic() - began > SLOW_SECONDS else 0
        yield content
    yield from _ahead(left)


def _ahead(left: deque[SourceFile]) -> Generator[Content]:
    """Empties `left`, with several files under way."""
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
