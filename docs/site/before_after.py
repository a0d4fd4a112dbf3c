"""Draws the picture on the front page: a few classes before and after a bake.

python -m docs.site.before_after docs/images/before_after.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from evenshard.springfield_like.citizens.cast import CITIZENS
from evenshard.springfield_like.citizens.design import Citizen
from evenshard.springfield_like.dice import Dice
from evenshard.springfield_like.scene import draw_picture

matplotlib.use("agg")

# From the largest class to the smallest, evenly through the 42.
_SHOWN = [CITIZENS[i] for i in (0, 8, 16, 24, 32, 41)]
_PER_CLASS = 700
_SIZES = ((300, 420), (520, 380), (260, 260))  # width, height of the pictures of a class
_ORIGINAL, _COPY = "#0072b2", "#56b4e9"


def draw() -> Figure:
    """Returns the figure."""
    figure = Figure(figsize=(11, 4.6), dpi=100, facecolor="white")
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.06})
    _bars(left, "A folder of pictures, 3 to 2,246 a class", balanced=False)
    _bars(right, f"Train shards: {_PER_CLASS} records a class, one size", balanced=True)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.9, bottom=0.07)
    return figure


def _bars(axes: Axes, title: str, *, balanced: bool) -> None:
    axes.set_title(title, fontsize=13, loc="left", fontweight="bold")
    axes.set_xlim(-0.6, 3550)
    axes.set_ylim(len(_SHOWN) - 0.4, -0.6)
    axes.axis("off")
    for row, citizen in enumerate(_SHOWN):
        _pictures(axes, citizen, row, balanced=balanced)
        start = 1000
        of = max(3, round(0.8 * citizen.count))  # The rest is held out; a class of 3 is not.
        kept = min(of, _PER_CLASS) if balanced else citizen.count
        axes.barh(row, kept, 0.5, left=start, color=_ORIGINAL)
        text, end = f"{citizen.count:,}", start + kept
        if balanced:
            copies = _PER_CLASS - kept
            axes.barh(row, copies, 0.5, left=start + kept, color=_COPY)
            end = start + _PER_CLASS
            text = f"{kept} + {copies} augmented copies" if copies else f"{kept} of {of:,}"
        axes.text(end + 30, row, text, va="center", fontsize=11, color="#16202b")


def _pictures(axes: Axes, citizen: Citizen, row: int, *, balanced: bool) -> None:
    """Draws three pictures: of their own sizes, or squashed to squares of one size."""
    edge = 0.0
    for number, (width, height) in enumerate(_SIZES):
        dice = Dice(0, "before_after", citizen.name, number)
        picture = draw_picture(citizen, width, height, dice)
        if balanced:
            picture = picture.resize((160, 160), Image.Resampling.BILINEAR)
        elif number == 2:
            picture = picture.resize((130, 130), Image.Resampling.BILINEAR)
        tall = 0.84 if balanced else 0.84 * min(1.0, picture.height / 420)
        wide = tall * picture.width / picture.height * 350
        axes.imshow(
            np.asarray(picture),
            extent=(edge, edge + wide, row + tall / 2, row - tall / 2),
            aspect="auto",
        )
        edge += wide + 22


def main() -> int:
    """Writes the picture to the path on the command line."""
    output = Path(sys.argv[1])
    draw().savefig(output)
    with Image.open(output) as image:
        # 256 colours look the same here and take a third of the bytes.
        image.convert("RGB").quantize(256).save(output, "PNG", optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
