"""One style for all figures: palette, figure factory, PNG for files and SVG for pages.

Figures are matplotlib `Figure` objects, never pyplot's: no window, no global state. In a page
the SVG takes its colours from the style sheet (`--plot-*` variables), so it follows light and
dark, and its text is the page's own, so it shows every script that the reader's fonts know.

Importing this module imports no matplotlib, which costs half a second and 60 MB: the functions
that draw do, when they are called.
"""

from __future__ import annotations

import functools
import io
import re
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart with every common colour blindness; purple darkened for
# white paper. The names are those of the style sheet's variables.
INK = "#1f2328"
MUTED = "#59636e"
GRID = "#e3e7eb"
PAGE = "#ffffff"
BLUE = "#0072b2"
VERMILLION = "#d55e00"
GREEN = "#009e73"
PURPLE = "#aa4499"
ORANGE = "#e69f00"
SKY = "#56b4e9"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)

_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    PAGE: "page",
    BLUE: "blue",
    VERMILLION: "vermillion",
    GREEN: "green",
    PURPLE: "purple",
    ORANGE: "orange",
    SKY: "sky",
}

# Half a page's width: at 9 points its text is about 13 pixels high beside another figure on
# a 1280 pixel page, and 9 pixels on a phone.
WIDTH = 5.4
HEIGHT = 3.1

_PNG_DPI = 144

# For names in scripts that DejaVu lacks, where the machine has one of these.
_FALLBACK_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans", "Arial Unicode MS")


def style() -> AbstractContextManager[None]:
    """Returns the context to draw in: what is made inside has the shared style."""
    import matplotlib

    return matplotlib.rc_context(_settings())


def figure(
    width: float = WIDTH, height: float = HEIGHT, rows: int = 1, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """Returns an empty figure of `width` × `height` inches and its axes, row by row."""
    from matplotlib.figure import Figure

    with style():
        result = Figure(figsize=(width, height), layout="constrained")
        axes = result.subplots(rows, columns, squeeze=False)
    return result, list(axes.flat)


def to_png(figure: Figure, dpi: int = _PNG_DPI, tight: bool = False) -> bytes:
    """Returns a figure as a PNG file on white; `tight` cuts its empty margins off."""
    return _save(figure, "png", dpi, tight)


def to_svg(figure: Figure, name: str, description: str, tight: bool = False) -> Markup:
    """Returns a figure as an `<svg>` element for a page that has the shared style sheet.

    Args:
      name: prefix of all ids in it, unique in the page.
      description: what a reader who cannot see it is told.
      tight: cut empty margins off.
    """
    text = _save(figure, "svg", 72, tight).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(f": {colour}", f": var(--plot-{variable}, {colour})")
    opening = f'<svg role="img" aria-label="{escape(description)}" viewBox="'
    return Markup(re.sub(r'^<svg .*?viewBox="', lambda _: opening, text, count=1, flags=re.DOTALL))


def legend(axes: Axes, columns: int = 4) -> None:
    """Puts a legend above the axes, left-aligned, where it never covers data."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=columns,
            borderaxespad=0.2,
            handlelength=1.4,
            columnspacing=1.2,
            frameon=False,
            fontsize=9,
            labelcolor=INK,
        )


def percent_axis(axes: Axes, which: str = "y") -> None:
    """Labels an axis of fractions in per cent."""
    from matplotlib.ticker import FuncFormatter

    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))


def count_axis(axes: Axes, which: str = "x") -> None:
    """Labels an axis in whole numbers, thousands separated."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def shades(colour: str, strength: np.ndarray) -> np.ndarray:
    """Returns float[..., 4]: `colour` as opaque as `strength`, 0 to 1; right on any ground."""
    from matplotlib.colors import to_rgb

    rgb = np.broadcast_to(to_rgb(colour), (*strength.shape, 3))
    return np.concatenate([rgb, np.clip(strength, 0, 1)[..., None]], axis=-1)


@functools.cache
def _settings() -> dict[Any, Any]:
    from cycler import cycler

    return {
        "axes.axisbelow": True,
        "axes.edgecolor": GRID,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.labelcolor": MUTED,
        "axes.labelsize": 9,
        "axes.prop_cycle": cycler(color=SERIES),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": INK,
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "figure.facecolor": PAGE,
        "font.family": _families(),
        "font.size": 9,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "legend.labelcolor": INK,
        "lines.linewidth": 1.8,
        "lines.markersize": 4,
        "lines.solid_capstyle": "round",
        "svg.fonttype": "none",
        "svg.hashsalt": "evenshard",
        "text.color": INK,
        # A class may be called "$5".
        "text.parse_math": False,
        "xtick.color": GRID,
        "xtick.labelcolor": MUTED,
        "xtick.labelsize": 8.5,
        "xtick.major.size": 0,
        "ytick.color": GRID,
        "ytick.labelcolor": MUTED,
        "ytick.labelsize": 8.5,
        "ytick.major.size": 0,
    }


def _families() -> Sequence[str]:
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _FALLBACK_FONTS if name in installed)]


def _save(figure: Figure, format: str, dpi: int, tight: bool) -> bytes:
    buffer = io.BytesIO()
    # Tick labels are made while drawing, so the style holds here too.
    with style(), warnings.catch_warnings():
        # A script without a font leaves boxes in a PNG; the page shows them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            buffer,
            format=format,
            dpi=dpi,
            transparent=format == "svg",
            bbox_inches="tight" if tight else None,
            pad_inches=0.06,
            metadata={"Date": None} if format == "svg" else {"Software": None},
        )
    return buffer.getvalue()
