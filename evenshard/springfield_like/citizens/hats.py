"""Hats, in units of the head: half width 1, crown at (0, -1), drawn over the hair."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from evenshard.springfield_like import shapes
from evenshard.springfield_like.canvas import Canvas, Colour
from evenshard.springfield_like.shapes import Shape

Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Piece:
    """A part of a hat.

    Attributes:
      points: outline in head units.
      colour: 0 is the hat's first colour, 1 its second.
      rounded: a spline through the points instead of straight edges.
    """

    points: Outline
    colour: int = 0
    rounded: bool = True


def _oval(cx: float, cy: float, rx: float, ry: float) -> Outline:
    angles = (math.radians(45 * i) for i in range(8))
    return tuple((cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles)


def _band(width: float, top: float, bottom: float) -> Outline:
    return ((-width, top), (width, top), (width, bottom), (-width, bottom))


_DOME: Outline = (
    (-1.08, -0.42), (-1.04, -0.98), (-0.55, -1.44), (0.0, -1.54), (0.55, -1.44), (1.04, -0.98),
    (1.08, -0.42), (0.0, -0.52),
)  # fmt: skip
_VISOR: Outline = ((-0.70, -0.52), (0.50, -0.60), (1.50, -0.50), (1.62, -0.34), (0.60, -0.30))

HATS: dict[str, tuple[Piece, ...]] = {
    "chef": (
        Piece(((-0.9, -0.8), (-1.3, -1.35), (-0.95, -1.85), (-0.35, -1.80), (0.0, -2.08),
               (0.40, -1.80), (0.98, -1.86), (1.3, -1.35), (0.9, -0.8))),
        Piece(_band(0.94, -1.05, -0.52), 1, False),
    ),
    "cap": (Piece(_DOME), Piece(_VISOR, 1), Piece(_oval(0, -1.52, 0.13, 0.10), 1)),
    "beanie": (
        Piece(_DOME),
        Piece(((-1.14, -0.80), (1.14, -0.80), (1.16, -0.36), (-1.16, -0.36)), 1, False),
        Piece(_oval(0, -1.64, 0.30, 0.28), 1),
    ),
    "officer": (
        Piece(((-1.00, -0.80), (-1.40, -1.30), (-0.70, -1.62), (0.70, -1.62), (1.40, -1.30),
               (1.00, -0.80))),
        Piece(_band(1.00, -0.98, -0.62), 1, False),
        Piece(((-0.95, -0.66), (0.95, -0.66), (0.70, -0.34), (0.0, -0.26), (-0.70, -0.34)), 1),
        Piece(((0.0, -1.50), (0.16, -1.24), (0.0, -1.02), (-0.16, -1.24)), 1, False),
    ),
    "top_hat": (
        Piece(((-0.74, -0.72), (-0.82, -2.10), (0.82, -2.10), (0.74, -0.72)), 0, False),
        Piece(_band(0.76, -1.06, -0.76), 1, False),
        Piece(_oval(0, -0.68, 1.36, 0.18)),
    ),
    "straw": (
        Piece(((-0.78, -0.68), (-0.72, -1.34), (0.0, -1.52), (0.72, -1.34), (0.78, -0.68))),
        Piece(_band(0.80, -1.00, -0.72), 1, False),
        Piece(_oval(0, -0.64, 1.66, 0.24)),
    ),
    "bowler": (
        Piece(((-0.88, -0.66), (-0.86, -1.26), (-0.44, -1.66), (0.44, -1.66), (0.86, -1.26),
               (0.88, -0.66))),
        Piece(_band(0.90, -0.96, -0.70), 1, False),
        Piece(_oval(0, -0.64, 1.26, 0.17)),
    ),
    "hard_hat": (
        Piece(_DOME),
        Piece(((-0.18, -1.56), (0.18, -1.56), (0.20, -0.60), (-0.20, -0.60)), 1, False),
        Piece(_oval(0, -0.48, 1.28, 0.16)),
    ),
    "captain": (
        Piece(((-1.00, -0.82), (-1.22, -1.34), (0.0, -1.66), (1.22, -1.34), (1.00, -0.82))),
        Piece(((-1.02, -0.98), (1.02, -0.98), (1.00, -0.60), (0.0, -0.40), (-1.00, -0.60)), 1),
        Piece(_oval(0, -1.20, 0.20, 0.20), 1),
    ),
    "beret": (
        Piece(((-1.00, -0.62), (-1.40, -1.00), (-0.90, -1.42), (0.20, -1.48), (1.02, -1.12),
               (1.00, -0.62))),
        Piece(((-0.26, -1.44), (-0.22, -1.66), (-0.10, -1.66), (-0.10, -1.44)), 1, False),
    ),
    "fez": (
        Piece(((-0.72, -0.72), (-0.52, -1.62), (0.52, -1.62), (0.72, -0.72)), 0, False),
        Piece(((0.30, -1.60), (0.72, -1.66), (0.86, -1.02), (0.70, -1.02), (0.60, -1.48)),
              1, False),
    ),
    "cowboy": (
        Piece(((-0.76, -0.66), (-0.74, -1.40), (-0.42, -1.70), (0.0, -1.50), (0.42, -1.70),
               (0.74, -1.40), (0.76, -0.66))),
        Piece(_band(0.80, -0.96, -0.70), 1, False),
        Piece(((-1.72, -1.06), (-0.95, -0.74), (0.0, -0.66), (0.95, -0.74), (1.72, -1.06),
               (1.30, -0.54), (0.0, -0.38), (-1.30, -0.54))),
    ),
    "crown": (
        Piece(((-0.82, -0.70), (-0.94, -1.62), (-0.46, -1.18), (0.0, -1.78), (0.46, -1.18),
               (0.94, -1.62), (0.82, -0.70)), 0, False),
        Piece(_oval(0, -0.96, 0.14, 0.14), 1),
    ),
    "party": (
        Piece(((-0.58, -0.80), (0.04, -2.20), (0.58, -0.80)), 0, False),
        Piece(((-0.40, -1.16), (-0.24, -1.50), (0.36, -1.36), (0.46, -1.06)), 1, False),
        Piece(_oval(0.04, -2.20, 0.22, 0.20), 1),
    ),
    "nurse": (
        Piece(((-0.66, -0.80), (-0.86, -1.42), (0.86, -1.42), (0.66, -0.80)), 0, False),
        Piece(((-0.10, -1.36), (0.10, -1.36), (0.10, -0.90), (-0.10, -0.90)), 1, False),
        Piece(((-0.28, -1.22), (0.28, -1.22), (0.28, -1.04), (-0.28, -1.04)), 1, False),
    ),
    "headband": (Piece(((-1.10, -0.66), (0.0, -0.84), (1.10, -0.66), (1.10, -0.36), (0.0, -0.52),
                        (-1.10, -0.36))),),
    "hair_bow": (
        Piece(((0.50, -1.12), (0.00, -1.50), (-0.06, -0.86))),
        Piece(((0.50, -1.12), (1.00, -1.46), (1.06, -0.82))),
        Piece(_oval(0.50, -1.12, 0.15, 0.15), 1),
    ),
    "headscarf": (
        Piece(((-1.12, 0.30), (-1.18, -0.50), (-0.80, -1.14), (0.0, -1.34), (0.80, -1.14),
               (1.18, -0.50), (1.12, 0.30), (0.80, -0.36), (0.0, -0.62), (-0.80, -0.36))),
        Piece(_oval(-0.62, -0.92, 0.12, 0.12), 1),
        Piece(_oval(0.0, -0.98, 0.12, 0.12), 1),
        Piece(_oval(0.62, -0.92, 0.12, 0.12), 1),
    ),
    "headphones": (
        Piece(((-1.16, -0.10), (-1.18, -0.70), (-0.70, -1.24), (0.0, -1.42), (0.70, -1.24),
               (1.18, -0.70), (1.16, -0.10), (1.02, -0.62), (0.60, -1.06), (0.0, -1.22),
               (-0.60, -1.06), (-1.02, -0.62))),
        Piece(_oval(-1.12, 0.04, 0.26, 0.36), 1),
        Piece(_oval(1.12, 0.04, 0.26, 0.36), 1),
    ),
    "flower": tuple(
        Piece(_oval(0.62 + dx, -0.92 + dy, 0.19, 0.19), 0)
        for dx, dy in ((0.0, -0.26), (0.25, -0.08), (0.16, 0.20), (-0.16, 0.20), (-0.25, -0.08))
    ) + (Piece(_oval(0.62, -0.92, 0.16, 0.16), 1),),
}  # fmt: skip


def draw_hat(
    canvas: Canvas, hat: str, colours: tuple[Colour, Colour], rx: float, ry: float
) -> None:
    """Draws the hat on a head of half width `rx` and half height `ry`."""
    for piece in HATS[hat]:
        canvas.fill(_shape(piece, rx, ry), colours[piece.colour])


@functools.lru_cache(maxsize=256)
def _shape(piece: Piece, rx: float, ry: float) -> Shape:
    # A hat keeps its height on a flat or a long head; only its seat moves with the crown.
    points = tuple((x * rx, y + 1.0 - ry if y < -0.3 else y * ry) for x, y in piece.points)
    return shapes.smooth(points) if piece.rounded else shapes.polygon(points)
