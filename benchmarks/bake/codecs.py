"""Decodes, resizes and encodes the same JPEGs by every codec at hand, in turn.

    python -m benchmarks.bake.codecs [FOLDER] [--source=416x409] [--side=224] [--rounds=7]

Ours is `tfrecords.images.canonicalise`, with its limits, colour management and two hashes;
"codec only" is the part of it that the peers do too: decode, resize, encode. Ratios are of CPU
time, steadier than wall time on a busy machine; everything runs in one thread. Without FOLDER
the pictures are synthetic. Peers that are not installed are skipped; to have all:
pip install simplejpeg cykooz-resizer opencv-python-headless "pyvips[binary]". Quality is the PSNR
of the resized pixels, before they are encoded, against the same kind of filter on the whole picture
in float64 (libvips has another filter, Lanczos, so its number is no fault). Step by step:
`benchmarks.bake.codec_steps`.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.harness.machine import describe_machine
from tfrecords.images import canonicalise
from tfrecords.schema import Encoding, ImageSpec

QUALITY = 95
PACKAGES = ("pillow", "numpy", "simplejpeg", "cykooz-resizer", "opencv-python-headless", "pyvips")
_BILINEAR = Image.Resampling.BILINEAR


@dataclass(frozen=True)
class Codec:
    """One way from a source JPEG to the JPEG of a data set.

    Attributes:
      name: as the table shows it.
      run: source bytes → encoded bytes.
      resized: source bytes → uint8[side, side, 3], the pixels that `run` encodes.
      filter: of its resize: "triangle" or "box", which quality is measured against.
    """

    name: str
    run: Callable[[bytes], bytes]
    resized: Callable[[bytes], np.ndarray]
    filter: str = "triangle"


@dataclass(frozen=True)
class Result:
    """What one codec did.

    Attributes:
      milliseconds: median of the rounds, a picture.
      spread: (slowest - fastest round) / median.
      cpu_milliseconds: of this process and its threads, median of the rounds, a picture.
      ratio: of CPU time to ours (codec only), median of the ratios within each round.
      psnr, worst_psnr: dB, median and minimum over pictures.
      bytes: mean size of the encoded picture.
    """

    name: str
    milliseconds: float
    spread: float
    cpu_milliseconds: float
    ratio: float
    psnr: float
    worst_psnr: float
    bytes: float


def ours(side: int) -> Codec:
    limits = canonicalise.PixelLimits()
    jpeg = ImageSpec(side, side, jpeg_quality=QUALITY)
    png = dataclasses.replace(jpeg, encoding=Encoding.PNG)
    return Codec(
        "evenshard",
        lambda data: canonicalise.canonicalise(data, jpeg, limits).data,
        lambda data: canonicalise.decode_record(
            canonicalise.canonicalise(data, png, limits).data, png
        ),
    )


def ours_codec_only(side: int) -> Codec:
    limits = canonicalise.PixelLimits()
    spec = ImageSpec(side, side, jpeg_quality=QUALITY)

    def resized(data: bytes) -> np.ndarray:
        # The steps inside `canonicalise`; `decode` would not pass the box on.
        source = canonicalise._decode(data, spec, limits)
        return canonicalise.three_channels(canonicalise.fitted(source.picture, spec, source.box))

    return Codec(
        "evenshard, codec only",
        lambda data: canonicalise.encode(Image.fromarray(resized(data)), spec),
        resized,
    )


def plain_pillow(side: int) -> Codec:
    def resized(data: bytes) -> Image.Image:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        return image.resize((side, side), _BILINEAR)

    def run(data: bytes) -> bytes:
        buffer = io.BytesIO()
        resized(data).save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()

    return Codec("Pillow, nothing scaled", run, lambda data: np.asarray(resized(data)))


def scaled_pillow(side: int) -> Codec:
    """What a bake did up to version 2 of its pixels, without its checks."""

    def resized(data: bytes) -> Image.Image:
        image = Image.open(io.BytesIO(data))
        drafted = image.draft(None, (2 * side, 2 * side))
        box = (0, 0, *drafted[1][2:]) if drafted else None
        rgb = image.convert("RGB")
        return rgb.resize((side, side), _BILINEAR, box=box, reducing_gap=2)

    def run(data: bytes) -> bytes:
        buffer = io.BytesIO()
        resized(data).save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()

    return Codec("Pillow, as version 2", run, lambda data: np.asarray(resized(data)))


def simplejpeg_opencv(side: int) -> Codec:
    import cv2
    import simplejpeg

    cv2.setNumThreads(1)

    def resized(data: bytes) -> np.ndarray:
        # As much scaling as ours allows itself.
        picture = simplejpeg.decode_jpeg(data, min_height=2 * side, min_width=2 * side)
        return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)

    def run(data: bytes) -> bytes:
        return simplejpeg.encode_jpeg(resized(data), quality=QUALITY, colorsubsampling="420")

    return Codec("simplejpeg, OpenCV area", run, resized, "box")


def simplejpeg_cykooz(side: int) -> Codec:
    import cykooz_resizer as fast
    import simplejpeg

    filter = fast.ResizeAlg.convolution(fast.FilterType.bilinear)
    resizer = fast.Resizer()

    def resized(data: bytes) -> np.ndarray:
        # Scaled as ours: by 2, 4 or 8, of the eighths that the decoder offers.
        height, width = simplejpeg.decode_jpeg_header(data)[:2]
        scale = min(height // (2 * side), width // (2 * side))
        scale = next((power for power in (8, 4, 2) if scale >= power), 1)
        least = {"min_height": -(-height // scale), "min_width": -(-width // scale)}
        picture = simplejpeg.decode_jpeg(data, **(least if scale > 1 else {}))
        size = (picture.shape[1], picture.shape[0])
        source = fast.ImageData(*size, fast.PixelType.U8x3, picture.tobytes())
        result = fast.ImageData(side, side, fast.PixelType.U8x3)
        inside = fast.CropBox(0, 0, width / scale, height / scale)
        options = fast.ResizeOptions(resize_alg=filter, crop_box=inside, use_alpha=False)
        resizer.resize(source, result, options)
        return np.frombuffer(result.get_buffer(), np.uint8).reshape(side, side, 3)

    def run(data: bytes) -> bytes:
        buffer = io.BytesIO()  # simplejpeg encodes with the fast DCT alone.
        Image.fromarray(resized(data)).save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()

    return Codec("simplejpeg, cykooz-resizer", run, resized)


def opencv(side: int) -> Codec:
    import cv2

    cv2.setNumThreads(1)

    def resized(data: bytes) -> np.ndarray:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)

    def run(data: bytes) -> bytes:
        quality = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        return cv2.imencode(".jpg", resized(data), quality)[1].tobytes()

    return Codec("OpenCV area", run, lambda data: resized(data)[..., ::-1], "box")


def vips(side: int) -> Codec:
    os.environ.setdefault("VIPS_CONCURRENCY", "1")
    import pyvips

    pyvips.cache_set_max(0)

    def resized(data: bytes) -> Any:
        image = pyvips.Image.thumbnail_buffer(data, side, height=side, size="force")
        return image.colourspace("srgb")  # Grey ones have one channel.

    return Codec(
        "libvips thumbnail",
        lambda data: resized(data).jpegsave_buffer(Q=QUALITY),
        lambda data: resized(data).numpy(),
    )


PEERS = (plain_pillow, scaled_pillow, simplejpeg_opencv, simplejpeg_cykooz, opencv, vips)


def codecs(side: int) -> list[Codec]:
    """Returns ours and the peers that can be imported; says which cannot."""
    found = [ours_codec_only(side), ours(side)]
    for peer in PEERS:
        try:
            found.append(peer(side))
        except (ImportError, OSError) as error:
            print(f"skipped {peer.__name__}: {error}")
    return found


def sources(folder: Path | None, size: tuple[int, int] | None, count: int) -> list[bytes]:
    """Returns JPEGs: of a folder, evenly chosen, or synthetic; brought to `size` if given."""
    if folder is None:
        return [_jpeg(_synthetic(seed, *(size or (416, 409)))) for seed in range(count)]
    paths = sorted(folder.rglob("*.jpg"))
    if not paths:
        raise SystemExit(f"no .jpg files under {folder}")
    chosen = paths[:: max(1, len(paths) // count)][:count]
    if size is None:
        return [path.read_bytes() for path in chosen]
    lanczos = Image.Resampling.LANCZOS
    return [_jpeg(Image.open(path).convert("RGB").resize(size, lanczos)) for path in chosen]


def _synthetic(seed: int, width: int, height: int) -> Image.Image:
    """A picture with the 1/f spectrum of photographs, its colour smoother than its light."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    frequency[0, 0] = np.inf
    layers = [
        np.fft.ifft2(np.fft.fft2(rng.standard_normal((channels, height, width))) * response).real
        for channels, response in ((1, 1 / frequency), (3, 1 / frequency**1.5))
    ]
    light, colour = (layer / layer.std() for layer in layers)
    levels = (128 + 42 * light + 16 * colour).clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def measure(found: list[Codec], data: list[bytes], side: int, rounds: int) -> list[Result]:
    wall: dict[str, list[float]] = {codec.name: [] for codec in found}
    cpu: dict[str, list[float]] = {codec.name: [] for codec in found}
    for codec in found:
        codec.run(data[0])
    for _ in range(rounds):
        for codec in found:
            began, began_cpu = time.perf_counter(), time.process_time()
            for one in data:
                codec.run(one)
            wall[codec.name].append(1e3 * (time.perf_counter() - began) / len(data))
            cpu[codec.name].append(1e3 * (time.process_time() - began_cpu) / len(data))
    base = cpu[found[0].name]
    return [_result(codec, wall[codec.name], cpu[codec.name], base, data, side) for codec in found]


