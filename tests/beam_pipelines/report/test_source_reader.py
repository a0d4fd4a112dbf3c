from __future__ import annotations

from pathlib import Path

import pytest

from beam_pipelines.cache import storage
from beam_pipelines.cache.layout import Layout
from beam_pipelines.config import PrepareConfig
from beam_pipelines.inputs.sources import list_sources
from beam_pipelines.planning.bundles import bundle_tasks
from beam_pipelines.report.source_reader import source_reader
from tests.support.datasets import fakes


def test_a_source_is_read_again_by_its_key(tmp_path: Path) -> None:
    root = fakes.write_folders(tmp_path / "in", {"apu": 30, "bart": 20})
    rows = list_sources(str(root)).rows
    config = PrepareConfig(input_dir=root, output_dir=tmp_path / "out")
    layout = Layout.of(config)
    storage.make_directory(layout.listing_dir)
    list(bundle_tasks(rows, config, layout))
    read = source_reader(layout, len(rows))
    for row in rows:
        assert read(row.key) == (root / row.key).read_bytes()
    with pytest.raises(KeyError):
        read("bart/9999.jpg")
