"""Faces: eyes, brows, nose, mouth, beard and glasses on a head.

The canvas's origin is the middle of the face; `rx` and `ry` are the head's half width and
half height.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from evenshard.springfield_like import shapes
from evenshard.springfield_like.canvas import INK, WHITE, Canvas, Colour, shade
from evenshard.springfield_like.citizens.design import Citizen
from evenshard.springfield_like.citizens.pose import Expression, Pose
from evenshard.springfield_like.palette import PALETTE
from evenshard.springfield_like.shapes import Shape, arc

_MOUTH_INSIDE: Colour = (120, 36, 44)
_TONGUE: Colour = (226, 110, 110)
_GLASS: Colour = (222, 240, 246)


@dataclass(frozen=True)
class Eye:
    """Half axes of the white of an eye, radius of the pupil, share hidden by a resting lid."""

    rx: float
    ry: float
    pupil: float
    lid: float = 0.0


EYES: dict[str, Eye] = {
    "dot": Eye(0.0, 0.0, 0.11),
    "oval": Eye(0.20, 0.28, 0.10),
    "round": Eye(0.27, 0.27, 0.10),
    "wide": Eye(0.33, 0.35, 0.09),
    "sleepy": Eye(0.27, 0.25, 0.11, 0.48),
    "narrow": Eye(0.25, 0.14, 0.09, 0.15),
}

# Outlines in units of the head, as for hair.
_CHIN = (
    (1.02, 0.05), (1.04, 0.45), (0.78, 0.95), (0.0, 1.24), (-0.78, 0.95), (-1.04, 0.45),
    (-1.02, 0.05), (-0.86, 0.20), (-0.56, 0.34), (0.0, 0.28), (0.56, 0.34), (0.86, 0.20),
)  # fmt: skip
BEARDS: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "full": (_CHIN,),
    "long": (
        ((1.02, 0.0), (1.06, 0.5), (0.80, 1.3), (0.30, 2.0), (0.0, 2.2), (-0.30, 2.0), (-0.80, 1.3),
         (-1.06, 0.5), (-1.02, 0.0), (-0.80, 0.26), (0.0, 0.30), (0.80, 0.26)),
    ),
    "goatee": (((-0.30, 0.66), (0.30, 0.66), (0.26, 1.02), (0.0, 1.30), (-0.26, 1.02)),),
    "walrus": (
        ((0.0, 0.26), (0.42, 0.30), (0.70, 0.58), (0.62, 0.76), (0.30, 0.58), (0.0, 0.56),
         (-0.30, 0.58), (-0.62, 0.76), (-0.70, 0.58), (-0.42, 0.30)),
    ),
    "handlebar": (
        ((0.0, 0.30), (0.36, 0.32), (0.72, 0.44), (0.98, 0.16), (0.86, 0.56), (0.40, 0.54),
         (0.0, 0.44), (-0.40, 0.54), (-0.86, 0.56), (-0.98, 0.16), (-0.72, 0.44), (-0.36, 0.32)),
    ),
    "pencil": (((-0.44, 0.40), (0.0, 0.30), (0.44, 0.40), (0.0, 0.42)),),
    "chops": (
        ((1.04, -0.30), (1.10, 0.20), (0.90, 0.72), (0.52, 0.62), (0.66, 0.16), (0.84, -0.10)),
        ((-1.04, -0.30), (-1.10, 0.20), (-0.90, 0.72), (-0.52, 0.62), (-0.66, 0.16),
         (-0.84, -0.10)),
    ),
    "stubble": (_CHIN,),
}  # fmt: skip


def draw_beard(canvas: Canvas, citizen: Citizen, rx: float, ry: float) -> None:
    """Draws the beard; stubble is a shadow without an outline."""
    stubble = citizen.beard == "stubble"
    colour = PALETTE[citizen.hair_colour]
    if stubble:
        skin = PALETTE[citizen.skin]
        red, green, blue = ((3 * s + 2 * c) // 5 for s, c in zip(skin, colour, strict=True))
        colour = (red, green, blue)
    for outline in BEARDS[citizen.beard]:
        size = (rx * 0.94, ry * 0.80) if stubble else (rx, ry)
        canvas.fill(_smooth(outline, *size), colour, ink=0.0 if stubble else 1.0)


def draw_eyes(canvas: Canvas, citizen: Citizen, pose: Pose, rx: float, ry: float) -> None:
    """Draws both eyes, their lids and brows."""
    eye = EYES[citizen.eyes]
    apart, y = max(0.40 * rx, eye.rx * 0.98), -0.14 * ry
    for side in (-1.0, 1.0):
        _eye(canvas, citizen, eye, pose, side * apart, y)
        _brow(canvas, citizen, pose.expression, side, apart, y - max(eye.ry, 0.14) - 0.16)


def _eye(canvas: Canvas, citizen: Citizen, eye: Eye, pose: Pose, x: float, y: float) -> None:
    skin = PALETTE[citizen.skin]
    lid = max(eye.lid, pose.expression.lid)
    look = (pose.gaze[0] * 0.5, pose.gaze[1] * 0.5)
    if lid >= 0.95:
        half = max(eye.rx, 0.16)
        canvas.stroke(arc(x, y - 0.04, half, 0.12, 10, 170), 0.06, INK)
    elif eye.rx == 0.0:
        height = eye.pupil * (1.35 - lid)
        canvas.disc(x + look[0] * 0.08, y, eye.pupil, height, INK, ink=0.0)
        canvas.disc(x + look[0] * 0.08 + 0.03, y - 0.05, 0.03, 0.03, WHITE, ink=0.0)
    else:
        canvas.disc(x, y, eye.rx, eye.ry, WHITE)
        px = x + look[0] * (eye.rx - eye.pupil)
        py = y + look[1] * (eye.ry - eye.pupil) + lid * 0.3 * eye.ry
        canvas.disc(px, py, eye.pupil, min(eye.pupil * 1.15, eye.ry), INK, ink=0.0)
        if lid > 0.0:
            canvas.fill(_lid(round(lid, 2)), shade(skin, 0.86), (x, y), (eye.rx, eye.ry), 0.8)
    if "lashes" in citizen.extras:
        reach = max(eye.rx, 0.13)
        for dx in (0.75, 1.1):
            start = (x + (dx - 0.2) * reach * (1 if x > 0 else -1), y - max(eye.ry, 0.12) * 0.6)
            end = (start[0] + (0.13 if x > 0 else -0.13), start[1] - 0.12)
            canvas.stroke((start, end), 0.05, INK)


def _brow(
    canvas: Canvas, citizen: Citizen, mood: Expression, side: float, apart: float, y: float
) -> None:
    thick = 0.16 if "brows" in citizen.extras else 0.07
    colour = shade(PALETTE[citizen.hair_colour], 0.72)
    brow = canvas.placed(side * apart, y - mood.lift, degrees=side * -mood.brow)
    brow.stroke(((-0.22, 0.03), (0.0, -0.04), (0.22, 0.03)), thick, colour)


def draw_nose(canvas: Canvas, citizen: Citizen, turn: float, ry: float) -> None:
    """Draws the nose, pointing to where the face turns."""
    colour = shade(PALETTE[citizen.skin], 0.90)
    side = 1.0 if turn >= 0 else -1.0
    y = 0.16 * ry
    match citizen.nose:
        case "button":
            canvas.disc(0.06 * turn, y, 0.15, 0.13, colour)
        case "bulb":
            canvas.disc(0.10 * turn, y, 0.26, 0.23, _redder(colour))
        case "broad":
            canvas.disc(0.06 * turn, y + 0.02, 0.32, 0.17, colour)
        case "snub":
            canvas.stroke(arc(0.08 * turn, y, 0.15, 0.12, 10, 170), 0.055, INK)
        case "long":
            reach = 0.22 + 0.30 * abs(turn)
            canvas.fill(_nose_long(round(reach, 1)), colour, (0, y), (side, 1.0))
        case "pointed":
            reach = 0.24 + 0.42 * abs(turn)
            points = ((-0.06, -0.28), (reach, 0.10), (-0.10, 0.16))
            canvas.fill(shapes.polygon(points), colour, (0, y), (side, 1.0))
        case "hook":
            canvas.fill(_NOSE_HOOK, colour, (0, y), (side, 1.0))
        case other:
            raise ValueError(f"{citizen.name}: unknown nose {other!r}")


_NOSE_HOOK = shapes.smooth(
    ((-0.08, -0.30), (0.14, -0.26), (0.36, -0.02), (0.38, 0.26), (0.20, 0.16), (-0.08, 0.20))
)


def _redder(colour: Colour) -> Colour:
    return min(255, colour[0] + 20), round(colour[1] * 0.78), round(colour[2] * 0.78)


def draw_mouth(canvas: Canvas, citizen: Citizen, mouth: str, ry: float) -> None:
    """Draws the mouth of an expression, with the citizen's lips and teeth."""
    y = 0.56 * ry
    line = PALETTE[citizen.lips] if citizen.lips else INK
    width = 0.11 if citizen.lips else 0.06
    if citizen.lips:
        canvas.fill(_LIPS, line, (0, y), (0.9, 0.8), 0.7)
    match mouth:
        case "smile":
            canvas.stroke(arc(0, y - 0.16, 0.40, 0.22, 20, 160), width, line)
        case "smirk":
            canvas.stroke(((-0.26, y + 0.02), (0.06, y + 0.05), (0.34, y - 0.10)), width, line)
        case "flat":
            canvas.stroke(((-0.28, y), (0.28, y)), width, line)
        case "frown":
            canvas.stroke(arc(0, y + 0.20, 0.34, 0.22, 205, 335), width, line)
        case "open":
            canvas.disc(0, y + 0.04, 0.20, 0.24, _MOUTH_INSIDE, ink=2.0 if citizen.lips else 1.0)
            canvas.disc(0, y + 0.16, 0.12, 0.09, _TONGUE, ink=0.0)
        case "grin":
            canvas.fill(_GRIN, _MOUTH_INSIDE, (0, y))
            canvas.fill(_GRIN_TEETH, WHITE, (0, y), ink=0.0)
            canvas.disc(0.02, y + 0.20, 0.20, 0.08, _TONGUE, ink=0.0)
        case "teeth":
            canvas.fill(_TEETH, WHITE, (0, y))
            canvas.stroke(((-0.34, y), (0.34, y)), 0.03, INK)
        case other:
            raise ValueError(f"unknown mouth {other!r}")
    if "tooth" in citizen.extras:
        canvas.fill(_TOOTH, WHITE, (0.04, y + 0.02), ink=0.7)


