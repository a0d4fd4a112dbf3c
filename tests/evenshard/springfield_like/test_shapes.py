"""Outlines: the offsets that make an ink line of even width."""

from __future__ import annotations

import numpy as np
import pytest

from evenshard.springfield_like import shapes


@pytest.mark.parametrize("turn", [1, -1], ids=["clockwise", "anticlockwise"])
def test_an_outline_grows_a_square_by_its_width(turn):
    square = shapes.polygon(((0, 0), (4, 0), (4, 4), (0, 4))[::turn])
    grown = square.points + square.outward
    assert grown.min(axis=0).tolist() == pytest.approx([-1, -1])
    assert grown.max(axis=0).tolist() == pytest.approx([5, 5])


def test_an_outline_grows_a_disc_evenly():
    disc = shapes.ellipse(3.0, 3.0)
    radii = np.hypot(*(disc.points + 0.5 * disc.outward).T)
    assert radii == pytest.approx(np.full(36, 3.5), abs=0.01)


def test_a_needle_does_not_grow_without_bound():
    needle = shapes.polygon(((0, 0), (100, 0.1), (0, 0.2)))
    assert np.hypot(*needle.outward.T).max() <= 2.2 + 1e-9


def test_a_spline_passes_through_its_points():
    corners = ((0.0, 0.0), (2.0, 0.5), (1.0, 2.0), (-1.0, 1.0))
    curve = shapes.smooth(corners, steps=6)
    assert curve.points[::6] == pytest.approx(np.array(corners))
