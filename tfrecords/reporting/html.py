"""One self-contained HTML page from a template: the skeleton that all reports share.

A package's template extends `base.html.j2` of this one, which brings the style sheet (cards,
tables, figure grids, thumbnails; light and dark; from 360 pixels up) and sortable tables.
Pages load nothing: pictures are inlined as data URIs, figures as SVG (`reporting.figures`).
"""

from __future__ import annotations

import base64
import functools
import io
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from PIL import Image

from tfrecords import sizes
from tfrecords.reporting.terms import TERMS

if TYPE_CHECKING:
    import jinja2

# A name longer than this breaks a table on a phone; the full one goes into its title.
MAX_NAME = 28


def render(package: str, template: str, context: Mapping[str, object]) -> str:
    """Returns the page that `template` makes of `context`.

    Every value is escaped unless it is `markupsafe.Markup`; an undefined name is an error.

    Args:
      package: whose `templates` directory holds the template, e.g. "trainer.report".
      template: file name; may extend `base.html.j2` and import `macros.html.j2`.
      context: values by name.
    """
    return _environment(package).get_template(template).render(context)


def data_uri(data: bytes, media_type: str) -> str:
    """Returns a file's bytes as the `src` of an image."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def thumbnail_uri(image: Image.Image, side: int = 160) -> str:
    """Returns a picture, made to fit `side` × `side` pixels, as the `src` of an image.

    Pictures already smaller keep their pixels; the page enlarges them.
    """
    small = image.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85, optimize=True)
    return data_uri(buffer.getvalue(), "image/jpeg")


def percent(value: float | None, digits: int = 1) -> str:
    """Returns a fraction as a percentage: 0.5 is "50.0%", unknown is "–"."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.{digits}f}%"


def decimal(value: float | None, digits: int = 3) -> str:
    """Returns a number with `digits` decimals; unknown is "–"."""
    return "–" if _unknown(value) else f"{value:,.{digits}f}"


def count(value: float | None) -> str:
    """Returns a whole number with thousands separated: "20,933"; unknown is "–"."""
    return "–" if _unknown(value) else f"{value:,.0f}"


def shorten(name: str, length: int = MAX_NAME) -> str:
    """Returns a name on one line, without control characters, the middle cut out if long."""
    line = "".join(c if c.isprintable() else "�" for c in name)
    if len(line) <= length:
        return line
    head = length * 2 // 3
    return f"{line[:head]}…{line[len(line) - (length - head - 1) :]}"


def _unknown(value: float | None) -> bool:
    return value is None or math.isnan(value)


@functools.cache
def _environment(package: str) -> jinja2.Environment:
    import jinja2  # Here, for most who want a number formatted draw no page.

    packages = dict.fromkeys((package, "tfrecords.reporting"))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (percent, decimal, count, shorten)
    environment.filters.update({filter_.__name__: filter_ for filter_ in filters})
    environment.filters["size"] = sizes.readable
    environment.globals["terms"] = TERMS
    return environment
