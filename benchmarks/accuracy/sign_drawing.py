"""Draws road signs as a camera on a car sees them: tracks of small, dark, blurred pictures.

A class is a plate (a red triangle, a blue disc, …) with a pictogram. A track is one physical sign
that comes nearer: light, haze, colour cast, blur, tilt, what stands before it and what lies behind
it are drawn once for a track and change little from frame to frame. Frames of a track are alike,
tracks of a class are not, as in recorded traffic (Stallkamp et al. 2012: 15 to 250 pixels, 30
frames a track).

Everything is a function of the class's name, the split, and the numbers of track and frame.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tfrecords.sharding import stable_hash

# Of a face, before it is seen from afar, pixels.
FACE = 160

# Longer side of a frame, pixels: of the farthest and of the nearest.
FARTHEST, NEAREST = 15, 60

FRAMES = 30

WHITE, BLACK, GREY = (236, 236, 236), (24, 24, 26), (120, 120, 122)
RED, BLUE, YELLOW = (190, 26, 36), (28, 74, 160), (240, 186, 30)

Point = tuple[float, float]
# A stroke through points of the unit square, its width; without one, a filled polygon.
Stroke = tuple[tuple[Point, ...], float]


def _line(width: float, *points: Point) -> Stroke:
    return points, width


def _area(*points: Point) -> Stroke:
    return points, 0.0


def _disc(x: float, y: float, radius: float) -> Stroke:
    angles = (2 * math.pi * step / 12 for step in range(12))
    return _area(*((x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles))


_DIGITS = {
    "0": ((0, 0), (1, 0), (1, 2), (0, 2), (0, 0)),
    "1": ((0.2, 0.4), (0.7, 0), (0.7, 2)),
    "2": ((0, 0.3), (0.3, 0), (1, 0), (1, 0.8), (0, 2), (1, 2)),
    "3": ((0, 0), (1, 0), (0.5, 0.9), (1, 1.1), (1, 2), (0, 2)),
    "5": ((1, 0), (0, 0), (0, 0.9), (1, 0.9), (1, 2), (0, 2)),
    "6": ((1, 0), (0, 0.6), (0, 2), (1, 2), (1, 1), (0, 1)),
    "7": ((0, 0), (1, 0), (0.4, 2)),
    "8": ((0, 0), (1, 0), (1, 2), (0, 2), (0, 0), (0, 1), (1, 1)),
}


def _number(text: str) -> tuple[Stroke, ...]:
    width = 0.54 / (1.45 * len(text) - 0.45)
    left, top, height = 0.23, 0.35, 0.15
    return tuple(
        _line(
            0.075,
            *((left + width * (1.45 * place + x), top + height * y) for x, y in _DIGITS[digit]),
        )
        for place, digit in enumerate(text)
    )


def _arrow(tip: Point, direction: Point, size: float = 0.14) -> Stroke:
    """Returns the head of an arrow: its tip, and the unit vector that it points along."""
    (x, y), (dx, dy) = tip, direction
    return _area(
        (x, y),
        (x - size * (1.1 * dx - dy), y - size * (1.1 * dy + dx)),
        (x - size * (1.1 * dx + dy), y - size * (1.1 * dy - dx)),
    )


def _car(left: float) -> tuple[Stroke, ...]:
    return (
        _area((left, 0.6), (left, 0.48), (left + 0.05, 0.38), (left + 0.19, 0.38),
              (left + 0.24, 0.48), (left + 0.24, 0.6)),
        _disc(left + 0.05, 0.62, 0.035), _disc(left + 0.19, 0.62, 0.035),
    )  # fmt: skip


_MAN = (
    _disc(0.5, 0.42, 0.05), _line(0.07, (0.5, 0.48), (0.49, 0.62)),
    _line(0.045, (0.49, 0.6), (0.41, 0.76)), _line(0.045, (0.49, 0.6), (0.58, 0.76)),
    _line(0.04, (0.5, 0.5), (0.4, 0.58)), _line(0.04, (0.5, 0.5), (0.6, 0.57)),
)  # fmt: skip
_BEND = (_line(0.08, (0.45, 0.78), (0.45, 0.6), (0.58, 0.48)), _arrow((0.66, 0.4), (0.7, -0.7)))
_UP = (_line(0.09, (0.5, 0.8), (0.5, 0.4)), _arrow((0.5, 0.2), (0, -1)))
_TURN = (
    _line(0.09, (0.36, 0.78), (0.36, 0.45), (0.62, 0.45)), _arrow((0.8, 0.45), (1, 0)),
)  # fmt: skip


@dataclass(frozen=True)
class Sign:
    """A class.

    Attributes:
      plate: kind of plate.
      strokes: pictogram.
      mirrored: its face is that of the others' mirror image.
    """

    plate: str
    strokes: tuple[Stroke, ...] = ()
    mirrored: bool = False


def _signs() -> dict[str, Sign]:
    signs = {f"limit_{n}": Sign("ring", _number(n)) for n in (
        "20", "30", "50", "60", "70", "80", "100", "120",
    )}  # fmt: skip
    for name, plate, strokes in (
        ("turn", "disc", _TURN),
        ("keep", "disc", (_line(0.09, (0.28, 0.24), (0.6, 0.6)), _arrow((0.74, 0.76), (0.7, 0.7)))),
        ("ahead_or", "disc", (*_UP, _line(0.08, (0.5, 0.68), (0.68, 0.5)),
                              _arrow((0.8, 0.4), (0.75, -0.66)))),
        ("bend", "triangle", _BEND),
        ("narrows", "triangle", (_line(0.06, (0.42, 0.8), (0.42, 0.4)), _line(
            0.06, (0.64, 0.8), (0.64, 0.66), (0.55, 0.56), (0.55, 0.4)))),
        ("side_road", "triangle", (_line(0.09, (0.46, 0.8), (0.46, 0.4)),
                                   _line(0.06, (0.46, 0.64), (0.66, 0.64)))),
    ):  # fmt: skip
        signs[f"{name}_right"] = Sign(plate, strokes)
        signs[f"{name}_left"] = Sign(plate, strokes, mirrored=True)
    return signs | {
        "end_of_80": Sign("grey", (*_number("80"), _line(0.04, (0.2, 0.8), (0.8, 0.2)))),
        "end_of_all": Sign("grey", tuple(
            _line(0.035, (0.2 + s, 0.8 + s), (0.8 + s, 0.2 + s)) for s in (-0.06, 0, 0.06)
        )),
        "no_overtaking": Sign("ring", (*_car(0.22), *_car(0.54))),
        "no_overtaking_by_trucks": Sign("ring", (*_car(0.54), _area(
            (0.2, 0.62), (0.2, 0.3), (0.4, 0.3), (0.4, 0.44), (0.48, 0.44), (0.48, 0.62)))),
        "no_trucks": Sign("ring", (_area(
            (0.25, 0.62), (0.25, 0.36), (0.56, 0.36), (0.56, 0.46), (0.72, 0.46), (0.72, 0.62)),
            _disc(0.35, 0.64, 0.05), _disc(0.63, 0.64, 0.05))),
        "no_vehicles": Sign("ring"),
        "no_entry": Sign("red"),
        "stop": Sign("octagon"),
        "give_way": Sign("yield"),
        "priority": Sign("diamond"),
        "priority_here": Sign("triangle", (_line(0.09, (0.5, 0.8), (0.5, 0.45)),
            _line(0.05, (0.37, 0.66), (0.63, 0.66)), _arrow((0.5, 0.36), (0, -1), 0.1))),
        "crossroads": Sign("triangle", (
            _line(0.07, (0.38, 0.76), (0.62, 0.48)), _line(0.07, (0.62, 0.76), (0.38, 0.48)))),
        "danger": Sign("triangle", (_line(0.09, (0.5, 0.4), (0.5, 0.63)), _disc(0.5, 0.74, 0.05))),
        "bumps": Sign("triangle", (_line(0.05, (0.28, 0.74), (0.72, 0.74)),
            _disc(0.41, 0.7, 0.08), _disc(0.59, 0.7, 0.08))),
        "slippery": Sign("triangle", (*_car(0.38),
            _line(0.03, (0.4, 0.8), (0.45, 0.7), (0.4, 0.66)),
            _line(0.03, (0.56, 0.8), (0.61, 0.7), (0.56, 0.66)))),
        "works": Sign("triangle", (*_MAN, _line(0.03, (0.62, 0.5), (0.7, 0.76)),
            _area((0.56, 0.78), (0.66, 0.66), (0.76, 0.78)))),
        "signals": Sign("triangle", (_disc(0.5, 0.45, 0.055), _disc(0.5, 0.59, 0.055),
            _disc(0.5, 0.73, 0.055))),
        "pedestrians": Sign("triangle", (*_MAN, _line(0.03, (0.32, 0.79), (0.68, 0.79)))),
        "bicycles": Sign("triangle", (
            _line(0.03, (0.38, 0.7), (0.45, 0.56), (0.6, 0.56), (0.64, 0.7)),
            _disc(0.38, 0.7, 0.075), _disc(0.64, 0.7, 0.075))),
        "snow": Sign("triangle", tuple(_line(0.035,
            (0.5 - 0.15 * math.cos(a), 0.62 - 0.15 * math.sin(a)),
            (0.5 + 0.15 * math.cos(a), 0.62 + 0.15 * math.sin(a)))
            for a in (0.0, math.pi / 3, 2 * math.pi / 3))),
        "ahead": Sign("disc", _UP),
        "roundabout": Sign("disc", (*(_line(0.07, *(
            (0.5 + 0.24 * math.cos(b), 0.5 + 0.24 * math.sin(b)) for b in (a, a + 0.7, a + 1.3)))
            for a in (0.0, 2.1, 4.2)), *(_arrow((0.5 + 0.24 * math.cos(a + 1.8),
            0.5 + 0.24 * math.sin(a + 1.8)), (-math.sin(a + 1.5), math.cos(a + 1.5)), 0.1)
            for a in (0.0, 2.1, 4.2)))),
    }  # fmt: skip


SIGNS = _signs()


@functools.cache
def face(name: str) -> Image.Image:
    """Returns a sign seen from the front, RGBA, `FACE` pixels square; clear around the plate."""
    sign = SIGNS[name]
    image = Image.new("RGBA", (FACE, FACE))
    draw = ImageDraw.Draw(image)
    for polygon, fill in _plate(sign.plate):
        draw.polygon([(x * FACE, y * FACE) for x, y in polygon], fill=fill)
    ink = WHITE if sign.plate in ("disc", "red") else BLACK
    for points, width in sign.strokes:
        scaled = [(x * FACE, y * FACE) for x, y in points]
        if width:
            draw.line(scaled, ink, round(width * FACE), joint="curve")
        else:
            draw.polygon(scaled, fill=ink)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if sign.mirrored else image


def _round(sides: int, radius: float, start: float = 0.0) -> list[Point]:
    angles = [start + 2 * math.pi * side / sides for side in range(sides)]
    return [(0.5 + radius * math.cos(a), 0.5 + radius * math.sin(a)) for a in angles]


def _plate(kind: str) -> list[tuple[list[Point], tuple[int, int, int]]]:
    """Returns polygons in the unit square, each with its colour, the lowest first."""
    up = [(0.5, 0.04), (0.98, 0.9), (0.02, 0.9)], [(0.5, 0.24), (0.82, 0.81), (0.18, 0.81)]
    bar = [(0.2, 0.42), (0.8, 0.42), (0.8, 0.58), (0.2, 0.58)]
    round_, inner = _round(36, 0.47), _round(36, 0.37)
    down = [[(x, 1 - y) for x, y in polygon] for polygon in up]
    plates = {
        "ring": [(round_, RED), (inner, WHITE)],
        "grey": [(round_, GREY), (_round(36, 0.44), WHITE)],
        "disc": [(round_, WHITE), (_round(36, 0.45), BLUE)],
        "red": [(round_, RED), (bar, WHITE)],
        "triangle": [(up[0], RED), (up[1], WHITE)],
        "yield": [(down[0], RED), (down[1], WHITE)],
        "octagon": [(_round(8, 0.48, math.pi / 8), RED), *_stop()],
        "diamond": [(_round(4, 0.48), WHITE), (_round(4, 0.38), YELLOW)],
    }
    return plates[kind]


def _stop() -> list[tuple[list[Point], tuple[int, int, int]]]:
    """Returns what the four letters of a stop sign are from afar: bright blocks."""
    lefts = (0.16, 0.34, 0.52, 0.7)
    blocks = [[(x, 0.4), (x + 0.13, 0.4), (x + 0.13, 0.6), (x, 0.6)] for x in lefts]
    holes = [
        [(x + 0.04, 0.45), (x + 0.09, 0.45), (x + 0.09, 0.52), (x + 0.04, 0.52)] for x in lefts
    ]
    return [(polygon, WHITE) for polygon in blocks] + [(polygon, RED) for polygon in holes]


@dataclass(frozen=True, eq=False)
class Track:
    """One physical sign, and how it is seen.

    Attributes:
      name: of the class.
      seed: of everything else.
      scene: uint8[FACE, FACE, 3], what lies behind the sign.
      light: gain; haze: share of grey; cast: gain of each channel.
      fading: share of grey in the plate's colours.
      blur: pixels of a frame; motion: length and angle of its smear.
      tilt: radians; lean: of the perspective, sideways and upwards.
      nearest: longer side of the last frame, pixels.
      before: polygons of the unit square that hide a part of the sign, with their colours.
    """

    name: str
    seed: int
    scene: np.ndarray
    light: float
    haze: float
    cast: np.ndarray
    fading: float
    blur: float
    motion: tuple[float, float]
    tilt: float
    lean: tuple[float, float]
    nearest: float
    before: tuple[tuple[tuple[Point, ...], tuple[int, int, int]], ...]


def track(name: str, split: str, number: int) -> Track:
    """Returns a track of a class; those of different splits have nothing in common."""
    seed = stable_hash("sign", name, split, number)
    rng = np.random.default_rng(seed)
    return Track(
        name, seed, _scene(rng),
        light=float(np.exp(rng.uniform(np.log(0.18), np.log(1.3)))),
        haze=float(rng.beta(1, 2.2)) * 0.85,
        cast=np.exp(rng.normal(0, 0.06, 3)),
        fading=float(rng.beta(1, 2)) * 0.7,
        blur=float(rng.gamma(1.5, 0.45)),
        motion=(float(rng.gamma(1, 1.5)), float(rng.uniform(0, math.pi))),
        tilt=float(rng.normal(0, 0.07)),
        lean=(float(rng.normal(0, 0.13)), float(rng.normal(0, 0.06))),
        nearest=float(rng.uniform(24, NEAREST)),
        before=_hidden(rng),
    )  # fmt: skip


def frame(of: Track, number: int) -> np.ndarray:
    """Returns uint8[h, w, 3], a frame of a track, 0 the farthest; sides of 15 to 60 pixels."""
    rng = np.random.default_rng(stable_hash("frame", of.seed, number))
    near = number / (FRAMES - 1)
    side = FARTHEST + (of.nearest - FARTHEST) * near**1.5
    width, height = (max(FARTHEST, round(side * rng.uniform(0.93, 1))) for _ in range(2))
    seen = _composed(of, rng, near).resize((width, height), Image.Resampling.BOX)
    if of.blur > 0.3:
        seen = seen.filter(ImageFilter.GaussianBlur(of.blur * (0.6 + 0.4 * near)))
    pixels = _smeared(np.asarray(seen, np.float32), of.motion[0] * near + 0.2, of.motion[1])
    grey = 150 * of.haze
    light = of.light * np.exp(rng.normal(0, 0.06))
    pixels = (pixels * (1 - of.haze) + grey) * light * of.cast
    noise = rng.normal(0, 2.5, (height, width, 1)) + rng.normal(0, 1.2, (height, width, 3))
    return (pixels + noise).clip(0, 255).astype(np.uint8)


def _composed(of: Track, rng: np.random.Generator, near: float) -> Image.Image:
    """Returns the scene with the sign on it, RGB, `FACE` pixels square."""
    plate = np.asarray(face(of.name))
    colors = plate[..., :3].astype(np.float32)
    faded = colors + of.fading * (colors.mean(-1, keepdims=True) * 0.7 + 40 - colors)
    rgba = np.dstack([faded.clip(0, 255).astype(np.uint8), plate[..., 3]])
    image = Image.fromarray(rgba)
    draw = ImageDraw.Draw(image)
    for points, fill in of.before:
        draw.polygon([(x * FACE, y * FACE) for x, y in points], fill=(*fill, 255))
    # The sign takes 72% to 88% of the picture, and is never quite in its middle.
    scale = 1 / rng.uniform(0.72, 0.88)
    tilt = of.tilt + rng.normal(0, 0.015)
    dx, dy = rng.normal(0, 0.03, 2)
    cos, sin = scale * math.cos(tilt), scale * math.sin(tilt)
    lean_x, lean_y = of.lean[0] * (0.5 + near) / FACE, of.lean[1] / FACE
    shear = of.lean[0] * 0.4
    half = FACE / 2
    # Source: the eight coefficients of PIL's perspective transform, about the picture's centre.
    a, b, d, e = cos, sin + shear, -sin, cos
    offset_x = half * (1 + dx) - a * half - b * half
    offset_y = half * (1 + dy) - d * half - e * half
    warp = Image.Transform.PERSPECTIVE
    coefficients = (
        a + half * lean_x, b + half * lean_y, offset_x - half * half * (lean_x + lean_y),
        d + half * lean_x, e + half * lean_y, offset_y - half * half * (lean_x + lean_y),
        lean_x, lean_y,
    )  # fmt: skip
    drift = round(10 * near + rng.normal(0, 2))
    scene = Image.fromarray(np.roll(of.scene, drift, axis=1))
    moved = image.transform((FACE, FACE), warp, coefficients, Image.Resampling.BILINEAR)
    scene.paste(moved, (0, 0), moved)
    return scene


def _scene(rng: np.random.Generator) -> np.ndarray:
    """Returns uint8[FACE, FACE, 3]: a blurred street, of patches and some edges."""
    base = rng.uniform(30, 220, 3) * 0.4 + rng.uniform(30, 220) * 0.6
    coarse = base + rng.normal(0, 30, (int(rng.integers(2, 9)), int(rng.integers(2, 9)), 1))
    coarse = coarse + rng.normal(0, 12, (*coarse.shape[:2], 3))
    image = Image.fromarray(coarse.clip(0, 255).astype(np.uint8))
    image = image.resize((FACE, FACE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 5))):
        color = tuple(int(c) for c in rng.uniform(20, 235) + rng.normal(0, 12, 3))
        left, top = rng.uniform(-0.3, 1, 2) * FACE
        wide, high = rng.uniform(0.05, 0.7, 2) * FACE
        draw.rectangle((left, top, left + wide, top + high), fill=color)
    return np.asarray(image)


def _hidden(
    rng: np.random.Generator,
) -> tuple[tuple[tuple[Point, ...], tuple[int, int, int]], ...]:
    """Returns what stands before a sign, in a third of the tracks: leaves, a pole, a sticker."""
    found = []
    for _ in range(int(rng.choice(4, p=(0.66, 0.18, 0.1, 0.06)))):
        x, y = rng.uniform(0.05, 0.95, 2)
        wide, high = rng.uniform(0.06, 0.3, 2)
        corners = [(x + wide * math.cos(a), y + high * math.sin(a))
                   for a in np.sort(rng.uniform(0, 2 * math.pi, 6))]  # fmt: skip
        shade = rng.uniform(20, 200) + rng.normal(0, 15, 3)
        red, green, blue = (int(c) for c in shade.clip(0, 255))
        found.append((tuple(corners), (red, green, blue)))
    return tuple(found)


def _smeared(pixels: np.ndarray, length: float, angle: float) -> np.ndarray:
    """Returns a mean of shifted copies, float32[h, w, 3]: motion of `length` pixels."""
    count = 1 + round(length)
    height, width = pixels.shape[:2]
    total = np.zeros_like(pixels)
    for step in range(count):
        along = step - (count - 1) / 2
        rows = np.arange(height) + round(along * math.sin(angle))
        columns = np.arange(width) + round(along * math.cos(angle))
        total += pixels[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)]
    return total / count
