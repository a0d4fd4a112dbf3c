"""One picture: who, where, how framed, what in front, in which light."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from evenshard.springfield_like.canvas import Canvas
from evenshard.springfield_like.citizens.cast import CITIZENS
from evenshard.springfield_like.citizens.design import HEADS, Citizen
from evenshard.springfield_like.citizens.figure import draw_figure, height
from evenshard.springfield_like.citizens.pose import Pose
from evenshard.springfield_like.dice import Dice
from evenshard.springfield_like.place import foreground, lighting
from evenshard.springfield_like.place.backgrounds import SCENES, Scene

# Drawn at twice the size and averaged down: four samples a pixel.
_SUPERSAMPLING = 2

# Pen width as a share of the figure's unit, and its smallest width in drawn pixels.
_PEN, _MIN_PEN = 0.045, 1.2


@dataclass(frozen=True)
class Framing:
    """Where the head is and how large.

    Attributes:
      unit: half a head's width, as a share of the picture's height.
      x: of the head, as a share of the width.
      y: of the head, as a share of the height.
      flip: mirrored.
    """

    unit: float
    x: float
    y: float
    flip: bool

    @classmethod
    def of(cls, dice: Dice, citizen: Citizen, aspect: float) -> Framing:
        """Returns a close-up (30%), a half figure (45%) or a full one (25%).

        Args:
          aspect: width / height of the picture; a narrow picture shrinks the figure.
        """
        kind = dice.between(0.0, 1.0)
        narrow = min(1.0, aspect * 1.15)
        if kind < 0.30:
            unit, y = dice.between(0.22, 0.38) * narrow, dice.between(0.36, 0.64)
        elif kind < 0.75:
            unit, y = dice.between(0.11, 0.22) * narrow, dice.between(0.24, 0.52)
        else:
            unit = dice.between(0.78, 1.02) / (height(citizen) + 0.5) * narrow
            y = dice.between(0.02, 0.12) + unit * (HEADS[citizen.head][1] + 0.5)
        x = dice.normal(0.5, 0.13)
        return cls(unit, min(0.88, max(0.12, x)), y, dice.chance(0.5))


@dataclass(frozen=True)
class Companion:
    """Another citizen, in part behind the first: `shift` widths aside, `size` times as large."""

    citizen: Citizen
    pose: Pose
    shift: float
    size: float


def draw_picture(citizen: Citizen, width: int, height_: int, dice: Dice) -> Image.Image:
    """Returns the RGB picture of `citizen` that `dice` chooses."""
    framing = Framing.of(dice, citizen, width / height_)
    pose = Pose.of(dice)
    place: Scene = dice.pick(SCENES)
    companion = _companion(dice, citizen) if dice.chance(0.16) else None
    big = Image.new("RGB", (width * _SUPERSAMPLING, height_ * _SUPERSAMPLING))
    canvas = Canvas.over(big, 1.0).placed(0.0, 0.0, scale=big.height)
    aspect = width / height_
    place(_with_pen(canvas, 0.06), aspect, dice)
    if companion is not None:
        side = 1.0 if framing.x < 0.5 else -1.0
        x = framing.x * aspect + side * companion.shift * framing.unit
        unit = framing.unit * companion.size
        spot = _with_pen(canvas.placed(x, framing.y + 0.1 * unit, unit, flip=framing.flip), unit)
        draw_figure(spot, companion.citizen, companion.pose)
    spot = canvas.placed(framing.x * aspect, framing.y, framing.unit, flip=framing.flip)
    draw_figure(_with_pen(spot, framing.unit), citizen, pose)
    if dice.chance(0.30):
        foreground.draw(_with_pen(canvas, 0.12), aspect, framing.y, framing.unit, dice)
    return lighting.light(big.reduce(_SUPERSAMPLING), dice)


def _with_pen(canvas: Canvas, unit: float) -> Canvas:
    drawn = canvas.draw.im.size[1] * unit * _PEN
    return Canvas(canvas.draw, canvas.matrix, canvas.origin, max(_MIN_PEN, drawn))


def _companion(dice: Dice, citizen: Citizen) -> Companion:
    others = tuple(other for other in CITIZENS if other.name != citizen.name)
    return Companion(
        dice.pick(others), Pose.of(dice), dice.between(2.0, 3.6), dice.between(0.72, 0.92)
    )
