"""Heads on earlier blocks: the table reads a bake, and covers what the product chose."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from benchmarks.accuracy import levels
from tests.support.datasets import fakes
from trainer.models import efficientnet_lite

VARIANT = efficientnet_lite.VARIANTS[levels.MODEL]


def test_the_table_has_what_the_product_chose() -> None:
    assert " ".join(str(16 + level) for level in efficientnet_lite.LEVELS) in levels.BLOCKS


@pytest.mark.skipif(
    importlib.util.find_spec(VARIANT.module) is None, reason=f"{VARIANT.package} is not installed"
)
def test_each_choice_of_blocks_is_a_row(tmp_path: Path) -> None:
    fakes.write_dataset(tmp_path)
    splits, config = levels.read(tmp_path)
    rows = [levels.judge(splits, blocks, config) for blocks in ("", "9 11 13")]
    multilevel = efficientnet_lite.build(levels.MODEL, (32, 32), 3, 0.0, multilevel=True)
    widths = [efficientnet_lite.FEATURES, multilevel.get_layer("levels").output.shape[-1]]
    assert [row.channels for row in rows] == widths
    assert all(0 <= row.top1 <= 1 and row.cpu_seconds >= 0 for row in rows)
    assert levels.markdown("fake", rows).count("\n") == 3