_LIPS = shapes.smooth(
    ((-0.30, 0.0), (-0.12, -0.12), (0.0, -0.07), (0.12, -0.12), (0.30, 0.0), (0.0, 0.17))
)
_GRIN = shapes.smooth(((-0.44, -0.12), (0.0, -0.04), (0.44, -0.12), (0.28, 0.22), (-0.28, 0.22)))
_GRIN_TEETH = shapes.polygon(
    ((-0.38, -0.10), (0.0, -0.02), (0.38, -0.10), (0.34, 0.04), (0, 0.10), (-0.34, 0.04))
)
_TEETH = shapes.superellipse(0.38, 0.15, 3.2, 0.0)
_TOOTH = shapes.polygon(((-0.08, 0.0), (0.12, 0.0), (0.11, 0.16), (-0.07, 0.16)))


def draw_marks(canvas: Canvas, citizen: Citizen, rx: float, ry: float) -> None:
    """Draws freckles, cheeks, moles, scars, wrinkles and plasters."""
    skin = PALETTE[citizen.skin]
    for extra in citizen.extras:
        match extra:
            case "cheeks":
                for side in (-1, 1):
                    canvas.disc(side * 0.62 * rx, 0.30 * ry, 0.19, 0.14, _redder(skin), ink=0.0)
            case "freckles":
                for dx, dy in ((-0.66, 0.2), (-0.54, 0.3), (-0.44, 0.2), (-0.55, 0.12),
                               (0.66, 0.2), (0.54, 0.3), (0.44, 0.2), (0.55, 0.12)):  # fmt: skip
                    canvas.disc(dx * rx, dy * ry, 0.04, 0.04, shade(skin, 0.68), ink=0.0)
            case "mole":
                canvas.disc(0.42 * rx, 0.40 * ry, 0.06, 0.06, (70, 44, 40), ink=0.0)
            case "scar":
                canvas.stroke(((-0.62 * rx, -0.40), (-0.46 * rx, 0.36)), 0.06, shade(skin, 0.62))
            case "wrinkles":
                for y in (-0.62, -0.72):
                    canvas.stroke(arc(0, y * ry + 0.1, 0.36, 0.1, 205, 335), 0.03, shade(skin, 0.6))
                for side in (-1, 1):
                    start = (side * 0.46, 0.30 * ry)
                    canvas.stroke((start, (side * 0.56, 0.62 * ry)), 0.035, shade(skin, 0.6))
            case "plaster":
                strip = canvas.placed(-0.50 * rx, 0.26 * ry, degrees=-24)
                strip.fill(shapes.box(-0.22, -0.08, 0.22, 0.08), PALETTE["cream"], ink=0.7)


