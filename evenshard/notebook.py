"""How objects show themselves in a notebook: tables and figures, as HTML that loads nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Ids inside a figure must differ from those of every other figure of the notebook.
_NUMBERS = itertools.count()

_INCH = 72


def heading(text: str, note: str = "") -> str:
    """Returns a line in bold, and what follows it."""
    return f"<p><b>{escape(text)}</b> {escape(note)}</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Returns a table; every cell is escaped, whole numbers get their thousands separated."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def figure(drawn: Figure, description: str) -> str:
    """Returns a figure as SVG, on white paper whatever the notebook's theme."""
    from tfrecords.reporting import figures

    svg = figures.to_svg(drawn, f"evenshard{next(_NUMBERS)}", description)
    width = round(drawn.get_figwidth() * _INCH)
    return f'<div style="max-width:{width}px;background:#fff;color:#1f2328">{svg}</div>'


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        text = "" if value is None else str(value)
    elif isinstance(value, int):
        text = f"{value:,}"
    elif isinstance(value, float):
        text = f"{value:.4g}"
    else:
        text = str(value)
    side = "right" if isinstance(value, (int, float)) else "left"
    return f'<td style="text-align:{side}">{escape(text)}</td>'
