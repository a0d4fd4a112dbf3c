"""The shared page skeleton: escaping, numbers and names."""

from __future__ import annotations

import base64
import io

import jinja2
import pytest
from PIL import Image

from tests.support.datasets import fakes
from tfrecords.reporting import html


def test_the_skeleton_loads_nothing_and_holds_its_style() -> None:
    page = html.render("tfrecords.reporting", "base.html.j2", {})
    assert page.startswith("<!doctype html>")
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page
    assert '<meta name="viewport"' in page


def test_values_are_escaped_and_unknown_names_refused() -> None:
    environment = html._environment("tfrecords.reporting")
    assert environment.from_string("{{ a }}").render(a="<b>&") == "&lt;b&gt;&amp;"
    with pytest.raises(jinja2.UndefinedError):
        environment.from_string("{{ nobody }}").render()


def test_a_thumbnail_fits_and_small_pictures_keep_their_pixels() -> None:
    for side, expected in ((400, (160, 80)), (40, (40, 20))):
        uri = html.thumbnail_uri(fakes.picture("x", height=side // 2, width=side))
        media_type, _, data = uri.partition(",")
        assert media_type == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.size == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (html.percent(0.1234), "12.3%"),
        (html.percent(1.0, 0), "100%"),
        (html.percent(None), "–"),
        (html.percent(float("nan")), "–"),
        (html.decimal(1234.5678), "1,234.568"),
        (html.decimal(None), "–"),
        (html.count(20_933), "20,933"),
        (html.count(None), "–"),
        (html.shorten("short"), "short"),
        (html.shorten("a\nb\x00c"), "a�b�c"),
        (html.shorten("0123456789", 7), "0123…89"),
        (html.shorten("猫" * 40, 10), "猫" * 6 + "…" + "猫" * 3),
    ],
)
def test_texts(text: str, expected: str) -> None:
    assert text == expected


@pytest.mark.parametrize("length", range(2, 12))
def test_shortened_names_have_the_length_asked_for(length: int) -> None:
    assert len(html.shorten("abcdefghijklmnop", length)) == length