def _result(
    codec: Codec,
    wall: list[float],
    cpu: list[float],
    base: list[float],
    data: list[bytes],
    side: int,
) -> Result:
    quality = [_psnr(codec.resized(one), _reference(one, side, codec.filter)) for one in data]
    median = statistics.median(wall)
    return Result(
        name=codec.name,
        milliseconds=median,
        spread=(max(wall) - min(wall)) / median,
        cpu_milliseconds=statistics.median(cpu),
        ratio=statistics.median(mine / our for mine, our in zip(cpu, base, strict=True)),
        psnr=statistics.median(quality),
        worst_psnr=min(quality),
        bytes=statistics.mean(len(codec.run(one)) for one in data),
    )


def _reference(data: bytes, side: int, kind: str) -> np.ndarray:
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64)
    rows = np.tensordot(_weights(picture.shape[0], side, kind), picture, 1)
    return np.einsum("wx,hxc->hwc", _weights(picture.shape[1], side, kind), rows)


def _weights(source: int, target: int, kind: str) -> np.ndarray:
    """Returns a resize as a matrix [target, source]; of "box" each row holds covered lengths."""
    scale = source / target
    if kind == "box":
        edges = np.arange(target)[:, None] * scale
        places = np.arange(source)
        overlap = np.minimum(edges + scale, places + 1) - np.maximum(edges, places)
        weights = np.maximum(overlap, 0)
    else:
        centres = (np.arange(target)[:, None] + 0.5) * scale
        distance = np.abs(np.arange(source) + 0.5 - centres) / max(scale, 1.0)
        weights = np.maximum(1 - distance, 0)
    return weights / weights.sum(axis=1, keepdims=True)


