"""The citizens: the story's counts, complete designs, no two alike."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from evenshard.springfield_like.canvas import Canvas
from evenshard.springfield_like.citizens.cast import CITIZENS, TOTAL
from evenshard.springfield_like.citizens.design import Citizen
from evenshard.springfield_like.citizens.figure import draw_figure
from evenshard.springfield_like.citizens.pose import EXPRESSIONS, PORTRAIT, Pose
from evenshard.springfield_like.sheet import draw_sheet

# The story's class sizes.
COUNTS = (
    2246, 1454, 1452, 1354, 1342, 1291, 1206, 1194, 1193, 1079, 986, 913, 877, 623, 498, 469, 457,
    358, 310, 246, 181, 128, 121, 106, 103, 98, 89, 72, 71, 65, 55, 47, 45, 42, 40, 32, 27, 27, 17,
    8, 8, 3,
)  # fmt: skip


def _portrait(citizen: Citizen, pose: Pose = PORTRAIT) -> np.ndarray:
    image = Image.new("RGB", (120, 180), (236, 232, 222))
    draw_figure(Canvas.over(image, 1.2).placed(60, 60, 24), citizen, pose)
    return np.asarray(image, dtype=np.int16)


def test_the_counts_are_the_storys():
    assert tuple(citizen.count for citizen in CITIZENS) == COUNTS
    assert sum(COUNTS) == TOTAL == 20_933
    assert len(COUNTS) == 42


def test_names_are_plain_and_unique():
    names = [citizen.name for citizen in CITIZENS]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and name == name.lower() and " " not in name for name in names)


def test_no_two_citizens_are_drawn_alike():
    portraits = {citizen.name: _portrait(citizen) for citizen in CITIZENS}
    for (one, a), (other, b) in itertools.combinations(portraits.items(), 2):
        differing = (np.abs(a - b).max(axis=2) > 40).mean()
        assert differing > 0.01, f"{one} and {other} differ in {differing:.1%} of their pixels"


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_every_citizen_has_every_expression(expression):
    other = Pose(8, -4, -0.9, 0.5, (-1, 0.3), expression, ((90, 150), (40, -60)), (9, 3), True)
    for citizen in CITIZENS:
        assert (_portrait(citizen, other) != _portrait(citizen)).any()


def test_a_design_with_an_unknown_colour_is_refused():
    with pytest.raises(ValueError, match="colours must be of PALETTE, not .'puce'."):
        Citizen("x", 3, "puce", "round", "adult", "short", "black", "dot", "snub", "plain",
                ("red", "red"))  # fmt: skip


def test_the_sheet_has_a_cell_for_each():
    sheet = np.asarray(draw_sheet())
    rows, columns = sheet.shape[0] // 3, sheet.shape[1] // 14
    for i in range(42):
        top, left = i // 14 * rows, i % 14 * columns
        assert sheet[top : top + rows, left : left + columns].std() > 20
