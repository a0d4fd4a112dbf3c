"""Things that hide part of a citizen; the canvas's unit is the height of the picture."""

from __future__ import annotations

from evenshard.springfield_like import shapes
from evenshard.springfield_like.canvas import INK, WHITE, Canvas
from evenshard.springfield_like.dice import Dice
from evenshard.springfield_like.palette import PALETTE


def draw(canvas: Canvas, width: float, head: float, unit: float, dice: Dice) -> None:
    """Draws a table, a bush, a fence, a speech bubble or a newspaper.

    Args:
      width: of the picture, in heights.
      head, unit: where the head is and half its width; none hides a whole face.
    """
    low = min(0.93, head + unit * dice.between(1.25, 2.4))
    thing = dice.pick((_table, _table, _bush, _fence, _bubble, _bubble, _newspaper))
    thing(canvas, width, low, dice)


def _table(canvas: Canvas, width: float, low: float, dice: Dice) -> None:
    wood = PALETTE[dice.pick(("bronze", "brown", "chestnut", "teal", "brick", "straw"))]
    canvas.fill(shapes.box(-0.1, low, width + 0.1, 1.1), wood)
    canvas.stroke(((-0.1, low + 0.04), (width + 0.1, low + 0.04)), 0.008, INK)
    for _ in range(dice.whole(0, 3)):
        x, size = dice.between(0.0, width), dice.between(0.03, 0.06)
        tone = PALETTE[dice.pick(("white", "red", "blue", "gold", "green"))]
        canvas.fill(shapes.box(x - size, low - size * 1.8, x + size, low + size * 0.4), tone)
        canvas.disc(x, low - size * 1.8, size, size * 0.3, WHITE)


def _bush(canvas: Canvas, width: float, low: float, dice: Dice) -> None:
    leaf = PALETTE[dice.pick(("green", "olive", "jade", "teal"))]
    x = dice.between(-0.1, 0.2)
    while x < width + 0.1:
        size = dice.between(0.1, 0.18)
        canvas.disc(x, low + size, size * 1.1, size, leaf)
        canvas.fill(shapes.box(x - size, low + size, x + size, 1.2), leaf, ink=0.0)
        x += size * 1.3


def _fence(canvas: Canvas, width: float, low: float, dice: Dice) -> None:
    paint = PALETTE[dice.pick(("white", "bronze", "sky", "straw"))]
    canvas.stroke(((-0.1, low + 0.1), (width + 0.1, low + 0.1)), 0.03, paint, 0.8)
    wide = dice.between(0.04, 0.07)
    for i in range(int(width / (wide * 2.0)) + 2):
        x = i * wide * 2.0
        slat = (
            (x, low + 0.03),
            (x + wide / 2, low - 0.02),
            (x + wide, low + 0.03),
            (x + wide, 1.1),
            (x, 1.1),
        )
        canvas.fill(shapes.polygon(slat), paint)


def _bubble(canvas: Canvas, width: float, low: float, dice: Dice) -> None:
    x, y = dice.pick((0.15, 0.85)) * width, dice.between(0.06, 0.18)
    wide, tall = dice.between(0.14, 0.24), dice.between(0.08, 0.13)
    inward = 0.1 if x < width / 2 else -0.1
    tail = ((x - 0.03, y + tall * 0.6), (x + inward, y + tall + 0.1), (x + 0.05, y + tall * 0.6))
    canvas.fill(shapes.polygon(tail), WHITE)
    canvas.fill(shapes.superellipse(1.0, 1.0, 3.0, 0.0), WHITE, (x, y), (wide, tall))
    canvas.fill(shapes.polygon(tail), WHITE, ink=0.0)
    for row in (-0.4, 0.0, 0.4)[: dice.whole(2, 3)]:
        end = dice.between(0.2, 0.7)
        canvas.stroke(
            ((x - wide * 0.65, y + row * tall), (x + wide * end, y + row * tall)), 0.016, INK
        )


def _newspaper(canvas: Canvas, width: float, low: float, dice: Dice) -> None:
    sheet = canvas.placed(dice.between(0.3, 0.7) * width, low + 0.16, degrees=dice.between(-10, 10))
    sheet.fill(shapes.box(-0.24, -0.16, 0.24, 0.2), PALETTE["cream"])
    sheet.fill(shapes.box(-0.21, -0.13, 0.21, -0.08), INK, ink=0.0)
    for row in range(5):
        y = -0.04 + row * 0.045
        sheet.stroke(((-0.21, y), (-0.02, y)), 0.01, PALETTE["grey"])
        sheet.stroke(((0.02, y), (0.21, y)), 0.01, PALETTE["grey"])
