"""What a citizen looks like, whatever the picture: the fixed design of a class."""

from __future__ import annotations

from dataclasses import dataclass

from evenshard.springfield_like.palette import PALETTE

# (half width, half height, power, taper) for shapes.superellipse.
HEADS: dict[str, tuple[float, float, float, float]] = {
    "round": (1.00, 1.00, 2.0, 0.00),
    "egg": (0.90, 1.10, 2.1, -0.12),
    "pear": (0.94, 1.06, 2.2, 0.16),
    "square": (0.92, 1.02, 3.4, 0.00),
    "long": (0.76, 1.24, 2.5, 0.02),
    "wide": (1.14, 0.92, 2.3, 0.05),
    "heart": (1.00, 1.04, 2.1, -0.22),
    "jowly": (1.02, 1.02, 2.6, 0.14),
    "brick": (0.82, 1.16, 3.8, 0.04),
}


@dataclass(frozen=True)
class Build:
    """Body measures in head units (half a head's width is about 1).

    Attributes:
      shoulder, waist, hip: half widths.
      torso, legs: lengths.
      limb: thickness of arms; legs are a third thicker.
    """

    shoulder: float
    waist: float
    hip: float
    torso: float
    legs: float
    limb: float


BUILDS: dict[str, Build] = {
    "child": Build(0.62, 0.60, 0.66, 1.15, 0.85, 0.26),
    "teen": Build(0.72, 0.60, 0.64, 1.50, 1.50, 0.26),
    "slim": Build(0.80, 0.66, 0.74, 1.80, 1.90, 0.28),
    "adult": Build(0.98, 0.86, 0.88, 1.85, 1.75, 0.34),
    "broad": Build(1.34, 1.00, 0.90, 1.90, 1.60, 0.44),
    "stout": Build(1.02, 1.34, 1.26, 1.90, 1.25, 0.40),
    "huge": Build(1.26, 1.66, 1.50, 2.00, 1.10, 0.48),
    "lanky": Build(0.70, 0.56, 0.60, 2.10, 2.40, 0.24),
    "curvy": Build(0.90, 0.68, 1.02, 1.80, 1.60, 0.30),
}


@dataclass(frozen=True)
class Citizen:
    """One class. Colours are names of PALETTE, parts are names of the tables that draw them.

    Attributes:
      name: the class folder.
      count: pictures at full scale.
      skin, hair_colour: colours.
      head, build: keys of HEADS and BUILDS.
      hair: key of hair.STYLES.
      eyes: "dot", "oval", "round", "sleepy", "wide" or "narrow".
      nose: "button", "bulb", "long", "pointed", "snub", "hook" or "broad".
      lips: colour of painted lips, or none.
      hat, hat_colours: key of hats.HATS and its two colours.
      beard: key of face.BEARDS.
      glasses: key of face.GLASSES.
      extras: of "freckles", "cheeks", "mole", "scar", "wrinkles", "earrings", "tooth",
        "teeth", "lashes", "brows", "plaster".
      top, top_colours: key of clothes.TOPS and its two colours.
      legs: "trousers", "shorts", "skirt" or "dress".
      legs_colour, shoes: colours.
      neck: "", "tie", "bow", "scarf", "beads" or "medal"; neck_colour its colour.
      prop: key of props.PROPS, held in some pictures.
    """

    name: str
    count: int
    skin: str
    head: str
    build: str
    hair: str
    hair_colour: str
    eyes: str
    nose: str
    top: str
    top_colours: tuple[str, str]
    legs: str = "trousers"
    legs_colour: str = "slate"
    shoes: str = "brown"
    lips: str = ""
    hat: str = ""
    hat_colours: tuple[str, str] = ("red", "white")
    beard: str = ""
    glasses: str = ""
    neck: str = ""
    neck_colour: str = "red"
    prop: str = ""
    extras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        colours = (
            self.skin,
            self.hair_colour,
            *self.top_colours,
            self.legs_colour,
            self.shoes,
            *self.hat_colours,
            self.neck_colour,
            self.lips or "red",
        )
        unknown = sorted(set(colours) - set(PALETTE))
        if unknown:
            raise ValueError(f"{self.name}: colours must be of PALETTE, not {unknown}")
        if self.head not in HEADS or self.build not in BUILDS:
            raise ValueError(f"{self.name}: unknown head {self.head!r} or build {self.build!r}")
        if self.count < 3:
            raise ValueError(f"{self.name}: a class has at least 3 pictures, not {self.count}")
