"""What the local file system says of a path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfrecords.inputs.files import LOCAL, FileKind


def test_kinds(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"four")
    os.symlink(tmp_path / "file", tmp_path / "link")
    os.mkfifo(tmp_path / "pipe")
    assert LOCAL.stat(str(tmp_path)).kind is FileKind.FOLDER
    assert LOCAL.stat(str(tmp_path / "pipe")).kind is FileKind.SPECIAL
    for name in ("file", "link"):
        status = LOCAL.stat(str(tmp_path / name))
        assert (status.kind, status.bytes) == (FileKind.FILE, 4)
    with pytest.raises(FileNotFoundError):
        LOCAL.stat(str(tmp_path / "absent"))
