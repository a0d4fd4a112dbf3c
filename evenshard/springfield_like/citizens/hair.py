"""Hair: outlines around a head whose half width and half height are both 1.

Each style has pieces behind the head and pieces over it. Points are (x, y), y down, so the
crown is (0, -1) and the chin (0, 1).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from evenshard.springfield_like import shapes
from evenshard.springfield_like.canvas import Canvas, Colour, shade
from evenshard.springfield_like.shapes import Shape

Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Style:
    """Hair pieces, drawn in order.

    Attributes:
      back: behind the head.
      front: over the forehead.
      sharp: corners are kept instead of smoothed.
      balls: (x, y, radius) of round tufts in front; ones behind have `back_balls`.
    """

    back: tuple[Outline, ...] = ()
    front: tuple[Outline, ...] = ()
    sharp: bool = False
    balls: tuple[tuple[float, float, float], ...] = ()
    back_balls: tuple[tuple[float, float, float], ...] = ()


def _zigzag(start: float, end: float, count: int, inner: float, outer: float) -> Outline:
    """Returns spikes between two angles in degrees (0 right, -90 up)."""
    points = []
    for i in range(2 * count + 1):
        angle = math.radians(start + (end - start) * i / (2 * count))
        radius = outer if i % 2 else inner
        points.append((round(radius * math.cos(angle), 4), round(radius * math.sin(angle), 4)))
    return tuple(points)


def _ring(
    count: int, start: float, end: float, at: float, radius: float
) -> tuple[tuple[float, float, float], ...]:
    """Returns `count` balls on an arc between two angles in degrees."""
    angles = (math.radians(start + (end - start) * i / (count - 1)) for i in range(count))
    return tuple((at * math.cos(a), at * math.sin(a), radius) for a in angles)


_CAP: Outline = (
    (-1.04, 0.05), (-1.08, -0.40), (-0.84, -0.92), (0.0, -1.20), (0.84, -0.92), (1.08, -0.40),
    (1.04, 0.05), (0.90, -0.22), (0.62, -0.56), (0.0, -0.64), (-0.62, -0.56), (-0.90, -0.22),
)  # fmt: skip
_PARTED: Outline = (
    (-1.05, 0.15), (-1.10, -0.45), (-0.80, -1.00), (0.1, -1.26), (0.90, -0.95), (1.10, -0.40),
    (1.05, 0.15), (0.92, -0.20), (0.55, -0.42), (-0.10, -0.55), (-0.42, -0.86), (-0.60, -0.55),
    (-0.92, -0.20),
)  # fmt: skip
_BOWL: Outline = (
    (-1.12, 0.10), (-1.14, -0.45), (-0.80, -1.02), (0.0, -1.22), (0.80, -1.02), (1.14, -0.45),
    (1.12, 0.10), (0.86, -0.20), (0.4, -0.24), (0.0, -0.26), (-0.4, -0.24), (-0.86, -0.20),
)  # fmt: skip
_FRINGE: Outline = (
    (-1.06, 0.10), (-1.10, -0.45), (-0.80, -0.98), (0.0, -1.20), (0.80, -0.98), (1.10, -0.45),
    (1.06, 0.10), (0.88, -0.30), (0.50, -0.30), (0.22, -0.46), (-0.12, -0.26), (-0.50, -0.48),
    (-0.88, -0.30),
)  # fmt: skip
_LONG_BACK: Outline = (
    (0.0, -1.22), (0.90, -0.95), (1.22, -0.10), (1.28, 0.90), (1.40, 1.75), (0.80, 1.90),
    (0.0, 1.70), (-0.80, 1.90), (-1.40, 1.75), (-1.28, 0.90), (-1.22, -0.10), (-0.90, -0.95),
)  # fmt: skip
_BOB_BACK: Outline = (
    (0.0, -1.22), (0.95, -0.95), (1.30, -0.10), (1.36, 0.65), (1.05, 0.98), (0.50, 0.80),
    (-0.50, 0.80), (-1.05, 0.98), (-1.36, 0.65), (-1.30, -0.10), (-0.95, -0.95),
)  # fmt: skip
_QUIFF: Outline = (
    (-1.03, 0.0), (-1.08, -0.45), (-0.90, -0.98), (-0.35, -1.55), (0.55, -1.72), (1.20, -1.38),
    (0.98, -1.00), (1.10, -0.40), (1.03, 0.0), (0.88, -0.40), (0.40, -0.62), (-0.30, -0.60),
    (-0.88, -0.30),
)  # fmt: skip
_SLICK: Outline = (
    (-1.02, 0.10), (-1.06, -0.45), (-0.76, -0.96), (0.0, -1.14), (0.76, -0.96), (1.06, -0.45),
    (1.02, 0.10), (0.88, -0.40), (0.50, -0.76), (0.0, -0.42), (-0.50, -0.76), (-0.88, -0.40),
)  # fmt: skip
_SIDES: tuple[Outline, ...] = (
    ((-0.94, -0.50), (-1.24, -0.34), (-1.32, 0.06), (-1.12, 0.34), (-0.92, 0.20)),
    ((0.94, -0.50), (1.24, -0.34), (1.32, 0.06), (1.12, 0.34), (0.92, 0.20)),
)
_TAIL: Outline = (
    (0.50, -1.0), (1.15, -1.35), (1.80, -1.05), (1.95, -0.30), (1.72, 0.60), (1.55, -0.10),
    (1.25, -0.55),
)  # fmt: skip
_MULLET: Outline = (
    (-1.06, -0.20), (-1.22, 0.60), (-1.34, 1.40), (-0.60, 1.30), (0.60, 1.30), (1.34, 1.40),
    (1.22, 0.60), (1.06, -0.20),
)  # fmt: skip
_SWIRL: tuple[Outline, ...] = tuple(
    ((-w, y), (-w * 0.9, y - 0.28), (0.0, y - 0.40), (w * 0.9, y - 0.28), (w, y), (0.0, y + 0.16))
    for w, y in ((0.98, -0.78), (0.74, -1.14), (0.50, -1.46), (0.26, -1.74))
)
_MOHAWK: Outline = (
    (-0.30, -0.55), (-0.46, -1.30), (-0.24, -1.12), (-0.18, -1.75), (0.02, -1.25), (0.18, -1.80),
    (0.26, -1.18), (0.48, -1.40), (0.32, -0.55), (0.0, -0.70),
)  # fmt: skip
_PIGTAILS: tuple[Outline, ...] = tuple(
    tuple(
        (side * x, y)
        for x, y in ((0.95, -0.30), (1.45, -0.55), (1.90, -0.10), (1.85, 0.60), (1.55, 0.95),
                     (1.38, 0.30))
    )
    for side in (-1, 1)
)  # fmt: skip
_CURTAINS: Outline = (
    (-1.08, 0.45), (-1.14, -0.45), (-0.80, -1.00), (0.0, -1.22), (0.80, -1.00), (1.14, -0.45),
    (1.08, 0.45), (0.88, 0.05), (0.52, -0.52), (0.0, -0.94), (-0.52, -0.52), (-0.88, 0.05),
)  # fmt: skip
_TUFT: Outline = (
    (-0.20, -0.86), (-0.42, -1.32), (-0.06, -1.14), (0.02, -1.58), (0.16, -1.14), (0.46, -1.36),
    (0.22, -0.86),
)  # fmt: skip
_SWEEP: Outline = (
    (-1.02, -0.10), (-1.10, -0.60), (-0.60, -1.08), (0.30, -1.16), (1.02, -0.72), (1.30, -0.80),
    (1.06, -0.36), (0.70, -0.60), (0.0, -0.72), (-0.70, -0.58),
)  # fmt: skip

_SPIKY_FRONT = _zigzag(-195, 15, 9, 1.06, 1.46) + (
    (0.66, -0.46), (0.40, -0.62), (0.10, -0.44), (-0.20, -0.64), (-0.50, -0.44), (-0.74, -0.48),
)  # fmt: skip

STYLES: dict[str, Style] = {
    "bald": Style(),
    "sides": Style(front=_SIDES),
    "puffs": Style(back_balls=((-1.25, -0.15, 0.52), (1.25, -0.15, 0.52))),
    "short": Style(front=(_CAP,)),
    "parted": Style(front=(_PARTED,)),
    "bowl": Style(front=(_BOWL,)),
    "slick": Style(front=(_SLICK,)),
    "sweep": Style(front=(_SWEEP,)),
    "quiff": Style(front=(_QUIFF,)),
    "spikes": Style(front=(_SPIKY_FRONT,), sharp=True),
    "wild": Style(back=(_zigzag(-215, 35, 13, 1.18, 1.92),), front=_SIDES, sharp=True),
    "sunburst": Style(back=(_zigzag(-230, 50, 10, 1.15, 1.62),), front=(_FRINGE,), sharp=True),
    "mohawk": Style(front=(_MOHAWK,), sharp=True),
    "tuft": Style(front=(_TUFT,), sharp=True),
    "afro": Style(back=(), front=(_CAP,), back_balls=((0.0, -0.45, 1.52),)),
    "curls": Style(balls=_ring(9, -180, 0, 1.02, 0.36) + _ring(5, -145, -35, 0.80, 0.30)),
    "perm": Style(
        balls=_ring(8, -170, -10, 1.00, 0.36),
        back_balls=_ring(9, -220, 40, 1.16, 0.44),
    ),
    "bob": Style(back=(_BOB_BACK,), front=(_FRINGE,)),
    "bob_parted": Style(back=(_BOB_BACK,), front=(_PARTED,)),
    "long": Style(back=(_LONG_BACK,), front=(_CURTAINS,)),
    "long_fringe": Style(back=(_LONG_BACK,), front=(_BOWL,)),
    "ponytail": Style(back=(_TAIL,), front=(_PARTED,)),
    "pigtails": Style(back=_PIGTAILS, front=(_FRINGE,)),
    "bun": Style(front=(_CAP,), back_balls=((0.0, -1.42, 0.50),)),
    "two_buns": Style(front=(_CAP,), back_balls=((-0.82, -1.12, 0.46), (0.82, -1.12, 0.46))),
    "mullet": Style(back=(_MULLET,), front=(_CAP,)),
    "swirl": Style(front=(_CAP, *_SWIRL)),
    "curtains": Style(front=(_CURTAINS,)),
}


def draw_back(canvas: Canvas, style: str, colour: Colour, rx: float, ry: float) -> None:
    """Draws what of the hair is behind the head."""
    drawn = STYLES[style]
    dark = shade(colour, 0.86)
    for outline in drawn.back:
        canvas.fill(_shape(outline, drawn.sharp, rx, ry), dark)
    for x, y, radius in drawn.back_balls:
        canvas.disc(x * rx, y * ry, radius, radius, dark)


def draw_front(canvas: Canvas, style: str, colour: Colour, rx: float, ry: float) -> None:
    """Draws what of the hair is over the head."""
    drawn = STYLES[style]
    for x, y, radius in drawn.balls:
        canvas.disc(x * rx, y * ry, radius, radius, colour)
    for x, y, radius in drawn.balls:
        canvas.disc(x * rx, y * ry, radius * 0.9, radius * 0.9, colour, ink=0.0)
    for outline in drawn.front:
        canvas.fill(_shape(outline, drawn.sharp, rx, ry), colour)


@functools.lru_cache(maxsize=512)
def _shape(outline: Outline, sharp: bool, rx: float, ry: float) -> Shape:
    points = tuple((x * rx, y * ry) for x, y in outline)
    return shapes.polygon(points) if sharp else shapes.smooth(points)
