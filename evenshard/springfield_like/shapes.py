"""Outlines as arrays of points, with the offsets that give them an ink line of even width."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # [N, 2]: x to the right, y down
Pairs = Sequence[tuple[float, float]]

# An acute corner's mitre grows without bound; 2.2 line widths still looks like a pen's.
_MITRE_LIMIT = 2.2


@dataclass(frozen=True, eq=False)
class Shape:
    """A closed outline.

    Attributes:
      points: [N, 2], in the units of whoever drew it.
    """

    points: Points

    @functools.cached_property
    def outward(self) -> Points:
        """[N, 2]: by how much each point moves for an outline one unit wider."""
        return _outward(self.points)


def polygon(points: Pairs | Points) -> Shape:
    """Returns the shape with straight edges between `points`."""
    return Shape(np.asarray(points, dtype=np.float64))


@functools.lru_cache(maxsize=512)
def ellipse(rx: float, ry: float, count: int = 36) -> Shape:
    """Returns an ellipse about the origin."""
    angles = np.linspace(0.0, 2.0 * math.pi, count, endpoint=False)
    return polygon(np.stack([rx * np.cos(angles), ry * np.sin(angles)], axis=1))


@functools.lru_cache(maxsize=512)
def superellipse(rx: float, ry: float, power: float, taper: float, count: int = 56) -> Shape:
    """Returns a rounded box about the origin.

    Args:
      rx, ry: half width and half height.
      power: 2 is an ellipse, more is squarer.
      taper: relative widening from the middle to the bottom; negative narrows the chin.
    """
    angles = np.linspace(0.0, 2.0 * math.pi, count, endpoint=False)
    cos, sin = np.cos(angles), np.sin(angles)
    y = np.sign(sin) * np.abs(sin) ** (2.0 / power)
    x = np.sign(cos) * np.abs(cos) ** (2.0 / power) * (1.0 + taper * y)
    return polygon(np.stack([rx * x, ry * y], axis=1))


@functools.lru_cache(maxsize=1024)
def smooth(points: tuple[tuple[float, float], ...], steps: int = 6) -> Shape:
    """Returns the closed Catmull-Rom spline through `points`."""
    p1 = np.asarray(points, dtype=np.float64)
    p0, p2, p3 = np.roll(p1, 1, 0), np.roll(p1, -1, 0), np.roll(p1, -2, 0)
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (p[:, None, :] for p in (p0, p1, p2, p3))
    curve = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return polygon(curve.reshape(-1, 2))


def box(left: float, top: float, right: float, bottom: float) -> Shape:
    """Returns a rectangle."""
    return polygon(((left, top), (right, top), (right, bottom), (left, bottom)))


def arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> Points:
    """Returns an open arc of 12 points; angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 12))
    return np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1)


def _outward(points: Points) -> Points:
    ahead = np.concatenate((points[1:], points[:1])) - points
    length = np.maximum(np.hypot(ahead[:, 0], ahead[:, 1]), 1e-9)
    normal = np.stack([ahead[:, 1] / length, ahead[:, 0] / -length], axis=1)  # of each edge
    middle = normal + np.concatenate((normal[-1:], normal[:-1]))
    # |middle| = 2 cos(half the turn); the mitre is 1 / cos(half the turn) long.
    square = np.maximum((middle * middle).sum(axis=1), (2.0 / _MITRE_LIMIT) ** 2)
    x, y = points[:, 0], points[:, 1]
    turned = float(x[:-1] @ y[1:] - y[:-1] @ x[1:] + x[-1] * y[0] - y[-1] * x[0])
    return middle * ((2.0 if turned > 0 else -2.0) / square)[:, None]
