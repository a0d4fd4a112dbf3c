"""The same pixels as OpenCV, whose decoders and code are not Pillow's, on real and odd files."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.datasets.fakes import picture
from tests.support.pictures.tiff_files import DEFLATE, Arrangement, tiff
from tfrecords.images.canonicalise import PixelLimits, decode
from tfrecords.schema import ImageSpec

cv2 = pytest.importorskip("cv2")

# Large enough that no JPEG of these tests is decoded at a reduced scale.
FULL = ImageSpec(8192, 8192)
DATA = Path(os.environ.get("EVENSHARD_TEST_DATA", "nowhere"))


def others_pixels(data: bytes) -> np.ndarray | None:
    """Returns OpenCV's pixels as RGB, upright, alpha over white; None where it reads none."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else image[..., ::-1].astype(int)


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, FULL, PixelLimits())[0]).astype(int)


def test_photographs() -> None:
    paths = sorted((DATA / "caltech60").rglob("*.jpg"))
    if not paths:
        pytest.skip("needs EVENSHARD_TEST_DATA/caltech60")
    for path in paths[:: max(1, len(paths) // 60)]:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            if image.info.get("icc_profile"):
                continue  # OpenCV knows no colour management.
        np.testing.assert_allclose(pixels_of(data), others_pixels(data), atol=2, err_msg=str(path))


@pytest.mark.filterwarnings("ignore")  # The header is read here without our quiet.
def test_odd_files() -> None:
    paths = sorted(p for p in (DATA / "hostile_images" / "nasty").rglob("*") if p.is_file())
    if not paths:
        pytest.skip("needs EVENSHARD_TEST_DATA/hostile_images")
    compared, differing = 0, []
    for path in paths:
        data = path.read_bytes()
        if not data:
            continue
        try:
            with Image.open(io.BytesIO(data)) as image:
                # What OpenCV leaves out or does by other rules: profiles, alpha, ink, the first
                # frame of GIF, and depths that it rounds otherwise.
                if image.info.get("icc_profile") or image.format in ("GIF", "AVIF"):
                    continue
                if image.mode not in ("RGB", "L") or image.has_transparency_data:
                    continue
            ours = pixels_of(data)
        except Exception:  # Pillow alone raises anything; ours is tested elsewhere.
            continue
        other = others_pixels(data)
        if other is None:
            continue
        compared += 1
        if other.shape != ours.shape or np.abs(other - ours).mean() > 2:
            differing.append(str(path.relative_to(DATA)))
    assert compared > 300
    # Damaged files, where decoders go on in different ways.
    assert len(differing) <= compared // 20, differing


@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_planes_and_tiles_of_tiff(kind: str, planar: bool, tile: tuple[int, int] | None) -> None:
    rng = np.random.default_rng(0)
    known = rng.integers(0, np.iinfo(kind).max + 1, (37, 21, 3)).astype(kind)
    data = tiff(known, 2, Arrangement(planar=planar, compression=DEFLATE, tile=tile))
    other = others_pixels(data)
    if other is None or (planar and tile):
        pytest.skip("OpenCV reads no planes in tiles")
    np.testing.assert_allclose(pixels_of(data), other, atol=1)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_without_its_last_marker(options: dict[str, object]) -> None:
    buffer = io.BytesIO()
    picture("jpeg", 120, 90).save(buffer, "JPEG", **options)  # type: ignore[arg-type]  # Values of a table.
    whole = buffer.getvalue()
    np.testing.assert_allclose(pixels_of(whole[:-2]), others_pixels(whole), atol=2)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_lossless_formats(format: str) -> None:
    buffer = io.BytesIO()
    options: dict[str, object] = {"lossless": True} if format == "WEBP" else {}
    picture("lossless", 60, 50).save(buffer, format, **options)  # type: ignore[arg-type]  # Values of a table.
    other = others_pixels(buffer.getvalue())
    if other is None:
        pytest.skip(f"this OpenCV has no {format}")
    np.testing.assert_array_equal(pixels_of(buffer.getvalue()), other)
