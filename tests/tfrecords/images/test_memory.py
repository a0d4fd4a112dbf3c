"""Decoding stays under the stated bound, measured in processes of their own."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures.tiff_files import DEFLATE, Arrangement, tiff
from tfrecords.images import memory, opening
from tfrecords.schema import ImageSpec

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="measures by Linux's /proc"
)

SIDE = 4096
HOSTILE = Path(os.environ.get("EVENSHARD_TEST_DATA", "")) / "hostile_images" / "nasty"

# Canonicalises the files that it is given, then says how far memory rose above what the process
# had with its decoders loaded and the largest file read.
_CHILD = """
import io, json, sys, time
from pathlib import Path
from PIL import Image
from tfrecords.images.canonicalise import ImageError, PixelLimits, canonicalise, prepare_worker
from tfrecords.schema import ImageSpec

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

prepare_worker()
spec = ImageSpec(int(sys.argv[1]), int(sys.argv[1]))
for format in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "JPEG2000"):
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, format)
    canonicalise(buffer.getvalue(), spec, PixelLimits())
outcomes, grown = {}, 0
for name in sys.argv[2:]:
    data = Path(name).read_bytes()
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    try:
        canonicalise(data, spec, PixelLimits())
        outcomes[name] = "image"
    except ImageError as error:
        outcomes[name] = error.reason.value
    grown = max(grown, status("VmHWM") - before)
print(json.dumps([outcomes, grown]))
"""


def measured(paths: list[Path], side: int = 64) -> tuple[dict[str, str], int]:
    """Returns the outcome of each file, and the bytes by which a process grew over them."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(side), *map(str, paths)],
        capture_output=True,
        check=True,
        timeout=300,
    )
    outcomes, grown = json.loads(done.stdout)
    return {Path(name).name: outcome for name, outcome in outcomes.items()}, grown