def draw_glasses(canvas: Canvas, citizen: Citizen, rx: float, ry: float) -> None:
    """Draws whatever sits on the nose; called before the eyes for clear lenses."""
    apart, y = 0.42 * rx, -0.14 * ry
    GLASSES[citizen.glasses](canvas, apart, y, rx)


def _frames(
    shape: Shape, lens: Colour, frame: Colour
) -> Callable[[Canvas, float, float, float], None]:
    def draw(canvas: Canvas, apart: float, y: float, rx: float) -> None:
        gap = max(apart, 0.37)
        canvas.stroke(((-rx, y - 0.06), (rx, y - 0.06)), 0.06, frame)
        for side in (-1.0, 1.0):
            canvas.fill(shape, frame, (side * gap, y), (side * 1.16, 1.16), 0.5)
            canvas.fill(shape, lens, (side * gap, y), (side, 1.0), 0.0)

    return draw


def _monocle(canvas: Canvas, apart: float, y: float, rx: float) -> None:
    canvas.stroke(((apart + 0.30, y), (apart + 0.40, y + 0.9)), 0.04, PALETTE["gold"])
    canvas.disc(apart, y, 0.37, 0.37, PALETTE["gold"], ink=0.5)
    canvas.disc(apart, y, 0.30, 0.30, _GLASS, ink=0.0)