def _psnr(first: np.ndarray, second: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((first - second) ** 2)))


def show(results: list[Result]) -> None:
    head = ("codec", "ms", "spread", "CPU ms", "ratio", "PSNR", "worst", "bytes")
    print("{:26s}{:>8s}{:>8s}{:>8s}{:>7s}{:>7s}{:>7s}{:>8s}".format(*head))
    for row in results:
        print(
            f"{row.name:26s}{row.milliseconds:8.2f}{row.spread:8.0%}{row.cpu_milliseconds:8.2f}"
            f"{row.ratio:7.2f}{row.psnr:7.1f}{row.worst_psnr:7.1f}{row.bytes:8.0f}"
        )


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("folder", nargs="?", type=Path, help="of .jpg pictures")
    parser.add_argument("--source", type=_size, metavar="WxH", help="bring the pictures to it")
    parser.add_argument("--side", type=int, default=224, help="pixels of the result")
    parser.add_argument("--count", type=int, default=60, help="pictures")
    parser.add_argument("--rounds", type=int, default=7, help="each runs every codec once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers there")
    flags = parser.parse_args()
    data = sources(flags.folder, flags.source, flags.count)
    results = measure(codecs(flags.side), data, flags.side, flags.rounds)
    print(f"{len(data)} JPEGs of {sum(map(len, data)) / len(data):,.0f} bytes to {flags.side} px")
    show(results)
    if flags.json:
        rows = [dataclasses.asdict(row) for row in results]
        content = {"machine": describe_machine(PACKAGES), "side": flags.side, "results": rows}
        flags.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
