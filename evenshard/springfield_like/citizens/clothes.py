"""Bodies and clothes: torso, arms, legs and what is worn on them.

The canvas's origin is the neck, y down, in head units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evenshard.springfield_like import shapes
from evenshard.springfield_like.canvas import INK, WHITE, Canvas, Colour, shade
from evenshard.springfield_like.citizens.design import BUILDS, Build, Citizen
from evenshard.springfield_like.citizens.pose import Pose
from evenshard.springfield_like.palette import PALETTE
from evenshard.springfield_like.shapes import Shape


@dataclass(frozen=True)
class Torso:
    """A trunk whose places are named by (u, v): u from -1 (left) to 1, v from 0 (neck) to 1."""

    build: Build

    def half_width(self, v: float) -> float:
        """Returns half the width at height `v`."""
        b = self.build
        if v < 0.14:  # the slope of the shoulders
            return b.shoulder * (0.42 + 0.58 * math.sqrt(v / 0.14))
        if v < 0.62:
            return b.shoulder + (b.waist - b.shoulder) * (v - 0.14) / 0.48
        return b.waist + (b.hip - b.waist) * (v - 0.62) / 0.38

    def at(self, u: float, v: float) -> tuple[float, float]:
        """Returns the point (x, y) of place (u, v)."""
        return u * self.half_width(v), v * self.build.torso

    def patch(self, left: float, top: float, right: float, bottom: float) -> Shape:
        """Returns the part of the trunk between two u and two v."""
        rows = np.linspace(top, bottom, max(3, round((bottom - top) * 16)))
        points = [self.at(right, v) for v in rows] + [self.at(left, v) for v in rows[::-1]]
        return shapes.polygon(points)


Top = Callable[[Canvas, Torso, Colour, Colour], None]


def _plain(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    canvas.fill(torso.patch(-0.36, 0.0, 0.36, 0.05), second, ink=0.0)


def _stripes(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    for v in (0.14, 0.36, 0.58, 0.80):
        canvas.fill(torso.patch(-1, v, 1, v + 0.11), second, ink=0.0)


def _pinstripes(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    for u in (-0.84, -0.46, -0.08, 0.30, 0.68):
        canvas.fill(torso.patch(u, 0.10, u + 0.18, 1), second, ink=0.0)


def _dots(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    for row, v in enumerate((0.16, 0.34, 0.52, 0.70, 0.88)):
        for u in (-0.7, -0.2, 0.3, 0.8) if row % 2 else (-0.45, 0.05, 0.55):
            canvas.disc(*torso.at(u * 0.95, v), 0.11, 0.11, second, ink=0.0)


def _check(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    light = shade(second, 1.0)
    for v in (0.10, 0.34, 0.58, 0.82):
        canvas.fill(torso.patch(-1, v, 1, v + 0.10), light, ink=0.0)
    for u in (-0.72, -0.16, 0.40):
        canvas.fill(torso.patch(u, 0.05, u + 0.24, 1), shade(light, 0.82), ink=0.0)


def _suit(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    shirt = (torso.at(-0.42, 0.0), torso.at(0.42, 0.0), torso.at(0.0, 0.58))
    canvas.fill(shapes.polygon(shirt), second, ink=0.7)
    for side in (-1, 1):
        lapel = (torso.at(0.44 * side, 0.0), torso.at(0.60 * side, 0.24), torso.at(0.0, 0.60))
        canvas.fill(shapes.polygon(lapel), shade(first, 0.80), ink=0.6)
    canvas.stroke((torso.at(0, 0.60), torso.at(0, 1.0)), 0.04, INK)
    for v in (0.70, 0.86):
        canvas.disc(*torso.at(0.10, v), 0.055, 0.055, INK, ink=0.0)


def _apron(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    for side in (-1, 1):
        canvas.stroke((torso.at(0.36 * side, 0.02), torso.at(0.46 * side, 0.30)), 0.10, second, 0.7)
    canvas.fill(torso.patch(-0.52, 0.26, 0.52, 0.60), second, ink=0.8)
    canvas.fill(torso.patch(-0.82, 0.58, 0.82, 1.0), second, ink=0.8)
    canvas.fill(torso.patch(-0.30, 0.70, 0.30, 0.88), shade(second, 0.88), ink=0.6)


def _overalls(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    canvas.fill(torso.patch(-1, 0.58, 1, 1.0), second, ink=0.0)
    canvas.fill(torso.patch(-0.62, 0.28, 0.62, 0.66), second, ink=0.8)
    canvas.fill(torso.patch(-0.58, 0.56, 0.58, 0.70), second, ink=0.0)
    for side in (-1, 1):
        strap = (torso.at(0.56 * side, 0.04), torso.at(0.46 * side, 0.34))
        canvas.stroke(strap, 0.15, second, 0.7)
        canvas.disc(*torso.at(0.46 * side, 0.34), 0.08, 0.08, PALETTE["gold"], ink=0.6)


def _coat(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    canvas.fill(torso.patch(-0.26, 0.0, 0.26, 1.0), second, ink=0.7)
    for side in (-1, 1):
        collar = (
            torso.at(0.26 * side, 0.0),
            torso.at(0.86 * side, 0.10),
            torso.at(0.30 * side, 0.34),
        )
        canvas.fill(shapes.polygon(collar), shade(first, 0.86), ink=0.7)
        canvas.stroke((torso.at(0.5 * side, 0.70), torso.at(0.86 * side, 0.66)), 0.05, INK)


def _vest(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    edge = ((0.50, 0.03), (0.96, 0.12), (1.0, 0.62), (1.0, 0.92), (0.12, 0.99), (0.10, 0.50))
    for side in (-1, 1):
        panel = [torso.at(u * side, v) for u, v in edge]
        canvas.fill(shapes.polygon(panel), second, ink=0.7)


def _uniform(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    canvas.stroke((torso.at(0, 0.04), torso.at(0, 0.84)), 0.04, INK)
    for v in (0.22, 0.40, 0.58):
        canvas.disc(*torso.at(0.0, v), 0.07, 0.07, second, ink=0.6)
    canvas.fill(torso.patch(-1, 0.80, 1, 0.92), INK, ink=0.0)
    canvas.fill(torso.patch(-0.16, 0.79, 0.16, 0.93), second, ink=0.6)
    canvas.disc(*torso.at(0.52, 0.30), 0.14, 0.16, second, ink=0.7)


def _sash(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    band = [
        torso.at(*p) for p in ((-0.80, 0.10), (-0.34, 0.03), (0.98, 0.82), (0.99, 1.0), (0.80, 1.0))
    ]
    canvas.fill(shapes.polygon(band), second, ink=0.7)


def _letter(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    x, y = torso.at(0, 0.44)
    canvas.disc(x, y, 0.36, 0.36, second, ink=0.7)
    canvas.fill(_BOLT, first, (x, y), ink=0.0)


def _zigzag(canvas: Canvas, torso: Torso, first: Colour, second: Colour) -> None:
    us = np.linspace(-1, 1, 9)
    upper = [torso.at(u, 0.44 + (0.10 if i % 2 else 0.0)) for i, u in enumerate(us)]
    lower = [(x, y + 0.26) for x, y in reversed(upper)]
    canvas.fill(shapes.polygon([*upper, *lower]), second, ink=0.6)


_BOLT = shapes.polygon(
    ((0.08, -0.28), (-0.18, 0.06), (0.0, 0.06), (-0.06, 0.28), (0.18, -0.06), (0.02, -0.06))
)

TOPS: dict[str, Top] = {
    "plain": _plain, "stripes": _stripes, "pinstripes": _pinstripes, "dots": _dots,
    "check": _check, "suit": _suit, "apron": _apron, "overalls": _overalls, "coat": _coat,
    "vest": _vest, "uniform": _uniform, "sash": _sash, "letter": _letter, "zigzag": _zigzag,
}  # fmt: skip

# Tops whose sleeves end at the elbow.
_SHORT_SLEEVES = ("plain", "stripes", "dots", "apron", "letter", "zigzag", "overalls")


def draw_legs(canvas: Canvas, citizen: Citizen, pose: Pose) -> None:
    """Draws legs and shoes, or what hangs over them."""
    build, torso = BUILDS[citizen.build], Torso(BUILDS[citizen.build])
    bare = citizen.legs in ("shorts", "skirt", "dress")
    cloth, skin = PALETTE[citizen.legs_colour], PALETTE[citizen.skin]
    thick = build.limb * 1.34
    for side, stride in zip((-1, 1), pose.stride, strict=True):
        hip = (side * build.hip * 0.46, build.torso * 0.96)
        angle = math.radians(stride) * side
        foot = (hip[0] + build.legs * math.sin(angle), hip[1] + build.legs * math.cos(angle))
        canvas.disc(foot[0] + side * 0.16, foot[1] + 0.06, 0.36, 0.18, PALETTE[citizen.shoes])
        canvas.stroke((hip, foot), thick * (0.8 if bare else 1.0), skin if bare else cloth, 1.0)
        if citizen.legs == "shorts":
            knee = (hip[0] + 0.45 * (foot[0] - hip[0]), hip[1] + 0.45 * (foot[1] - hip[1]))
            canvas.stroke((hip, knee), thick * 1.15, cloth, 1.0)
    if citizen.legs in ("skirt", "dress"):
        canvas.fill(_skirt(torso, 0.55 if citizen.legs == "skirt" else 0.80), cloth)


def _skirt(torso: Torso, length: float) -> Shape:
    build = torso.build
    low = build.torso + build.legs * length
    hem = build.hip * 1.36
    return shapes.polygon(
        (torso.at(-1, 0.80), torso.at(1, 0.80), (hem, low), (hem * 0.4, low + 0.08),
         (-hem * 0.4, low + 0.08), (-hem, low))
    )  # fmt: skip


def draw_torso(canvas: Canvas, citizen: Citizen) -> None:
    """Draws the trunk, its pattern and what is round the neck."""
    torso = Torso(BUILDS[citizen.build])
    first, second = (PALETTE[name] for name in citizen.top_colours)
    canvas.fill(torso.patch(-1, 0, 1, 1), first)
    TOPS[citizen.top](canvas, torso, first, second)
    if citizen.neck:
        NECKWEAR[citizen.neck](canvas, torso, PALETTE[citizen.neck_colour])


def draw_arm(canvas: Canvas, citizen: Citizen, pose: Pose, side: int) -> tuple[float, float]:
    """Draws the arm of `side` (-1 or 1) and returns where its hand is."""
    build = BUILDS[citizen.build]
    upper, fore = (math.radians(a) for a in pose.arms[0 if side < 0 else 1])
    length = build.torso * 0.50
    shoulder = (side * build.shoulder * 0.88, build.torso * 0.15)
    elbow = (shoulder[0] + side * length * math.sin(upper), shoulder[1] + length * math.cos(upper))
    hand = (elbow[0] + side * length * math.sin(fore), elbow[1] + length * math.cos(fore))
    sleeve, skin = PALETTE[citizen.top_colours[0]], PALETTE[citizen.skin]
    if citizen.top in _SHORT_SLEEVES:
        canvas.stroke((shoulder, elbow, hand), build.limb * 0.86, skin, 1.0)
        middle = ((shoulder[0] + 2 * elbow[0]) / 3, (shoulder[1] + 2 * elbow[1]) / 3)
        canvas.stroke((shoulder, middle), build.limb * 1.10, shade(sleeve, 0.93), 1.0)
    else:
        cuff = (elbow[0] + 0.86 * (hand[0] - elbow[0]), elbow[1] + 0.86 * (hand[1] - elbow[1]))
        canvas.stroke((shoulder, elbow, cuff), build.limb, shade(sleeve, 0.93), 1.0)
    canvas.disc(*hand, build.limb * 0.66, build.limb * 0.66, skin)
    return hand


def _tie(canvas: Canvas, torso: Torso, colour: Colour) -> None:
    low = torso.build.torso * 0.66
    blade = ((0, 0.20), (0.20, low - 0.2), (0, low), (-0.20, low - 0.2))
    knot = ((-0.15, 0.06), (0.15, 0.06), (0.09, 0.28), (-0.09, 0.28))
    for part in (blade, knot):
        canvas.fill(shapes.polygon(part), colour, ink=0.7)


def _bow(canvas: Canvas, torso: Torso, colour: Colour) -> None:
    for side in (-1, 1):
        wing = ((0, 0.18), (0.44 * side, -0.02), (0.44 * side, 0.38))
        canvas.fill(shapes.polygon(wing), colour, ink=0.8)
    canvas.disc(0, 0.18, 0.11, 0.12, colour, ink=0.7)


def _scarf(canvas: Canvas, torso: Torso, colour: Colour) -> None:
    end = shapes.box(0.10, 0.1, 0.44, torso.build.torso * 0.62)
    canvas.fill(end, shade(colour, 0.88), ink=0.8)
    roll = shapes.superellipse(torso.build.shoulder * 0.72, 0.22, 3.0, 0.0)
    canvas.fill(roll, colour, (0, 0.08), ink=0.8)


def _beads(canvas: Canvas, torso: Torso, colour: Colour) -> None:
    for x, y in shapes.arc(0, 0.04, torso.build.shoulder * 0.55, 0.36, 5, 175)[::2]:
        canvas.disc(x, y, 0.10, 0.10, colour, ink=0.6)


def _medal(canvas: Canvas, torso: Torso, colour: Colour) -> None:
    width = torso.build.shoulder * 0.42
    canvas.stroke(((-width, 0.02), (0, 0.60), (width, 0.02)), 0.10, colour, 0.6)
    canvas.disc(0, 0.72, 0.20, 0.20, PALETTE["gold"], ink=0.8)


def _collar(canvas: Canvas, torso: Torso, colour: Colour) -> None:
    for side in (-1, 1):
        points = ((0, 0.06), (side * torso.build.shoulder * 0.66, -0.02), (side * 0.42, 0.40))
        canvas.fill(shapes.polygon(points), colour, ink=0.7)
    canvas.disc(0, 0.12, 0.06, 0.06, WHITE, ink=0.6)


NECKWEAR: dict[str, Callable[[Canvas, Torso, Colour], None]] = {
    "tie": _tie, "bow": _bow, "scarf": _scarf, "beads": _beads, "medal": _medal, "collar": _collar,
}  # fmt: skip