def _patch(canvas: Canvas, apart: float, y: float, rx: float) -> None:
    canvas.stroke(((-rx, y - 0.34), (rx * 0.96, y + 0.10)), 0.07, INK)
    canvas.disc(-apart, y, 0.32, 0.30, INK, ink=0.0)


GLASSES: dict[str, Callable[[Canvas, float, float, float], None]] = {
    "round": _frames(shapes.ellipse(0.33, 0.33), _GLASS, (52, 46, 56)),
    "square": _frames(shapes.superellipse(0.34, 0.27, 5.0, 0.0), _GLASS, (52, 46, 56)),
    "red": _frames(shapes.superellipse(0.34, 0.29, 3.5, -0.1), _GLASS, PALETTE["red"]),
    "cat": _frames(
        shapes.smooth(((-0.30, -0.10), (0.0, -0.22), (0.46, -0.36), (0.34, 0.10), (0.0, 0.26),
                       (-0.26, 0.16))),
        _GLASS, PALETTE["petrol"],
    ),
    "sun": _frames(shapes.superellipse(0.34, 0.26, 3.0, -0.1), (44, 44, 60), (26, 22, 30)),
    "goggles": _frames(shapes.ellipse(0.36, 0.36), PALETTE["lime"], PALETTE["bronze"]),
    "monocle": _monocle,
    "patch": _patch,
}  # fmt: skip

# Drawn over the eyes; the others are clear and go under them.
OPAQUE_GLASSES = ("sun", "patch")


@functools.lru_cache(maxsize=64)
def _lid(cover: float) -> Shape:
    edge = -1.0 + 2.0 * cover
    half = (1.0 - edge * edge) ** 0.5
    top = arc(0, 0, 1, 1, 180 - _degrees(edge, half), 360 + _degrees(edge, half))
    return shapes.polygon(top)


def _degrees(edge: float, half: float) -> float:
    return math.degrees(math.atan2(edge, half))


@functools.lru_cache(maxsize=32)
def _nose_long(reach: float) -> Shape:
    return shapes.smooth(
        (
            (-0.06, -0.26),
            (0.08, -0.20),
            (reach, 0.02),
            (reach + 0.04, 0.20),
            (0.1, 0.24),
            (-0.1, 0.18),
        )
    )


@functools.lru_cache(maxsize=256)
def _smooth(outline: tuple[tuple[float, float], ...], rx: float, ry: float) -> Shape:
    return shapes.smooth(tuple((x * rx, y * ry) for x, y in outline))