def saved(mode: str, format: str, side: int = SIDE, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.linear_gradient("L").resize((side, side)).convert("RGB").convert(mode)
    image.save(buffer, format, **options)  # type: ignore[arg-type]  # Values of a table.
    return buffer.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def deep_planes() -> bytes:
    how = Arrangement(planar=True, compression=DEFLATE, rows=256)
    return tiff(np.zeros((SIDE // 2, SIDE // 2, 3), np.uint16), 2, how)


def run_lengths() -> bytes:
    row = b"\xff\x01" * (SIDE // 255) + bytes((SIDE % 255, 1)) + b"\0\0"
    info = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 8, 1, 0, 0, 0, 256, 0)
    return struct.pack("<2sIHHI", b"BM", 0, 0, 0, 1078) + info + bytes(1024) + row * SIDE + b"\0\1"


PICTURES: dict[str, Callable[[], bytes]] = {
    "png": lambda: saved("RGBA", "PNG", compress_level=1, exif=turned()),
    "png of one bit, a tower": lambda: png(4, 8_000_000, 1, 0, packed_rows(8_000_000, 1)),
    "jpeg": lambda: saved("RGB", "JPEG"),
    "jpeg, progressive": lambda: saved("RGB", "JPEG", progressive=True, subsampling=0),
    "jpeg, progressive ink": lambda: saved("CMYK", "JPEG", progressive=True),
    "webp": lambda: saved("RGBA", "WEBP", lossless=True, method=0, quality=0),
    "webp, lossy": lambda: saved("RGB", "WEBP", method=0),
    "avif": lambda: saved("RGBA", "AVIF", SIDE // 2, speed=10, subsampling="4:4:4"),
    "gif": lambda: saved("P", "GIF", transparency=0),
    "tiff": lambda: saved("RGBA", "TIFF", compression="tiff_adobe_deflate", exif=turned()),
    "tiff in jpeg": lambda: saved("RGB", "TIFF", compression="jpeg"),
    "tiff of deep planes": deep_planes,
    "bmp": run_lengths,
    "jpeg 2000": lambda: saved("RGBA", "JPEG2000", SIDE // 2, quality_layers=[50]),
}


@pytest.mark.parametrize("side", [64, 2100])
@pytest.mark.parametrize("name", PICTURES)
def test_decoding_takes_no_more_than_the_header_says(name: str, side: int, tmp_path: Path) -> None:
    if side > 64 and not name.startswith("jpeg,"):
        pytest.skip("the target's size matters for JPEG alone")
    data = PICTURES[name]()
    needed = opening.open_picture(data).memory(ImageSpec(side, side))
    path = tmp_path / "picture"
    path.write_bytes(data)
    outcomes, grown = measured([path], side)
    assert outcomes == {"picture": "image"}
    # Without most of the allowance for tables and metadata, which these pictures have little of.
    assert grown <= needed - memory.OVERHEAD + (32 << 20)


def packed_rows(height: int, row_bytes: int) -> bytes:
    return zlib.compress(bytes(height * (row_bytes + 1)), 1)


def png(width: int, height: int, depth: int, colour: int, body: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def webp_lossless(width: int, height: int) -> bytes:
    """Returns a WebP of one colour: every code of its Huffman tables is empty."""
    bits = (width - 1) | (height - 1) << 14
    body = b"\x2f" + struct.pack("<I", bits) + b"\x88\x88\x08" + bytes(8)
    chunk = b"VP8L" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def webp_canvas(width: int, height: int) -> bytes:
    body = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    frame = webp_lossless(16, 16)[12:]
    chunks = b"VP8X" + struct.pack("<I", len(body)) + body + frame
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def giant_tile(tile: int) -> bytes:
    how = Arrangement(compression=DEFLATE, tile=(64, 64))
    data = tiff(np.zeros((64, 64, 1), np.uint8), 1, how)
    for tag in (322, 323):
        at = data.index(struct.pack("<HHI", tag, 4, 1)) + 8
        data = data[:at] + struct.pack("<I", tile) + data[at + 4 :]
    return data


def many_strips(count: int) -> bytes:
    how = Arrangement(tags={273: [8] * count, 279: [64] * count, 278: [1]})
    return tiff(np.zeros((64, 64, 1), np.uint8), 1, how)


def overlapping_tags(format: str) -> bytes:
    rows = b"".join(struct.pack("<HHII", 40_000 + n, 7, 240_000, 8) for n in range(20_000))
    block = b"II*\0" + struct.pack("<IH", 8, 20_000) + rows + bytes(8)
    if format == "TIFF":
        plain = tiff(np.zeros((64, 64, 1), np.uint8), 1)
        (count,) = struct.unpack_from("<H", plain, 8)
        own = plain[10 : 10 + 12 * count]
        directory = struct.pack("<H", count + 20_000) + own + rows + bytes(4)
        return plain[:4] + struct.pack("<I", len(plain)) + plain[8:] + directory
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, format, exif=b"Exif\0\0" + block)
    return buffer.getvalue()


def jpeg_2000(side: int) -> bytes:
    size = struct.pack(">HHIIIIIIIIH", 47, 0, side, side, 0, 0, side, side, 0, 0, 3)
    return b"\xff\x4f\xff\x51" + size + b"\x07\1\1" * 3 + b"\xff\x93" + bytes(64)


BOMBS: dict[str, Callable[[], bytes]] = {
    "png of 1x178,956,970": lambda: png(1, 178_956_970, 1, 0),
    "png of 1x90,000,000 in depth": lambda: png(1, 90_000_000, 16, 6),
    "png of 100,000,000x1 in depth": lambda: png(100_000_000, 1, 16, 6),
    "lossless webp": lambda: webp_lossless(13_377, 13_377),
    "lossless webp, a strip": lambda: webp_lossless(16_384, 10_000),
    "webp canvas": lambda: webp_canvas(60_000, 40_000),
    "tiff tile": lambda: giant_tile(65_520),
    "tiff tile of 32 bits": lambda: giant_tile(1 << 30),
    "tiff strips": lambda: many_strips(4_000_000),
    "tiff tags": lambda: overlapping_tags("TIFF"),
    "png exif": lambda: overlapping_tags("PNG"),
    "webp exif": lambda: overlapping_tags("WEBP"),
    "avif exif": lambda: overlapping_tags("AVIF"),
    "jpeg 2000": lambda: jpeg_2000(13_000),
}


def test_bombs_are_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    for name, make in BOMBS.items():
        (tmp_path / name).write_bytes(make())
    outcomes, grown = measured([tmp_path / name for name in BOMBS])
    # Some are good pictures with bad metadata; in others the metadata is part of the format.
    images, corrupt = {"png exif", "webp exif"}, {"tiff tags", "avif exif"}
    assert outcomes == {
        name: "image" if name in images else "corrupt" if name in corrupt else "bomb"
        for name in BOMBS
    }
    assert grown < 200 << 20


@pytest.mark.skipif(not HOSTILE.is_dir(), reason="needs EVENSHARD_TEST_DATA/hostile_images")
def test_every_hostile_file_stays_far_under_the_bound() -> None:
    paths = sorted(path for path in HOSTILE.rglob("*") if path.is_file())
    outcomes, grown = measured(paths)
    assert len(outcomes) > 900
    assert grown < memory.MAX_DECODE_BYTES // 4
