"""What malloc does afterwards, seen from page faults and its own account of arenas."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")

_BLOCK = 8 << 20
_PAGES = _BLOCK // 4096
_ROUNDS = 20

_FAULTS = f"""
import resource
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range({_ROUNDS}): bytearray({_BLOCK})
print(faults() - before)
"""

# Threads that all hold memory at once: each would have an arena of its own.
_ARENAS = """
import ctypes, threading
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
barrier = threading.Barrier(12)
def hold():
    libc.malloc(ctypes.c_size_t(5000)); barrier.wait()
threads = [threading.Thread(target=hold) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file); libc.fclose(file)
"""


def run(setting: str, code: str) -> str:
    """Returns what `code` prints in a process of its own, after a call of the allocator's."""
    program = f"from tfrecords.system import allocator\n{setting}\n{code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_freed_blocks_are_kept_for_the_next() -> None:
    assert int(run("allocator.keep_freed(2)", _FAULTS)) < 2 * _PAGES


def test_memory_of_a_picture_is_kept_for_the_next() -> None:
    smaller = _FAULTS.replace(str(_BLOCK), str(_BLOCK // 2))
    assert int(run("allocator.keep_pictures()", smaller)) < 2 * _PAGES


def test_freed_blocks_are_given_back_early() -> None:
    assert int(run("allocator.release_early()", _FAULTS)) > (_ROUNDS - 1) * _PAGES


def test_threads_share_few_arenas() -> None:
    assert run("allocator.keep_freed(2)", _ARENAS).count("<heap nr=") == 2
    assert run("", _ARENAS).count("<heap nr=") > 2


# Blocks below the threshold of mmap, with one in use above them, so that the heap cannot shrink.
_HELD = """
from tfrecords.system import allocator
def held():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
del (large := [bytearray(8 << 20)])[:]
blocks = [bytearray(100_000) for _ in range(400)]
del blocks[:-1]
before = held()
allocator.trim()
print(before - held())
"""


def test_trim_gives_back_what_is_free_below_a_block_in_use() -> None:
    done = subprocess.run([sys.executable, "-c", _HELD], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 30_000  # KiB, of 39,000.
