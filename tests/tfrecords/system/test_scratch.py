from __future__ import annotations

import os
from pathlib import Path

from tfrecords.system import scratch


def test_a_folder_lives_as_long_as_its_block(tmp_path: Path) -> None:
    with scratch.folder(tmp_path, ".work-") as folder:
        (folder / "a").write_text("1")
        assert folder.parent == tmp_path and folder.name.startswith(".work-")
    assert os.listdir(tmp_path) == []


def test_what_killed_commands_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = tmp_path / ".work-killed"
    left.mkdir()
    (left / ".lock").write_text("")
    (left / "half").write_text("half")
    (tmp_path / ".work-of-a-person").mkdir()
    with scratch.folder(tmp_path, ".work-") as first, scratch.folder(tmp_path, ".work-") as second:
        assert first != second and first.exists()
        assert not left.exists()
    assert os.listdir(tmp_path) == [".work-of-a-person"]
