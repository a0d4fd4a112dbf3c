"""The orientation in an XMP packet: applied where EXIF names none, in every format alike."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.support.datasets.fakes import picture
from tests.support.pictures.tiff_files import Arrangement, tiff
from tfrecords.images.canonicalise import PixelLimits, canonicalise, decode
from tfrecords.schema import ImageSpec

FULL = ImageSpec(512, 512)
SCENE = picture("scene", 24, 40)
UPRIGHT, HALF_TURN, QUARTER_TURN = 1, 3, 6


def packet(orientation: int) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        '"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}"/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def saved(format: str, orientation: int, exif: int | None = None) -> bytes:
    """Returns the scene with an orientation in XMP, and another in EXIF if one is given."""
    xmp = packet(orientation)
    options: dict[str, object] = {"xmp": xmp}
    if format == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options = {"pnginfo": text}
    elif format == "TIFF":
        options = {"tiffinfo": {700: xmp} | ({} if exif is None else {0x0112: exif})}
    if exif is not None and format != "TIFF":
        tags = Image.Exif()
        tags[0x0112] = exif
        options["exif"] = tags
    buffer = io.BytesIO()
    SCENE.save(buffer, format, **options)
    return buffer.getvalue()


def upright(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, FULL, PixelLimits())[0])


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_it_is_applied_where_exif_has_none_and_yields_to_exif(format: str) -> None:
    known = upright(saved(format, UPRIGHT))
    turned = upright(saved(format, QUARTER_TURN))
    np.testing.assert_allclose(turned, np.rot90(known, -1), atol=2)
    turned = upright(saved(format, QUARTER_TURN, exif=HALF_TURN))
    np.testing.assert_allclose(turned, known[::-1, ::-1], atol=2)


def test_it_is_applied_to_what_a_data_set_stores() -> None:
    wide, high = saved("PNG", UPRIGHT), saved("PNG", QUARTER_TURN)
    spec = ImageSpec(24, 24, encoding="png")  # type: ignore[arg-type]  # A name is converted.
    bake = [canonicalise(data, spec, PixelLimits()).data for data in (wide, high)]
    shown = [np.asarray(Image.open(io.BytesIO(data))).astype(int) for data in bake]
    np.testing.assert_allclose(shown[1], np.rot90(shown[0], -1), atol=1)


def test_it_is_applied_to_a_jpeg_of_much_metadata() -> None:
    data = saved("JPEG", QUARTER_TURN)
    comment = struct.pack(">BBH", 0xFF, 0xFE, 65_002) + bytes(65_000)
    np.testing.assert_array_equal(upright(data[:2] + comment * 80 + data[2:]), upright(data))


def test_it_is_applied_to_a_tiff_that_pillow_does_not_read() -> None:
    known = np.asarray(SCENE).astype(np.uint16) * 257
    text = packet(QUARTER_TURN)
    text += b" " * (-len(text) % 4)
    tags = {700: struct.unpack(f"<{len(text) // 4}I", text)}
    for more, expected in (({}, np.rot90(SCENE, -1)), ({274: [1]}, np.asarray(SCENE))):
        data = tiff(known, 2, Arrangement(planar=True, tags=tags | more))
        np.testing.assert_array_equal(upright(data), expected)
