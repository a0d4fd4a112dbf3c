"""Decodes, resizes and encodes the same JPEGs step by step, each step by every library at hand.

    python -m benchmarks.bake.codec_steps [FOLDER] [--source=416x409] [--side=224] [--rounds=9]

Every library gets its step in the form that suits it: arrays, or Pillow's images. Ratios are of CPU
time to Pillow's in the same round, in one thread. Quality is, of decoding, how many pictures have
Pillow's pixels; of resizing, the error in levels against the triangle filter in float64; of
encoding, PSNR and bytes. Libraries that are not installed are skipped; to have all:
pip install simplejpeg cykooz-resizer kornia-rs opencv-python-headless.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.bake import codecs

QUALITY = codecs.QUALITY


@dataclass(frozen=True)
class Step:
    """One step by one library.

    Attributes:
      kind: "decode", "resize" or "encode".
      library: as the table shows it.
      run: what the step takes → what it gives.
      takes: source bytes or uint8[h, w, 3] → what `run` takes.
      gives: what `run` gives → uint8[h, w, 3], or bytes of "encode".
    """

    kind: str
    library: str
    run: Callable[[Any], Any]
    takes: Callable[[Any], Any] = lambda given: given
    gives: Callable[[Any], Any] = np.asarray


def pillow(side: int) -> list[Step]:
    def decode(data: bytes) -> Image.Image:
        image = Image.open(io.BytesIO(data))
        image.load()
        return image

    def resize(image: Image.Image) -> Image.Image:
        return image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=2)

    def encode(image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0")
        return buffer.getvalue()

    return [
        Step("decode", "Pillow", decode),
        Step("resize", "Pillow", resize, Image.fromarray),
        Step("encode", "Pillow", encode, Image.fromarray, bytes),
    ]


def simplejpeg(side: int) -> list[Step]:
    import simplejpeg as codec

    def encode(pixels: np.ndarray) -> bytes:
        return codec.encode_jpeg(pixels, quality=QUALITY, colorsubsampling="420", fastdct=False)

    return [
        Step("decode", "simplejpeg", codec.decode_jpeg),
        Step(
            "decode",
            "simplejpeg, as Pillow's image",
            lambda data: Image.fromarray(codec.decode_jpeg(data)),
        ),
        Step("encode", "simplejpeg", encode, gives=bytes),
    ]


def cykooz(side: int) -> list[Step]:
    import cykooz_resizer as fast

    options = fast.ResizeOptions(
        resize_alg=fast.ResizeAlg.convolution(fast.FilterType.bilinear), use_alpha=False
    )

    def with_instructions(name: str) -> Step:
        resizer = fast.Resizer()
        resizer.cpu_extensions = getattr(fast.CpuExtensions, name)

        def resize(pixels: np.ndarray) -> np.ndarray:
            height, width = pixels.shape[:2]
            source = fast.ImageData(width, height, fast.PixelType.U8x3, pixels.tobytes())
            result = fast.ImageData(side, side, fast.PixelType.U8x3)
            resizer.resize(source, result, options)
            return np.frombuffer(result.get_buffer(), np.uint8).reshape(side, side, 3)

        return Step("resize", f"cykooz-resizer, {name}", resize)

    return [with_instructions(name) for name in ("avx2", "sse4_1", "none")]


def kornia(side: int) -> list[Step]:
    import kornia_rs

    return [
        Step(
            "resize",
            "kornia-rs, bilinear",
            lambda pixels: kornia_rs.imgproc.resize(pixels, (side, side), "bilinear"),
        )
    ]


def opencv(side: int) -> list[Step]:
    import cv2

    cv2.setNumThreads(1)
    return [
        Step(
            "decode",
            "OpenCV",
            lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB),
        ),
        Step(
            "resize",
            "OpenCV, area",
            lambda pixels: cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA),
        ),
    ]


LIBRARIES = (pillow, simplejpeg, cykooz, kornia, opencv)


def steps(side: int) -> list[Step]:
    """Returns the steps of the libraries that can be imported; says which cannot."""
    found = []
    for library in LIBRARIES:
        try:
            found += library(side)
        except (ImportError, AttributeError, OSError) as error:
            print(f"skipped {library.__name__}: {error}")
    return sorted(found, key=lambda step: ("decode", "resize", "encode").index(step.kind))


def show(found: list[Step], data: list[bytes], side: int, rounds: int) -> None:
    """Measures and prints a line a step."""
    whole = [np.asarray(Image.open(io.BytesIO(one))) for one in data]
    small = [np.asarray(pillow(side)[1].run(Image.fromarray(one))) for one in whole]
    wanted = [codecs._reference(one, side, "triangle") for one in data]
    given: dict[str, list] = {"decode": data, "resize": whole, "encode": small}
    taken = [[step.takes(one) for one in given[step.kind]] for step in found]
    cpu: list[list[float]] = [[] for _ in found]
    for _ in range(rounds):
        for step, items, times in zip(found, taken, cpu, strict=True):
            began = time.process_time()
            for one in items:
                step.run(one)
            times.append(1e3 * (time.process_time() - began) / len(items))
    base = {s.kind: t for s, t in zip(found, cpu, strict=True) if s.library == "Pillow"}
    print(f"{'step':8s}{'library':32s}{'CPU ms':>8s}{'ratio':>7s}  quality")
    for step, items, times in zip(found, taken, cpu, strict=True):
        ratio = statistics.median(a / b for a, b in zip(times, base[step.kind], strict=True))
        got = [step.gives(step.run(one)) for one in items]
        print(
            f"{step.kind:8s}{step.library:32s}{statistics.median(times):8.3f}{ratio:7.2f}  "
            f"{_quality(step.kind, got, {'decode': whole, 'resize': wanted, 'encode': small})}"
        )


def _quality(kind: str, got: list, expected: dict[str, list]) -> str:
    pairs = list(zip(got, expected[kind], strict=True))
    if kind == "decode":
        return f"{sum(np.array_equal(a, b) for a, b in pairs)} of {len(got)} equal"
    if kind == "resize":
        errors = [np.abs(np.asarray(a, float) - b) for a, b in pairs]
        largest, mean = max(e.max() for e in errors), statistics.mean(e.mean() for e in errors)
        return f"error at most {largest:.2f}, mean {mean:.3f}"
    quality = [codecs._psnr(np.asarray(Image.open(io.BytesIO(a)), float), b) for a, b in pairs]
    return f"{statistics.mean(quality):.2f} dB, {statistics.mean(map(len, got)):,.0f} bytes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("folder", nargs="?", type=Path, help="of .jpg pictures in colour")
    parser.add_argument("--source", type=codecs._size, metavar="WxH", help="bring them to it")
    parser.add_argument("--side", type=int, default=224, help="pixels of the result")
    parser.add_argument("--count", type=int, default=60, help="pictures")
    parser.add_argument("--rounds", type=int, default=9, help="each runs every step once")
    parser.add_argument("--png", action="store_true", help="decode the same pictures as PNG")
    flags = parser.parse_args()
    data = codecs.sources(flags.folder, flags.source, flags.count)
    data = [one for one in data if Image.open(io.BytesIO(one)).mode == "RGB"]
    found = steps(flags.side)
    if flags.png:
        data = [_as_png(one) for one in data]
        found = [s for s in found if s.kind == "decode" and s.library in ("Pillow", "OpenCV")]
    kind = "PNGs" if flags.png else "JPEGs"
    print(f"{len(data)} {kind} of {sum(map(len, data)) / len(data):,.0f} bytes to {flags.side} px")
    show(found, data, flags.side, flags.rounds)


def _as_png(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main()
