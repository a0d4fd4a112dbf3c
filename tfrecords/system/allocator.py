"""What the allocators of a process do with memory that has been freed.

Three ways, for three kinds of process: a bake's driver, which needs much memory once; its workers,
whose pictures come and go; and a trainer, which frees and takes the same sizes for hours. glibc's
own way is between the first two.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

# glibc's malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_SMALL = 128 * 1024
_LARGEST = 32 * 1024 * 1024  # That glibc takes for the threshold of mmap.
_NEVER = -1
_OF_PICTURE = 8 * 1024 * 1024


def release_early() -> None:
    """Gives memory back to the system as soon as it is free; call it before Arrow is imported.

    Facts are planned in one go and released in one go. The allocators of Arrow and glibc would
    keep what is freed for another time that never comes: of 40,000 pictures' facts 80 MB, which
    the report then adds to.
    """
    # Read once, when Arrow first allocates; `pyarrow.set_memory_pool` would not reach its kernels.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # glibc raises both by itself once something large has been freed, unless they are set.
    _set({_M_ARENA_MAX: 1, _M_TRIM_THRESHOLD: _SMALL, _M_MMAP_THRESHOLD: _SMALL})


def keep_pictures() -> None:
    """Keeps freed blocks of up to 8 MiB for the next, 16 MiB of them in all.

    glibc gives the memory of a picture back and faults its pages in again for the next: 0.3 ms a
    megabyte, of pictures of 800x800 more than resizing them takes.
    """
    _set({_M_TRIM_THRESHOLD: 2 * _OF_PICTURE, _M_MMAP_THRESHOLD: _OF_PICTURE})


def keep_freed(arenas: int) -> None:
    """Keeps freed blocks of up to 32 MiB for the next; call it before threads start.

    A stream of pictures takes and frees the same few sizes for ever. glibc gives such blocks
    back and faults their pages in again, and deals them out from up to eight arenas a core,
    where what one thread frees is of no use to another: together a third of the CPU time of a
    stream of raw pictures at 224 pixels (`python -m benchmarks.train.input`, docs/performance.md).

    Args:
      arenas: at most; one for each core is enough that threads do not wait for one another.
    """
    _set({_M_ARENA_MAX: arenas, _M_TRIM_THRESHOLD: _NEVER, _M_MMAP_THRESHOLD: _LARGEST})


def trim() -> None:
    """Gives what is free back to the system now; for a process that rarely needs much memory.

    glibc keeps blocks of up to 32 MiB for their like once it has freed one.
    """
    with contextlib.suppress(AttributeError, OSError):  # Not glibc.
        ctypes.CDLL(None).malloc_trim(0)


def _set(options: dict[int, int]) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # Not glibc.
    for option, value in options.items():
        mallopt(option, value)
