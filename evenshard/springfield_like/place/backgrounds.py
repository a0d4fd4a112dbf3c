"""Places of the town; the canvas's unit is the height of the picture, its origin top left."""

from __future__ import annotations

import math
from collections.abc import Callable

from evenshard.springfield_like import shapes
from evenshard.springfield_like.canvas import INK, WHITE, Canvas, Colour, shade
from evenshard.springfield_like.dice import Dice
from evenshard.springfield_like.palette import PALETTE

Scene = Callable[[Canvas, float, Dice], None]

_WALLS = ("cream", "sky", "mint", "rose", "lilac", "straw", "pink", "jade", "silver", "sand")
_FLOORS = ("brown", "bronze", "slate", "olive", "chestnut", "grey", "petrol", "plum")
_VIVID = ("red", "blue", "gold", "teal", "plum", "orange", "green", "pink", "navy", "brick")


def _colour(dice: Dice, names: tuple[str, ...]) -> Colour:
    """Returns one of the colours, a little lighter or darker."""
    return shade(PALETTE[dice.pick(names)], dice.between(0.8, 1.2))


def _wash(canvas: Canvas, width: float, colour: Colour, top: float = -0.01) -> None:
    canvas.fill(shapes.box(-0.01, top, width + 0.01, 1.02), colour, ink=0.0)


def plain(canvas: Canvas, width: float, dice: Dice) -> None:
    """One colour with a large soft shape, as in a studio."""
    colour = _colour(dice, _WALLS + _FLOORS)
    _wash(canvas, width, colour)
    for _ in range(dice.whole(1, 4)):
        x, y = dice.between(0, width), dice.between(0, 1)
        size = dice.between(0.15, 0.7)
        tone = shade(colour, dice.between(0.82, 1.2))
        if dice.chance(0.5):
            canvas.disc(x, y, size, size * dice.between(0.5, 1.2), tone, ink=0.0)
        else:
            slab = canvas.placed(x, y, degrees=dice.between(-60, 60))
            slab.fill(shapes.box(-2, -size / 3, 2, size / 3), tone, ink=0.0)


def street(canvas: Canvas, width: float, dice: Dice) -> None:
    """A row of houses along a road."""
    _wash(canvas, width, _colour(dice, ("sky", "mint", "cream", "pink")))
    kerb = dice.between(0.66, 0.86)
    x = dice.between(-0.3, 0.0)
    while x < width:
        wide, roof = dice.between(0.26, 0.5), dice.between(0.1, 0.45)
        _house(canvas, dice, x, x + wide, roof, kerb)
        x += wide + dice.between(0.0, 0.12)
    _wash(canvas, width, _colour(dice, ("silver", "sand", "grey")), kerb)
    _wash(canvas, width, _colour(dice, ("slate", "grey", "black")), kerb + 0.07)
    for i in range(8):
        start = i * 0.3 - dice.between(0, 0.1)
        canvas.stroke(((start, kerb + 0.16), (start + 0.14, kerb + 0.16)), 0.012, PALETTE["gold"])


def _house(canvas: Canvas, dice: Dice, left: float, right: float, top: float, base: float) -> None:
    wall = _colour(dice, _WALLS + _VIVID)
    canvas.fill(shapes.box(left, top, right, base), wall)
    if dice.chance(0.6):
        peak = (
            (left - 0.03, top),
            ((left + right) / 2, top - dice.between(0.08, 0.2)),
            (right + 0.03, top),
        )
        canvas.fill(shapes.polygon(peak), _colour(dice, ("brick", "slate", "brown", "plum")))
    glass = _colour(dice, ("sky", "lemon", "navy"))
    step = (right - left) / 3
    y = top + 0.06
    while y < base - 0.16:
        for column in (0.5, 2.0):
            x = left + column * step
            canvas.fill(shapes.box(x, y, x + step * 0.6, y + 0.09), glass, ink=0.6)
        y += 0.17
    door = left + step * dice.between(0.9, 1.4)
    canvas.fill(
        shapes.box(door, base - 0.17, door + step * 0.8, base), _colour(dice, _VIVID), ink=0.8
    )


