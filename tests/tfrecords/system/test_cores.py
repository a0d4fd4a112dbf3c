from __future__ import annotations

from pathlib import Path

import pytest

from tfrecords.system import cores


@pytest.mark.parametrize(
    ("text", "quota"),
    [("150000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("", None)],
)
def test_a_containers_quota_limits_the_cores(tmp_path: Path, text: str, quota: int | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    unlimited = cores.usable(tmp_path / "absent")
    assert cores.usable(tmp_path / "cpu.max") == min(unlimited, quota or unlimited)
