from __future__ import annotations

import dataclasses

import pytest

from tests.support.datasets import fakes
from tfrecords import manifest
from tfrecords.manifest import Manifest, SplitInfo
from tfrecords.reporting import figures
from tfrecords.reporting.balance import balance_figure, balance_panels

STATUSES = ("capped", "duplicate", "rejected", "ignored")

# On a phone text is set larger than in the figure, whose card has a margin around it: 12 pixels,
# where the figure has 340.
ENLARGED, MARGIN = 10 / 8.5, 12 / 340


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    path = tmp_path_factory.mktemp("balance") / "data"
    fakes.write_dataset(path, copies=9)
    return manifest.load(path)


def of_classes(found: Manifest, count: int) -> Manifest:
    names = tuple(f"class {n:03} of a very long name indeed" for n in range(count))

    def widened(split: SplitInfo) -> SplitInfo:
        shard = dataclasses.replace(split.shards[0], records=4 * count)
        return dataclasses.replace(
            split, originals=(3,) * count, copies=(1,) * count, shards=(shard,)
        )

    splits = tuple(map(widened, found.splits))
    return dataclasses.replace(found, classes=names, splits=splits)


@pytest.mark.parametrize("count", [1, 5, 42])
def test_on_a_phone_two_narrow_figures_keep_names_and_legends_inside(
    found: Manifest, count: int
) -> None:
    panels = balance_panels(of_classes(found, count), {name: (1,) * count for name in STATUSES})
    assert len(panels) == 2
    for panel in panels:
        panel.draw_without_rendering()
        (axes,) = panel.axes
        assert panel.get_figwidth() == figures.WIDTH
        assert len(axes.get_yticklabels()) == count
        legend = axes.get_legend()
        assert legend is not None
        width = panel.bbox.width
        label = axes.get_yticklabels()[0].get_window_extent()
        box = legend.get_window_extent()
        assert label.x1 - label.width * ENLARGED >= -MARGIN * width
        assert box.x0 + box.width * ENLARGED <= (1 + MARGIN) * width
        assert box.y1 <= axes._left_title.get_window_extent().y0  # type: ignore[attr-defined]  # Private: no other name for it.


def test_more_classes_than_rows_are_one_wide_figure(found: Manifest) -> None:
    many = of_classes(found, 43)
    (panel,) = balance_panels(many)
    assert panel.get_figwidth() == balance_figure(many).get_figwidth() > figures.WIDTH
