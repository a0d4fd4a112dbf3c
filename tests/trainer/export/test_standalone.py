"""The reader that goes with an export makes of a file what the network was trained on."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.datasets import fakes
from tfrecords.images import canonicalise
from tfrecords.schema import ImageSpec
from trainer.data.record_pixels import decoder
from trainer.export import standalone

_HEIGHT, _WIDTH = 50, 38


def _deep(image: Image.Image, full: int = 65_535) -> Image.Image:
    """Returns a grey picture with samples of 16 bits up to `full`."""
    grey = np.asarray(image.convert("L")).astype(np.uint32) * full // 255
    return Image.fromarray(grey.astype(np.uint16))


def _with_alpha(image: Image.Image) -> Image.Image:
    image.putalpha(image.convert("L"))
    return image


# kind → (what is done to a picture, format, how it is saved)
_KINDS: dict[str, tuple[Callable[[Image.Image], Image.Image], str, dict[str, object]]] = {
    "png": (lambda image: image, "PNG", {}),
    "jpeg": (lambda image: image, "JPEG", {"quality": 92}),
    "alpha": (_with_alpha, "PNG", {}),
    "grey": (lambda image: image.convert("L"), "PNG", {}),
    "turned": (lambda image: image.convert("L"), "TIFF", {"tiffinfo": {274: 6}}),
    "cmyk": (lambda image: image.convert("CMYK"), "JPEG", {}),
    "16 bits": (_deep, "PNG", {}),
    "16 bits with a transparent sample": (_deep, "PNG", {"transparency": 65_535 * 128 // 255}),
    "12 bits": (lambda image: _deep(image, 4095), "TIFF", {"tiffinfo": {258: 12}}),
    "16 bits, turned": (_deep, "TIFF", {"tiffinfo": {274: 6}}),
    "16 bits, white is 0": (_deep, "TIFF", {"tiffinfo": {262: 0}}),
}


def _file(kind: str, height: int = _HEIGHT, width: int = _WIDTH) -> bytes:
    change, format_, options = _KINDS[kind]
    buffer = io.BytesIO()
    change(fakes.picture(kind, height, width)).save(buffer, format_, **options)
    return buffer.getvalue()


def _differences(data: bytes, path: Path, spec: ImageSpec, size: tuple[int, int]) -> np.ndarray:
    """Returns how many levels the reader is from training, of each sample."""
    path.write_bytes(data)
    stored = canonicalise.canonicalise(data, spec, canonicalise.PixelLimits()).data
    trained = decoder(spec, size)(stored).numpy()
    about = {
        "stored": {
            "height": spec.height,
            "width": spec.width,
            "resize": spec.resize.value,
            "encoding": spec.encoding.value,
            "jpeg_quality": spec.jpeg_quality,
        },
        "input": {"shape": [None, *size, 3]},
    }
    return np.abs(standalone.read(str(path), about)[0].astype(int) - trained)


@pytest.mark.parametrize("kind", _KINDS)
def test_reads_each_kind_of_file_as_the_bake(kind: str, tmp_path: Path) -> None:
    spec = ImageSpec(24, 24, encoding="png")  # type: ignore[arg-type]  # A name is converted.
    found = _differences(_file(kind), tmp_path / "picture", spec, (24, 24))
    assert found.mean() < 0.5
    assert found.max() <= 8


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
@pytest.mark.parametrize("resize", ["squash", "pad", "crop", "short_side"])
@pytest.mark.parametrize("shape", [(50, 38), (37, 61), (400, 300)])
def test_sizes_as_training(
    resize: str, encoding: str, shape: tuple[int, int], tmp_path: Path
) -> None:
    """At the stored size, below it, of another shape, and so far below that JPEGs are scaled."""
    spec = ImageSpec(32, 32, resize, encoding)  # type: ignore[arg-type]  # Names are converted.
    for size in ((32, 32), (24, 24), (16, 30), (29, 13), (8, 8)):
        found = _differences(_file("png", *shape), tmp_path / "picture.png", spec, size)
        assert found.mean() < 1, size  # Two decoders of JPEG differ by half a level.


@pytest.mark.parametrize("mode", ["F", "I"])
def test_stops_at_samples_of_32_bits(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.tiff"
    fakes.picture("deep").convert("L").convert(mode).save(path)
    with pytest.raises(SystemExit, match="32 bits are not read here: use evenshard predict"):
        standalone.read(str(path), {})
