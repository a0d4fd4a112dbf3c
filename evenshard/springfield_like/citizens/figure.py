"""A whole citizen in a pose, back to front."""

from __future__ import annotations

from evenshard.springfield_like import shapes
from evenshard.springfield_like.canvas import Canvas, shade
from evenshard.springfield_like.citizens import clothes, face, hair, hats, props
from evenshard.springfield_like.citizens.design import BUILDS, HEADS, Citizen
from evenshard.springfield_like.citizens.pose import Pose
from evenshard.springfield_like.palette import PALETTE


def height(citizen: Citizen) -> float:
    """Returns head units from the crown of the bare head to the soles."""
    build = BUILDS[citizen.build]
    return 1.95 * HEADS[citizen.head][1] + build.torso * 0.96 + build.legs + 0.24


def draw_figure(canvas: Canvas, citizen: Citizen, pose: Pose) -> None:
    """Draws the citizen with the middle of the head at the canvas's origin.

    One unit is about half a head's width.
    """
    rx, ry, power, taper = HEADS[citizen.head]
    neck = 0.93 * ry
    body = canvas.placed(0.0, neck, degrees=pose.lean)
    # The head turns about the neck, which stays where it is.
    head = canvas.placed(0.0, neck, degrees=pose.tilt).placed(0.0, -neck)
    hair.draw_back(
        head.placed(-0.07 * pose.turn * rx, 0.0), citizen.hair, PALETTE[citizen.hair_colour], rx, ry
    )
    clothes.draw_legs(body, citizen, pose)
    skin = PALETTE[citizen.skin]
    body.stroke(
        ((0.0, -0.3), (0.0, 0.1)), BUILDS[citizen.build].shoulder * 0.52, shade(skin, 0.86), 1.0
    )
    clothes.draw_torso(body, citizen)
    for side in (-1, 1):
        hand = clothes.draw_arm(body, citizen, pose, side)
        if side == 1 and pose.holds and citizen.prop:
            props.PROPS[citizen.prop](body.placed(*hand))
    _draw_head(head, citizen, pose, (rx, ry, power, taper))


def _draw_head(
    head: Canvas, citizen: Citizen, pose: Pose, form: tuple[float, float, float, float]
) -> None:
    rx, ry, power, taper = form
    skin, turn = PALETTE[citizen.skin], pose.turn
    for side in (-1, 1):
        x = side * rx * (1.0 + 0.04 * side * -turn) - 0.08 * turn
        head.disc(x, 0.06 * ry, 0.22, 0.28, skin)
        head.disc(x, 0.08 * ry, 0.10, 0.15, shade(skin, 0.80), ink=0.0)
        if "earrings" in citizen.extras:
            head.disc(x + side * 0.04, 0.06 * ry + 0.36, 0.10, 0.12, PALETTE["gold"], ink=0.7)
    head.fill(shapes.superellipse(rx, ry, power, taper), skin)
    middle = head.placed(0.24 * turn * rx, 0.09 * pose.nod * ry, squeeze=1.0 - 0.14 * abs(turn))
    _draw_face(head, middle, citizen, pose, rx, ry)
    over = head.placed(0.05 * turn * rx, 0.03 * pose.nod * ry)
    hair.draw_front(over, citizen.hair, PALETTE[citizen.hair_colour], rx, ry)
    if citizen.hat:
        first, second = (PALETTE[name] for name in citizen.hat_colours)
        hats.draw_hat(over, citizen.hat, (first, second), rx, ry)


def _draw_face(
    head: Canvas, middle: Canvas, citizen: Citizen, pose: Pose, rx: float, ry: float
) -> None:
    if citizen.beard in ("full", "long", "chops", "stubble"):
        face.draw_beard(head.placed(0.05 * pose.turn * rx, 0.0), citizen, rx, ry)
    face.draw_marks(middle, citizen, rx, ry)
    if citizen.glasses and citizen.glasses not in face.OPAQUE_GLASSES:
        face.draw_glasses(middle, citizen, rx, ry)
    face.draw_eyes(middle, citizen, pose, rx, ry)
    if citizen.glasses in face.OPAQUE_GLASSES:
        face.draw_glasses(middle, citizen, rx, ry)
    if citizen.beard in ("walrus", "handlebar", "pencil", "goatee"):
        face.draw_mouth(middle, citizen, pose.expression.mouth, ry)
        face.draw_beard(middle, citizen, rx, ry)
    else:
        face.draw_mouth(middle, citizen, pose.expression.mouth, ry)
    face.draw_nose(middle, citizen, pose.turn, ry)
