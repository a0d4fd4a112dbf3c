"""How a citizen stands and looks in one picture."""

from __future__ import annotations

from dataclasses import dataclass

from evenshard.springfield_like.dice import Dice


@dataclass(frozen=True)
class Expression:
    """A mood.

    Attributes:
      mouth: key of face's mouths.
      brow: degrees by which the inner ends of the brows sink (anger) or rise (worry).
      lift: of both brows, in head units.
      lid: share of the eye that the lid covers.
    """

    mouth: str
    brow: float = 0.0
    lift: float = 0.0
    lid: float = 0.0


EXPRESSIONS: tuple[Expression, ...] = (
    Expression("smile"),
    Expression("smile", lift=0.08),
    Expression("grin", lift=0.06),
    Expression("grin", lid=0.35),
    Expression("open", lift=0.14),
    Expression("flat", lid=0.30),
    Expression("flat"),
    Expression("frown", brow=18.0, lid=0.2),
    Expression("frown", brow=-16.0, lift=0.05),
    Expression("smirk", brow=10.0, lid=0.25),
    Expression("teeth", brow=20.0),
    Expression("smile", lid=1.0),
)


@dataclass(frozen=True)
class Pose:
    """Angles in degrees, clockwise; turns and gaze from -1 to 1.

    Attributes:
      tilt: of the head.
      lean: of the body.
      turn, nod: of the face to the viewer's right, and down.
      gaze: of the pupils.
      expression: mood of the face.
      arms: of each side, upper arm and forearm from hanging down, outwards.
      stride: of each leg, outwards.
      holds: whether the prop is in hand.
    """

    tilt: float
    lean: float
    turn: float
    nod: float
    gaze: tuple[float, float]
    expression: Expression
    arms: tuple[tuple[float, float], tuple[float, float]]
    stride: tuple[float, float]
    holds: bool

    @classmethod
    def of(cls, dice: Dice) -> Pose:
        """Returns a pose by chance."""
        return cls(
            tilt=dice.normal(0.0, 8.0),
            lean=dice.normal(0.0, 5.0),
            turn=dice.between(-1.0, 1.0),
            nod=dice.between(-0.8, 1.0),
            gaze=(dice.between(-1.0, 1.0), dice.between(-0.7, 0.7)),
            expression=dice.pick(EXPRESSIONS),
            arms=(_arm(dice), _arm(dice)),
            stride=(dice.between(2.0, 16.0), dice.between(2.0, 16.0)),
            holds=dice.chance(0.5),
        )


# Standing front and calm: for the sheet of all citizens.
PORTRAIT = Pose(
    0.0, 0.0, 0.25, 0.1, (0.2, 0.1), EXPRESSIONS[0], ((16.0, 4.0), (16.0, 4.0)), (5.0, 5.0), False
)


def _arm(dice: Dice) -> tuple[float, float]:
    kind = dice.whole(0, 3)
    if kind == 0:  # hanging
        return dice.between(6.0, 26.0), dice.between(-4.0, 14.0)
    if kind == 1:  # on the hip or before the belly
        return dice.between(24.0, 46.0), dice.between(-86.0, -46.0)
    if kind == 2:  # waving
        return dice.between(56.0, 110.0), dice.between(126.0, 186.0)
    return dice.between(30.0, 80.0), dice.between(40.0, 104.0)  # pointing