def living_room(canvas: Canvas, width: float, dice: Dice) -> None:
    """A papered wall with a picture, a lamp and a sofa."""
    wall, floor = _colour(dice, _WALLS), dice.between(0.7, 0.85)
    _wash(canvas, width, wall)
    if dice.chance(0.6):
        gap = dice.between(0.08, 0.2)
        for i in range(int(width / gap) + 1):
            canvas.fill(
                shapes.box(i * gap, 0, i * gap + gap / 3, floor), shade(wall, 0.92), ink=0.0
            )
    _wash(canvas, width, _colour(dice, _FLOORS), floor)
    for _ in range(dice.whole(1, 3)):
        x, y, size = dice.between(0, width), dice.between(0.05, 0.3), dice.between(0.06, 0.14)
        canvas.fill(
            shapes.box(x - size, y, x + size, y + size * 1.5), _colour(dice, ("gold", "brown"))
        )
        inner = shapes.box(x - size * 0.8, y + size * 0.2, x + size * 0.8, y + size * 1.3)
        canvas.fill(inner, _colour(dice, _VIVID + _WALLS), ink=0.5)
        canvas.disc(x, y + size * 0.7, size * 0.3, size * 0.3, _colour(dice, _VIVID), ink=0.0)
    x, wide, top = (
        dice.between(-0.2, width - 0.3),
        dice.between(0.6, 1.1),
        floor - dice.between(0.15, 0.3),
    )
    sofa = _colour(dice, _VIVID)
    canvas.fill(
        shapes.superellipse(0.5, 0.5, 6.0, 0.0), sofa, (x + wide / 2, top + 0.2), (wide, 0.4)
    )
    for side in (0.0, wide):
        arm = shapes.superellipse(0.07, 0.13, 4.0, 0.0)
        canvas.fill(arm, shade(sofa, 0.85), (x + side, top + 0.25))
    lamp = dice.between(0, width)
    canvas.stroke(((lamp, floor + 0.05), (lamp, 0.35)), 0.014, INK)
    shade_ = ((lamp - 0.05, 0.22), (lamp + 0.05, 0.22), (lamp + 0.1, 0.37), (lamp - 0.1, 0.37))
    canvas.fill(shapes.polygon(shade_), _colour(dice, ("lemon", "cream", "orange")))


def bar(canvas: Canvas, width: float, dice: Dice) -> None:
    """Shelves of bottles behind a counter."""
    wall = _colour(dice, ("plum", "brown", "petrol", "umber", "olive", "brick"))
    _wash(canvas, width, wall)
    for shelf in (0.22, 0.44, 0.66)[: dice.whole(2, 3)]:
        y = shelf + dice.between(-0.03, 0.03)
        x = dice.between(0.0, 0.06)
        while x < width:
            tall, half = dice.between(0.06, 0.13), dice.between(0.014, 0.026)
            glass = _colour(dice, _VIVID + ("lime", "cream"))
            canvas.fill(shapes.box(x - half, y - tall, x + half, y), glass, ink=0.6)
            canvas.fill(
                shapes.box(x - half / 3, y - tall - 0.04, x + half / 3, y - tall), glass, ink=0.6
            )
            x += dice.between(0.06, 0.16)
        canvas.fill(
            shapes.box(-0.01, y, width + 0.01, y + 0.025), shade(PALETTE["bronze"], 0.9), ink=0.7
        )
    for _ in range(dice.whole(1, 3)):
        x = dice.between(0, width)
        canvas.stroke(((x, 0), (x, 0.1)), 0.008, INK)
        canvas.disc(x, 0.13, 0.06, 0.045, PALETTE["lemon"])
    top = dice.between(0.74, 0.88)
    _wash(canvas, width, _colour(dice, ("chestnut", "bronze", "brick")), top)
    canvas.fill(
        shapes.box(-0.01, top, width + 0.01, top + 0.05), _colour(dice, ("gold", "brown")), ink=0.8
    )


