"""A pen on a Pillow image: shapes in their own units, placed by an affine map."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from evenshard.springfield_like.shapes import Pairs, Points, Shape, ellipse

Colour = tuple[int, int, int]

INK: Colour = (38, 30, 44)
WHITE: Colour = (252, 250, 244)


def shade(colour: Colour, factor: float) -> Colour:
    """Returns `colour` darker (factor below 1) or lighter (above 1, towards white)."""
    if factor <= 1.0:
        r, g, b = (round(c * factor) for c in colour)
    else:
        r, g, b = (round(c + (255 - c) * (factor - 1.0)) for c in colour)
    return r, g, b


@dataclass(frozen=True)
class Canvas:
    """Where and how to draw.

    Attributes:
      draw: Pillow's context on the image.
      matrix: [2, 2], from units to pixels.
      origin: [2], pixel position of the unit origin.
      pen: ink line width in pixels.
    """

    draw: ImageDraw.ImageDraw
    matrix: Points
    origin: Points
    pen: float

    @classmethod
    def over(cls, image: Image.Image, pen: float) -> Canvas:
        """Returns a canvas whose units are the pixels of `image`."""
        return cls(ImageDraw.Draw(image), np.eye(2), np.zeros(2), pen)

    @property
    def scale(self) -> float:
        """Pixels per unit, the geometric mean over directions."""
        (a, b), (c, d) = self.matrix.tolist()
        return math.sqrt(abs(a * d - b * c))

    def placed(
        self,
        x: float,
        y: float,
        scale: float = 1.0,
        degrees: float = 0.0,
        flip: bool = False,
        squeeze: float = 1.0,
    ) -> Canvas:
        """Returns a canvas with its origin at (x, y), turned, scaled and mirrored.

        Args:
          x, y: in this canvas's units.
          scale: of the new units in this canvas's.
          degrees: clockwise turn.
          flip: mirror left to right.
          squeeze: further factor on the width.
        """
        angle = math.radians(degrees)
        cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
        across = (-1.0 if flip else 1.0) * squeeze
        inner = np.array([[cos * across, -sin], [sin * across, cos]])
        origin = self.origin + self.matrix @ np.array([x, y])
        return replace(self, matrix=self.matrix @ inner, origin=origin)

    def fill(
        self,
        shape: Shape,
        colour: Colour,
        at: tuple[float, float] = (0.0, 0.0),
        size: tuple[float, float] = (1.0, 1.0),
        ink: float = 1.0,
    ) -> None:
        """Fills `shape` moved to `at` and stretched by `size`, in an ink outline.

        Args:
          ink: outline width in pens; 0 for none.
        """
        points = (shape.points * size + at) @ self.matrix.T + self.origin
        if ink > 0:
            across = shape.outward * np.sign(size) @ (self.matrix.T / self.scale)
            edge = points + across * (self.pen * ink)
            self.draw.polygon(edge.ravel().tolist(), fill=INK)
        self.draw.polygon(points.ravel().tolist(), fill=colour)

    def disc(
        self, x: float, y: float, rx: float, ry: float, colour: Colour, ink: float = 1.0
    ) -> None:
        """Fills an ellipse about (x, y)."""
        self.fill(ellipse(1.0, 1.0), colour, (x, y), (rx, ry), ink)

    def stroke(
        self, points: Pairs | Points, width: float, colour: Colour, ink: float = 0.0
    ) -> None:
        """Draws an open line with round ends, `width` units wide, `ink` pens of outline."""
        pixels = np.asarray(points, dtype=np.float64) @ self.matrix.T + self.origin
        thick = max(1.0, width * self.scale)
        if ink > 0:
            self._line(pixels, thick + 2.0 * self.pen * ink, INK)
        self._line(pixels, thick, colour)

    def _line(self, pixels: Points, thick: float, colour: Colour) -> None:
        flat = [tuple(p) for p in pixels.tolist()]
        self.draw.line(flat, fill=colour, width=round(thick))
        radius = thick / 2.0
        if radius < 1.0:
            return
        for x, y in flat if radius > 2.0 else (flat[0], flat[-1]):
            self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
