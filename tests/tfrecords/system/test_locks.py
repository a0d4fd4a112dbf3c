"""One process at a time, and the next one is told which."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import socket
from pathlib import Path

import pytest

from tfrecords.system import locks
from tfrecords.system.locks import LockedError


def test_a_second_holder_is_told_of_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not locks.is_locked(lock)
    for _ in range(2):  # What the file held before does not matter.
        with locks.locked(lock, "another bake is writing to out", "wait for it"):
            assert locks.is_locked(lock)
            expected = (
                f"another bake is writing to out (process {os.getpid()} on "
                f"{socket.gethostname()}): wait for it"
            )
            with (
                pytest.raises(LockedError, match=re.escape(expected)),
                locks.locked(lock, "another bake is writing to out", "wait for it"),
            ):
                pytest.fail("held twice")
        assert not locks.is_locked(lock)


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    lock, ready = tmp_path / "lock", os.pipe()
    child = os.fork()
    if child == 0:
        with locks.locked(lock, "", ""):
            os.write(ready[1], b"1")
            signal.pause()
    os.read(ready[0], 1)
    with pytest.raises(LockedError, match=f"process {child} on"), locks.locked(lock, "taken", ""):
        pytest.fail("held twice")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for descriptor in ready:
        os.close(descriptor)
    with locks.locked(lock, "", ""):
        assert locks.is_locked(lock)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_lock_that_does_not_say_whose_it_is(tmp_path: Path, text: str) -> None:
    lock = tmp_path / "lock"
    lock.write_text(text)
    with open(lock, encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match="^taken: wait$"), locks.locked(lock, "taken", "wait"):
            pytest.fail("held twice")


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(LockedError, match="No locks available.*choose a directory on another"):
        with locks.locked(tmp_path / "lock", "", ""):
            pytest.fail("held without a lock")