def school(canvas: Canvas, width: float, dice: Dice) -> None:
    """A blackboard with sums, or lockers."""
    _wash(canvas, width, _colour(dice, _WALLS))
    floor = dice.between(0.74, 0.9)
    if dice.chance(0.6):
        left, right = dice.between(-0.2, 0.15) * width, dice.between(0.75, 1.1) * width
        canvas.fill(shapes.box(left, 0.08, right, 0.56), PALETTE["bronze"])
        slate = _colour(dice, ("petrol", "slate", "green"))
        canvas.fill(shapes.box(left + 0.02, 0.1, right - 0.02, 0.54), slate, ink=0.0)
        for _ in range(dice.whole(4, 10)):
            x, y = dice.between(left + 0.05, right - 0.2), dice.between(0.14, 0.48)
            line = [(x + i * 0.025, y + dice.between(-0.02, 0.02)) for i in range(dice.whole(3, 8))]
            canvas.stroke(line, 0.008, WHITE)
    else:
        paint, wide = _colour(dice, _VIVID), dice.between(0.14, 0.2)
        for i in range(int(width / wide) + 1):
            x = i * wide
            canvas.fill(shapes.box(x, 0.1, x + wide, floor), paint, ink=0.8)
            for y in (0.15, 0.18, 0.21):
                canvas.stroke(((x + wide * 0.3, y), (x + wide * 0.7, y)), 0.006, shade(paint, 0.6))
            canvas.disc(x + wide * 0.8, 0.42, 0.012, 0.018, PALETTE["silver"], ink=0.5)
    _wash(canvas, width, _colour(dice, _FLOORS), floor)
    tile = dice.between(0.15, 0.3)
    for i in range(int(width / tile) + 2):
        canvas.stroke(((i * tile, floor), (i * tile * 1.4 - 0.2 * width, 1.0)), 0.006, INK)


def sky(canvas: Canvas, width: float, dice: Dice) -> None:
    """Clouds, a sun or a moon, hills."""
    night = dice.chance(0.25)
    tone = _colour(
        dice, ("navy", "plum", "slate") if night else ("sky", "blue", "pink", "orange", "teal")
    )
    _wash(canvas, width, tone)
    x, y = dice.between(0, width), dice.between(0.05, 0.4)
    canvas.disc(x, y, 0.09, 0.09, PALETTE["cream" if night else "lemon"], ink=0.0)
    if night:
        for _ in range(20):
            spot = dice.between(0.003, 0.008)
            canvas.disc(dice.between(0, width), dice.between(0, 0.7), spot, spot, WHITE, ink=0.0)
    for _ in range(dice.whole(1, 5)):
        _cloud(
            canvas,
            dice,
            dice.between(0, width),
            dice.between(0.05, 0.6),
            shade(tone, 1.4) if night else WHITE,
        )
    for _ in range(dice.whole(1, 3)):
        hill = dice.between(0.3, 0.8)
        x, y = dice.between(0, width), dice.between(0.9, 1.2)
        canvas.disc(x, y, hill, hill * 0.5, _colour(dice, ("green", "lime", "olive", "jade")))


def _cloud(canvas: Canvas, dice: Dice, x: float, y: float, colour: Colour) -> None:
    size = dice.between(0.03, 0.09)
    puffs = [(dx * size, dice.between(-0.5, 0.2) * size, dice.between(0.8, 1.4) * size)
             for dx in (-1.6, -0.6, 0.5, 1.5)]  # fmt: skip
    for dx, dy, radius in puffs:
        canvas.disc(x + dx, y + dy, radius, radius * 0.8, colour, ink=0.0)


def plant(canvas: Canvas, width: float, dice: Dice) -> None:
    """The works on the edge of the town: cooling towers, chimneys, steam."""
    _wash(canvas, width, _colour(dice, ("straw", "sky", "orange", "lilac", "silver", "rose")))
    ground = dice.between(0.72, 0.88)
    for _ in range(dice.whole(1, 3)):
        x, wide, top = dice.between(0, width), dice.between(0.14, 0.24), dice.between(0.2, 0.45)
        for i in range(3):
            steam = dice.between(0.06, 0.12)
            canvas.disc(
                x + dice.between(-0.05, 0.12) * (i + 1),
                top - 0.07 * i,
                steam,
                steam,
                WHITE,
                ink=0.0,
            )
        flank = ((1.0, ground), (0.62, (top + ground) / 2), (0.7, top))
        left, right = ([(x + side * wide * u, y) for u, y in flank] for side in (-1, 1))
        tower = shapes.smooth((*left, *reversed(right)))
        canvas.fill(tower, _colour(dice, ("silver", "grey", "sand", "slate")))
    for _ in range(dice.whole(1, 3)):
        x, top, half = dice.between(0, width), dice.between(0.2, 0.5), dice.between(0.02, 0.035)
        canvas.fill(shapes.box(x - half, top, x + half, ground), _colour(dice, ("brick", "cream")))
        for y in (top + 0.03, top + 0.12):
            canvas.fill(shapes.box(x - half, y, x + half, y + 0.04), PALETTE["red"], ink=0.0)
    _wash(canvas, width, _colour(dice, ("olive", "green", "slate", "brown")), ground)
    for i in range(int(width / 0.12) + 1):
        canvas.stroke(((i * 0.12, ground - 0.07), (i * 0.12, ground + 0.04)), 0.008, INK)
    canvas.stroke(((0, ground - 0.04), (width, ground - 0.04)), 0.008, INK)


