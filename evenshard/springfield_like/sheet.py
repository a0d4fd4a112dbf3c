"""Draws all citizens on one sheet, as in docs/images/citizens.png.

python -m evenshard.springfield_like.sheet docs/images/citizens.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from evenshard.springfield_like.canvas import Canvas
from evenshard.springfield_like.citizens.cast import CITIZENS
from evenshard.springfield_like.citizens.design import HEADS, Citizen
from evenshard.springfield_like.citizens.figure import draw_figure, height
from evenshard.springfield_like.citizens.pose import PORTRAIT

_COLUMNS = 14
_CELL = (100, 164)  # width, height in pixels
_SUPERSAMPLING = 4
_PAPER = (240, 235, 224)
_TALLEST = max(height(citizen) for citizen in CITIZENS)


def draw_sheet(citizens: Sequence[Citizen] = CITIZENS) -> Image.Image:
    """Returns the citizens in rows of 14, all to one scale, soles on a line."""
    rows = -(-len(citizens) // _COLUMNS)
    width, tall = _SUPERSAMPLING * _CELL[0], _SUPERSAMPLING * _CELL[1]
    big = Image.new("RGB", (_COLUMNS * width, rows * tall), _PAPER)
    unit = 0.78 * tall / _TALLEST  # a fifth is for hats
    canvas = Canvas.over(big, 0.05 * unit)
    for i, citizen in enumerate(citizens):
        row, column = divmod(i, _COLUMNS)
        head = height(citizen) - HEADS[citizen.head][1]
        foot = (row + 0.96) * tall
        draw_figure(
            canvas.placed((column + 0.5) * width, foot - unit * head, unit), citizen, PORTRAIT
        )
    return big.reduce(_SUPERSAMPLING)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the sheet; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m evenshard.springfield_like.sheet",
        description="Draws all citizens on one sheet.",
        allow_abbrev=False,
    )
    parser.add_argument("output", type=Path, help="PNG to write")
    output: Path = parser.parse_args(argv).output
    # 128 colours look the same as all of them and halve the file.
    sheet = draw_sheet().quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    try:
        sheet.save(output, "PNG", optimize=True)
    except OSError as error:
        print(f"sheet: error: cannot write {output}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
