"""Things held in a hand; the canvas's origin is the hand."""

from __future__ import annotations

from collections.abc import Callable

from evenshard.springfield_like import shapes
from evenshard.springfield_like.canvas import INK, WHITE, Canvas
from evenshard.springfield_like.palette import PALETTE


def _mug(canvas: Canvas) -> None:
    canvas.stroke(shapes.arc(0.30, -0.10, 0.22, 0.20, -90, 90), 0.10, WHITE, 0.8)
    canvas.fill(shapes.box(-0.30, -0.40, 0.30, 0.28), PALETTE["orange"])
    canvas.disc(0, -0.42, 0.34, 0.14, WHITE, ink=0.8)


def _rolling_pin(canvas: Canvas) -> None:
    canvas.stroke(((-1.0, 0.3), (1.0, -0.3)), 0.16, PALETTE["brown"], 0.8)
    canvas.stroke(((-0.62, 0.19), (0.62, -0.19)), 0.36, PALETTE["straw"], 0.8)


def _book(canvas: Canvas) -> None:
    canvas.fill(shapes.box(-0.42, -0.55, 0.42, 0.45), PALETTE["brick"])
    canvas.fill(shapes.box(-0.30, -0.30, 0.30, -0.08), PALETTE["cream"], ink=0.5)


def _spanner(canvas: Canvas) -> None:
    canvas.stroke(((0, 0.3), (0.1, -0.8)), 0.20, PALETTE["silver"], 0.8)
    canvas.disc(0.1, -0.9, 0.28, 0.26, PALETTE["silver"])
    canvas.disc(0.12, -1.02, 0.12, 0.14, INK, ink=0.0)


def _balloon(canvas: Canvas) -> None:
    canvas.stroke(((0, 0), (0.2, -1.0), (0.1, -1.9)), 0.04, INK)
    canvas.disc(0.1, -2.4, 0.52, 0.60, PALETTE["red"])
    canvas.disc(-0.08, -2.62, 0.10, 0.14, WHITE, ink=0.0)


def _flower(canvas: Canvas) -> None:
    canvas.stroke(((0, 0.3), (0.05, -0.8)), 0.08, PALETTE["green"], 0.6)
    for dx, dy in ((0, -0.25), (0.24, -0.06), (0.15, 0.22), (-0.15, 0.22), (-0.24, -0.06)):
        canvas.disc(0.05 + dx, -1.0 + dy, 0.17, 0.17, PALETTE["pink"], ink=0.7)
    canvas.disc(0.05, -1.0, 0.15, 0.15, PALETTE["gold"], ink=0.0)


def _microphone(canvas: Canvas) -> None:
    canvas.stroke(((0, 0.35), (0.05, -0.45)), 0.16, PALETTE["black"], 0.5)
    canvas.disc(0.06, -0.60, 0.22, 0.24, PALETTE["grey"])


def _ball(canvas: Canvas) -> None:
    canvas.disc(0, -0.15, 0.46, 0.46, PALETTE["orange"])
    canvas.stroke(((-0.44, -0.15), (0.44, -0.15)), 0.05, INK)
    canvas.stroke(((0, -0.58), (0, 0.28)), 0.05, INK)


def _doughnut(canvas: Canvas) -> None:
    canvas.disc(0, -0.1, 0.44, 0.44, PALETTE["fawn"])
    canvas.disc(0, -0.14, 0.38, 0.36, PALETTE["lilac"], ink=0.0)
    canvas.disc(0, -0.1, 0.14, 0.14, PALETTE["brown"], ink=0.5)


def _broom(canvas: Canvas) -> None:
    canvas.stroke(((0.3, -1.6), (-0.2, 1.4)), 0.12, PALETTE["bronze"], 0.7)
    canvas.fill(
        shapes.polygon(((-0.40, 1.2), (0.02, 1.28), (0.10, 2.0), (-0.80, 1.9))), PALETTE["straw"]
    )


def _briefcase(canvas: Canvas) -> None:
    canvas.stroke(shapes.arc(0, 0.16, 0.24, 0.24, 180, 360), 0.10, PALETTE["black"])
    canvas.fill(shapes.box(-0.62, 0.12, 0.62, 0.92), PALETTE["chestnut"])
    canvas.fill(shapes.box(-0.12, 0.30, 0.12, 0.48), PALETTE["gold"], ink=0.5)


def _flask(canvas: Canvas) -> None:
    glass = ((-0.12, -0.9), (0.12, -0.9), (0.12, -0.4), (0.46, 0.3), (-0.46, 0.3), (-0.12, -0.4))
    canvas.fill(shapes.polygon(glass), PALETTE["silver"])
    liquid = ((-0.24, -0.1), (0.24, -0.1), (0.42, 0.27), (-0.42, 0.27))
    canvas.fill(shapes.polygon(liquid), PALETTE["lime"], ink=0.0)


PROPS: dict[str, Callable[[Canvas], None]] = {
    "mug": _mug, "rolling_pin": _rolling_pin, "book": _book, "spanner": _spanner,
    "balloon": _balloon, "flower": _flower, "microphone": _microphone, "ball": _ball,
    "doughnut": _doughnut, "broom": _broom, "briefcase": _briefcase, "flask": _flask,
}  # fmt: skip