def park(canvas: Canvas, width: float, dice: Dice) -> None:
    """Trees on a lawn."""
    _wash(canvas, width, _colour(dice, ("sky", "mint", "cream")))
    lawn = dice.between(0.55, 0.8)
    _wash(canvas, width, _colour(dice, ("lime", "green", "olive")), lawn)
    for _ in range(dice.whole(2, 5)):
        x, size = dice.between(0, width), dice.between(0.12, 0.25)
        base, leaf = (
            lawn + dice.between(0.0, 0.1),
            _colour(dice, ("green", "jade", "olive", "orange", "teal")),
        )
        canvas.stroke(((x, base), (x, base - 0.3)), 0.05, PALETTE["brown"], 0.8)
        if dice.chance(0.4):
            canvas.fill(
                shapes.polygon(((x - size, base - 0.16), (x, base - 0.7), (x + size, base - 0.16))),
                leaf,
            )
        else:
            canvas.disc(x, base - 0.4, size, size * dice.between(0.8, 1.3), leaf)
    for _ in range(dice.whole(0, 8)):
        x, y = dice.between(0, width), dice.between(lawn, 1)
        canvas.disc(x, y, 0.015, 0.015, _colour(dice, _VIVID), ink=0.0)


def shop(canvas: Canvas, width: float, dice: Dice) -> None:
    """Shelves of boxes and tins."""
    _wash(canvas, width, _colour(dice, _WALLS))
    y = dice.between(0.1, 0.2)
    while y < 0.9:
        x = dice.between(-0.05, 0.05)
        while x < width:
            wide, tall = dice.between(0.06, 0.16), dice.between(0.06, 0.15)
            good = _colour(dice, _VIVID + _WALLS)
            if dice.chance(0.6):
                canvas.fill(shapes.box(x, y - tall, x + wide, y), good, ink=0.6)
            else:
                canvas.disc(x + wide / 2, y - wide / 2, wide / 2, wide / 2, good, ink=0.6)
            x += wide + dice.between(0.0, 0.12)
        canvas.fill(shapes.box(-0.01, y, width + 0.01, y + 0.03), PALETTE["grey"], ink=0.7)
        y += dice.between(0.2, 0.27)


def beach(canvas: Canvas, width: float, dice: Dice) -> None:
    """Sand, sea, a parasol and a sail."""
    _wash(canvas, width, _colour(dice, ("sky", "cream", "pink", "mint")))
    sea, sand = dice.between(0.35, 0.55), dice.between(0.62, 0.8)
    _wash(canvas, width, _colour(dice, ("blue", "teal", "petrol")), sea)
    for _ in range(dice.whole(3, 9)):
        x, y = dice.between(0, width), dice.between(sea, sand)
        canvas.stroke(((x, y), (x + 0.08, y)), 0.008, WHITE)
    x = dice.between(0, width)
    sail = ((x, sea - 0.22), (x, sea - 0.02), (x + 0.14, sea - 0.02))
    canvas.fill(shapes.polygon(sail), _colour(dice, _VIVID + ("white",)), ink=0.8)
    _wash(canvas, width, _colour(dice, ("straw", "sand", "cream")), sand)
    x, tone = dice.between(0, width), _colour(dice, _VIVID)
    canvas.stroke(((x, sand + 0.12), (x, 0.3)), 0.014, INK)
    for i in range(4):
        angles = (180 + 45 * i, 225 + 45 * i)
        wedge = [(x, 0.42)] + [
            (x + 0.26 * math.cos(math.radians(a)), 0.42 + 0.2 * math.sin(math.radians(a)))
            for a in angles
        ]
        canvas.fill(shapes.polygon(wedge), tone if i % 2 else WHITE, ink=0.7)


SCENES: tuple[Scene, ...] = (
    plain, street, living_room, bar, school, sky, plant, park, shop, beach,
)  # fmt: skip
