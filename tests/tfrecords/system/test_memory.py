from __future__ import annotations

from pathlib import Path

from tfrecords.system import memory


def test_the_kernels_estimate_is_read(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  2048 kB\nMemFree:  1 kB\nMemAvailable:    1000 kB\n")
    assert memory.available_bytes(meminfo) == 1_024_000


def test_elsewhere_it_is_unknown(tmp_path: Path) -> None:
    assert memory.available_bytes(tmp_path / "absent") is None
    (tmp_path / "old").write_text("MemTotal:  2048 kB\n")
    assert memory.available_bytes(tmp_path / "old") is None


def test_the_cost_of_a_cache_is_told_beside_what_there_is() -> None:
    told = memory.cache_cost
    assert told("decoded", 3_000_000, None).endswith("will hold about 2.9 MiB in memory")
    assert "2.9 MiB in memory, of 7.5 GiB available" in told("decoded", 3_000_000, 8 * 10**9)
    assert "more than there is" in told("encoded", 9 * 10**9, 8 * 10**9)
    assert "more than" not in told("encoded", 10**9, 8 * 10**9)
