"""The shared figure style: themed SVG, PNG, and no state left behind."""

from __future__ import annotations

import io
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from tfrecords.reporting import figures


def _figure(label: str = "validation") -> Figure:
    with figures.style():
        figure, (axes,) = figures.figure()
        axes.plot([1, 2, 3], [0.1, 0.5, 0.4], color=figures.BLUE, label=label)
        figures.percent_axis(axes)
        figures.count_axis(axes)
        figures.legend(axes)
    return figure


def test_svg_takes_its_colours_from_the_page() -> None:
    svg = str(figures.to_svg(_figure(), "loss", 'loss "by" epoch'))
    root = ElementTree.fromstring(svg.replace("xlink:href", "href"))
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == 'loss "by" epoch'
    assert "width" not in root.attrib
    assert "var(--plot-blue, #0072b2)" in svg
    assert "var(--plot-muted" in svg
    bare = [colour for colour in figures._VARIABLES if f": {colour}" in svg]
    assert bare == []


def test_ids_are_unique_to_a_figure_and_references_follow() -> None:
    svg = str(figures.to_svg(_figure(), "loss", ""))
    root = ElementTree.fromstring(svg.replace("xlink:href", "href"))
    ids = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    assert ids
    assert all(id_.startswith("loss-") for id_ in ids)
    for element in root.iter():
        if element.attrib.get("href", "").startswith("#"):
            assert element.attrib["href"][1:] in ids
        if clip := element.attrib.get("clip-path"):
            assert clip.removeprefix("url(#").removesuffix(")") in ids


def test_names_are_text_of_any_script_and_never_mathematics() -> None:
    svg = str(figures.to_svg(_figure("$5 \\alpha <b> 猫"), "x", ""))
    root = ElementTree.fromstring(svg.replace("xlink:href", "href"))
    assert "$5 \\alpha <b> 猫" in ["".join(element.itertext()) for element in root.iter()]
    assert figures.to_png(_figure("$5 \\alpha 猫")).startswith(b"\x89PNG")


def test_png_is_white_and_as_large_as_asked_for() -> None:
    with Image.open(io.BytesIO(figures.to_png(_figure(), dpi=100))) as image:
        assert image.size == (round(100 * figures.WIDTH), round(100 * figures.HEIGHT))
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_equal_figures_are_equal_files() -> None:
    assert figures.to_svg(_figure(), "a", "") == figures.to_svg(_figure(), "a", "")
    assert figures.to_png(_figure()) == figures.to_png(_figure())


def test_leaves_no_trace_in_matplotlib() -> None:
    before = dict(matplotlib.rcParams)
    figures.to_svg(_figure(), "a", "")
    assert dict(matplotlib.rcParams) == before


def test_shades_are_one_colour_of_many_strengths() -> None:
    shades = figures.shades(figures.BLUE, np.array([[0.0, 0.5], [1.0, 2.0]]))
    assert shades.shape == (2, 2, 4)
    np.testing.assert_allclose(shades[..., 3], [[0, 0.5], [1, 1]])
    np.testing.assert_allclose(shades[0, 0, :3] * 255, [0x00, 0x72, 0xB2])


def test_a_bake_worker_never_imports_matplotlib() -> None:
    """And nobody imports pyplot, which keeps figures and wants a window."""
    code = (
        "import sys, tfrecords.reporting.html, tfrecords.manifest, tfrecords.example\n"
        "import tfrecords.images.canonicalise\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import tfrecords.reporting.figures\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
