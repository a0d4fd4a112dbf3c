"""Sources come in order, fetched ahead or not."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest

from beam_pipelines.inputs import prefetch, sources
from tfrecords.inputs.rows import SourceFile


def files(folder: Path, sizes: list[int]) -> list[SourceFile]:
    """Returns sources of the given sizes, each file of bytes of its own."""
    made = []
    for number, size in enumerate(sizes):
        path = folder / f"{number:03d}"
        path.write_bytes(bytes([number % 256]) * size)
        made.append(SourceFile(path.name, str(path), "class", size, version=0))
    return made


@pytest.fixture(params=["as they come", "ahead"])
def storage_speed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Storage that is fast or slow, in the eyes of the reader."""
    slow_from = {"as they come": float("inf"), "ahead": -1.0}[request.param]
    monkeypatch.setattr(prefetch, "SLOW_SECONDS", slow_from)
    return request.param


def test_contents_come_in_the_order_asked_for(tmp_path: Path, storage_speed: str) -> None:
    wanted = files(tmp_path, [100 + number for number in range(50)])
    wanted.reverse()
    contents = list(prefetch.in_order(wanted))
    assert contents == [Path(source.path).read_bytes() for source in wanted]


def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    tmp_path: Path, storage_speed: str
) -> None:
    wanted = files(tmp_path, [10] * 6)
    Path(wanted[2].path).unlink()
    contents = list(prefetch.in_order(wanted))
    assert isinstance(contents[2], FileNotFoundError)
    assert [len(c) for c in contents if isinstance(c, bytes)] == [10] * 5


def test_nothing_wanted_gives_nothing(storage_speed: str) -> None:
    assert list(prefetch.in_order([])) == []


def test_several_files_are_under_way_where_storage_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefetch, "SLOW_SECONDS", -1.0)
    together = threading.Barrier(prefetch.READS, timeout=30)
    read, main = sources.read, threading.current_thread()

    def meet(source: SourceFile) -> bytes:
        # Passes only when as many reads wait here at once; the first ones are read alone.
        if threading.current_thread() is not main:
            together.wait()
        return read(source)

    monkeypatch.setattr(sources, "read", meet)
    wanted = files(tmp_path, [10] * (prefetch.SLOW_READS + 2 * prefetch.READS))
    assert len(list(prefetch.in_order(wanted))) == len(wanted)


def test_one_slow_read_is_no_slow_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0, 1, 1, 1, 1, 2, 2, 2])  # Before and after each of four reads.
    monkeypatch.setattr(prefetch.time, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(prefetch, "ThreadPoolExecutor", None)  # None may be made.
    assert len(list(prefetch.in_order(files(tmp_path, [10] * 4)))) == 4


def test_few_bytes_are_held_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "SLOW_SECONDS", -1.0)
    monkeypatch.setattr(prefetch, "AHEAD_BYTES", 250)
    begun, read = [], sources.read

    def note(source: SourceFile) -> bytes:
        begun.append(source.key)
        return read(source)

    monkeypatch.setattr(sources, "read", note)
    wanted = files(tmp_path, [100, 100, 100, 1000, 100, 100])
    contents = prefetch.in_order(wanted)
    ahead = []
    for taken in range(1, len(wanted) + 1):
        next(contents)
        ahead.append(len(begun) - taken)
    # The one that is waited for and one more: 1,000 bytes go alone.
    assert max(ahead) <= 1
    assert sorted(begun) == [source.key for source in wanted]


def test_leaving_early_ends_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "SLOW_SECONDS", -1.0)
    with contextlib.closing(prefetch.in_order(files(tmp_path, [10] * 40))) as contents:
        for _ in range(prefetch.SLOW_READS + 1):
            next(contents)
        assert any(thread.name.startswith("read") for thread in threading.enumerate())
    assert not any(thread.name.startswith("read") for thread in threading.enumerate())
