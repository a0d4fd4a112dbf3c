"""The files of a folder on a local disk."""

from __future__ import annotations

from pathlib import Path

from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import walk


def test_files_hidden_folders_and_empty_ones(tmp_path: Path) -> None:
    for name in ("cat/a/0.jpg", "cat/.x/1.jpg", "#recycle/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "fox").mkdir()
    found = {file.name: (file.problem, file.is_folder) for file in walk.walk_folder(str(tmp_path))}
    assert found == {
        "#recycle/": (RejectReason.HIDDEN, True),
        "cat/.x/": (RejectReason.HIDDEN, True),
        "cat/a/0.jpg": (None, False),
        "fox/": (None, True),
    }


def test_an_empty_root_has_no_row(tmp_path: Path) -> None:
    assert list(walk.walk_folder(str(tmp_path))) == []
