"""The flags of an export are checked before a network is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrecords.errors import UsageError
from trainer.export.config import ExportConfig


@pytest.mark.parametrize("name", ["model.onnx", "out/M.TFLITE", "m.keras", "all.tar.gz"])
def test_a_name_of_a_file_is_no_folder(name: str) -> None:
    with pytest.raises(UsageError, match="is the name of a file: give a folder, which gets"):
        ExportConfig(run_dir="r", output=name)


def test_any_other_name_is_and_so_is_a_folder_that_is_there(tmp_path: Path) -> None:
    there = tmp_path / "v1.onnx"
    there.mkdir()
    for name in ("", "export", "v1.2", "out.d/onnx", str(there)):
        assert ExportConfig(run_dir="r", output=name).output == name
